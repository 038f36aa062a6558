"""One mailing on the simulated service, with every call counted and every function's time taken."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from app import app
from benchmarks.logs import PLATFORM_BYTES, LogMeter, counted
from benchmarks.meter import Meter
from benchmarks.progress import Progress
from benchmarks.stubbed_aws import Stopwatch, StubbedAws
from chalicelib.domain.clients import Client, ClientFields
from chalicelib.domain.costs import Usage
from infra.local import ministack_patches
from tests.support.client_ids import new_client_with_id
from tests.support.client_index import ClientIndex
from tests.support.simulation import Simulation, new_simulation

AWS_SECONDS = 0.01  # that a call of DynamoDB or SQS takes from a function
TAG = "everybody"
EVENT_SOURCE = "event source"  # receives and deletes for the functions
WORKERS = {"tick": 1, "dispatcher": 8, "sender": 10}
_ROOT = Path(__file__).parents[1]
# "At 1,769 MB, a function has the equivalent of one vCPU", developer guide of Lambda.
_MEMORY_OF_A_CPU = 1769


@dataclass
class Function:
    """The totals of one function's invocations; seconds, without CPU time and waiting for the gateway."""

    memory: int  # MB
    invocations: int = 0
    waiting: float = 0.0
    gateway_calls: int = 0
    batches: Counter[int] = field(default_factory=Counter)  # by how many calls of the gateway there were in each
    log_bytes: int = 0

    def usage(self, cpu: float, gateway_latency: float, at_once: int) -> Usage:
        """What Lambda bills: duration times memory. With less memory, CPU time takes longer.

        Calls of the gateway are made in rounds of so many `at_once`.
        """
        rounds = sum(-(-calls // at_once) * count for calls, count in self.batches.items())
        seconds = self.waiting + rounds * gateway_latency + cpu * max(1.0, _MEMORY_OF_A_CPU / self.memory)
        return Usage(invocations=self.invocations, gb_seconds=seconds * self.memory / 1024)


@dataclass
class Measured:
    """A mailing's calls and times."""

    clients: int
    meter: Meter
    functions: dict[str, Function]
    cpu: dict[str, float] = field(default_factory=dict)  # seconds by function
    seconds: float = 0.0  # of virtual time
    at_work: dict[int, str] = field(default_factory=dict)  # functions by the task that they run in
    calls: Counter[int] = field(default_factory=Counter)  # of the gateway, by the task


def run(count: int, operators: int = 1) -> Measured:
    """Send a mailing to so many clients of so many operators; the gateway accepts all messages."""
    aws = StubbedAws()
    with new_simulation(seed=1, workers_of=WORKERS, aws=aws, sender_batch=None, gateway_concurrency=50) as simulation:
        simulation.gateway.latency = timedelta(0)
        simulation.add_clients(1, tag=TAG)  # the counters say that there is somebody
        ClientIndex(aws, simulation.workers.tables, new_clients(count, simulation.clock.now(), operators))
        for source in app.event_sources:
            if source.name in simulation.runner.sources:
                # As Lambda has it; the simulation does not wait for batches to fill.
                simulation.runner.sources[source.name].window = float(
                    getattr(source, "maximum_batching_window_in_seconds", 0) or 0
                )
        meter = Meter(aws._handle, simulation.settings.resource_prefix, lambda: _at_work(simulation, measured))
        aws._handle = meter.handle
        measured = Measured(count, meter, _functions())
        logs = LogMeter(lambda: _at_work(simulation, measured))
        with _timed(simulation, aws, measured), counted(logs):
            _send(simulation, measured)
        for name, function in measured.functions.items():
            function.log_bytes = logs.bytes[name] + function.invocations * PLATFORM_BYTES
        measured.cpu = dict(aws.stopwatch.seconds)
        return measured


def new_clients(count: int, now: datetime, operators: int = 1, **fields: Any) -> Iterator[Client]:
    """So many clients with the tag, by turns of so many operators, and with other fields that are alike for all."""
    for number in range(count):
        phone = f"+79{number % operators:02d}{number:07d}"
        yield new_client_with_id(ClientFields(phone, tags=(TAG,), **fields), now)


def _functions() -> dict[str, Function]:
    config = json.loads((_ROOT / ".chalice" / "config.json").read_text(encoding="utf-8"))["lambda_functions"]
    return {name: Function(config[name]["lambda_memory_size"]) for name in ("tick", "dispatcher", "sender")}


def _at_work(simulation: Simulation, measured: Measured) -> str:
    """The function whose invocation makes the call; the event source between invocations, "" for the API."""
    task = simulation.scheduler.current
    if task is None:
        return ""
    return measured.at_work.get(id(task), EVENT_SOURCE)


@contextmanager
def _timed(simulation: Simulation, aws: StubbedAws, measured: Measured) -> Iterator[None]:
    """Measure the time of every invocation, and of nothing else."""
    progress = Progress("sent", measured.clients)
    stopwatch = aws.stopwatch
    handlers: dict[str, Any] = simulation.runner._app.handler_map
    send, sleep = simulation.gateway.send, simulation.clock.sleep
    before = aws.before

    def latent(call: Any) -> None:
        before(call)
        progress.at(len(simulation.gateway.log))
        if _at_work(simulation, measured) in measured.functions:
            sleep(AWS_SECONDS)

    def sent(*arguments: Any) -> Any:
        with stopwatch.running_for(""):
            measured.functions["sender"].gateway_calls += 1
            measured.calls[id(simulation.scheduler.current)] += 1
            return send(*arguments)

    def slept(seconds: float) -> None:
        with stopwatch.running_for(""):
            sleep(seconds)

    timed = {
        name: _invocations(handlers[name], name, simulation, stopwatch, measured)
        for name, one in measured.functions.items()
    }
    with (
        mock.patch.dict(handlers, timed),
        mock.patch.object(aws, "before", latent),
        mock.patch.object(simulation.gateway, "send", sent),
        mock.patch.object(simulation.clock, "sleep", slept),
    ):
        yield


def _invocations(
    handler: Callable[..., Any], name: str, simulation: Simulation, stopwatch: Stopwatch, measured: Measured
) -> Callable[..., Any]:
    function = measured.functions[name]

    def invoked(*arguments: Any) -> Any:
        task = id(simulation.scheduler.current)
        began = simulation.clock.now()
        measured.at_work[task] = name
        try:
            with stopwatch.running_for(name):
                return handler(*arguments)
        finally:
            del measured.at_work[task]
            function.invocations += 1
            function.waiting += (simulation.clock.now() - began).total_seconds()
            function.batches[measured.calls.pop(task, 0)] += 1

    return invoked


def _send(simulation: Simulation, measured: Measured) -> None:
    began = simulation.clock.now()
    mailing = simulation.create_mailing(tag=TAG, lasts=86_400)
    simulation.scheduler.run_until(
        began + timedelta(hours=20), lambda: simulation.status(mailing) == "finished", check=5_000
    )
    counts = simulation.counts(mailing)
    if counts != {"total": measured.clients, "sent": measured.clients}:
        raise RuntimeError(f"not everything was sent: {counts}")
    finished_at = simulation.services.mailings.get(mailing.mailing_id).finished_at if simulation.services else None
    measured.seconds = (finished_at - began).total_seconds() if finished_at else 0.0


def quiet() -> None:
    """Switch logging off, which would be measured too, and let the emulator answer as in `make run`."""
    ministack_patches.install(queues=False)
    logging.disable(logging.CRITICAL)
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "true"
