"""`make cpu`: CPU time of a message in dispatch and in delivery, with AWS answered in process, and of a bare call.

The time of AWS's answers is subtracted. The gateway is a process, called over HTTP, which answers after 20 ms, so
delivery includes the call to the gateway. A bare call is the same request by urllib3 from as many threads, and nothing
else: a machine that is slow today is slow for both, so their ratio can be compared with that of another day.
"""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import urllib3
from ministack.services import sqs as emulated_sqs

from benchmarks import gateway, mailing
from benchmarks.stubbed_aws import StubbedAws
from chalicelib.aws_clients import aws_client
from chalicelib.bootstrap import Services, build
from chalicelib.config import Settings
from chalicelib.domain.attributes import Attributes
from chalicelib.domain.segments import Segment
from chalicelib.observability import logger
from chalicelib.queues import Unit
from chalicelib.services.mailing_fields import MailingFields
from chalicelib.services.sending.batch import Received
from chalicelib.storage.tables import Tables, bind
from infra.provision import provision
from tests.support.client_ids import CLIENT_IDS
from tests.support.client_index import ClientIndex

MESSAGES = 10_000
RUNS = 5
PLAIN, PERSONAL = "Hello", "Hello {{first_name}}, {{points}} points in {{city}}"
BATCH = 10  # hints
_TIMEOUT = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Cpu:
    """Milliseconds of CPU for each message."""

    dispatch: float
    delivery: float


def measure(
    count: int, gateway_url: str, profile: cProfile.Profile | None = None, profiled: str = "", text: str = PLAIN
) -> Cpu:
    """Dispatch a mailing to so many clients, who have the values of both texts, then deliver it."""
    aws = StubbedAws()
    settings = Settings(gateway_url=gateway_url, gateway_token="bench", queue_high_water=2 * count)  # noqa: S106
    with aws.installed():
        clients = {name: aws_client(name) for name in ("dynamodb", "sqs")}
        provision(settings, clients["dynamodb"], clients["sqs"])
        tables = bind(settings, clients["dynamodb"])
        services = build(settings, tables=tables, client_ids=CLIENT_IDS, **clients)
        _fill(aws, tables, services, count, text)
        spent: dict[str, float] = {}
        for name, work in (("dispatch", _dispatch), ("delivery", _deliver)):
            began = time.process_time() - aws.answering
            if profile and name == profiled:
                profile.runcall(work, services)
            else:
                work(services)
            spent[name] = 1000 * (time.process_time() - aws.answering - began) / count
        _check(services, count)
    return Cpu(**spent)


def bare_call(count: int, gateway_url: str) -> float:
    """Milliseconds of CPU for one call of the gateway, with nothing around it."""
    threads = Settings().gateway_concurrency
    headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}

    def call(number: int) -> None:
        body = json.dumps({"id": number, "phone": 79160000000 + number, "text": PLAIN}).encode()
        url = f"{gateway_url}/v1/send/{number}"
        answer = pool.request("POST", url, body=body, headers=headers, timeout=_TIMEOUT, retries=False)
        if answer.json()["code"] != 0:
            raise RuntimeError(f"the gateway refused {number}")

    with (
        urllib3.PoolManager(maxsize=threads, block=True) as pool,
        ThreadPoolExecutor(threads) as executor,
    ):
        began = time.process_time()
        for _ in executor.map(call, range(1, count + 1)):
            pass
        return 1000 * (time.process_time() - began) / count


def _fill(aws: StubbedAws, tables: Tables, services: Services, count: int, text: str) -> None:
    """The directory, and a mailing to all of it."""
    now = services.clock.now()
    values: dict[str, str | float | bool] = {"first_name": "Anna", "points": 12, "city": "Riga"}
    everybody = list(mailing.new_clients(count, now, attributes=Attributes.of(values)))
    services.clients._clients.upsert(everybody[:1])  # the counters say that there is somebody
    ClientIndex(aws, tables, everybody)
    services.mailings.create(MailingFields(text, Segment((mailing.TAG,)), now, now + timedelta(hours=1)), "bench")


def _taken(services: Services, name: str) -> list[str]:
    """Take all messages from a queue without the client, because that is the event source's work."""
    (queue,) = (queue for queue in emulated_sqs._queues.values() if queue["name"] == services.queues[name]._name)
    bodies = [message["body"] for message in queue["messages"]]
    queue["messages"].clear()
    return bodies


def _dispatch(services: Services) -> None:
    """Handle every unit, until all hints are on the send queue."""
    deadline = services.clock.now() + timedelta(minutes=2)
    while units := _taken(services, "dispatch"):
        for body in units:
            services.dispatcher.handle(Unit.parse(body), deadline)


def _deliver(services: Services) -> None:
    """Deliver every hint, in batches as the event source makes them."""
    bodies = _taken(services, "send")
    for start in range(0, len(bodies), BATCH):
        received = [Received(str(place), str(place), body) for place, body in enumerate(bodies[start : start + BATCH])]
        deadline = services.clock.now() + timedelta(seconds=30)
        if services.delivery.deliver(received, deadline):
            raise RuntimeError("not everything was delivered")


def _check(services: Services, count: int) -> None:
    _dispatch(services)  # recounts and ends it
    counts = [one for one in services.statistics.overview() if one.mailings]
    if [(str(one.status), one.messages) for one in counts] != [("finished", {"sent": count})]:
        raise RuntimeError(f"not everything was sent: {counts}")


def silence() -> None:
    """Write logs to nowhere."""
    vars(logger.registered_handler)["stream"] = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def main(arguments: list[str]) -> None:
    """Print the median of several runs, with minimum and maximum; with `profile`, where the time of one run goes."""
    silence()
    with gateway.running() as target:
        if arguments[:1] == ["profile"]:
            profile = cProfile.Profile()
            measure(MESSAGES, target.url, profile, arguments[1])
            pstats.Stats(profile).sort_stats("cumulative").print_stats(100)
            return
        runs: list[Cpu] = []
        more: list[float] = []
        times: list[float] = []
        for number in range(RUNS):
            # One right after the other, so that all find the same machine.
            count = int(arguments[0]) if arguments else MESSAGES
            bare = bare_call(count, target.url)
            plain, personal = (measure(count, target.url, text=text) for text in (PLAIN, PERSONAL))
            runs.append(plain)
            more.append(100 * (personal.delivery / plain.delivery - 1))
            times.append((plain.dispatch + plain.delivery) / bare)
            sys.stdout.write(
                f"run {number + 1}: dispatch {plain.dispatch:.3f}, delivery {plain.delivery:.3f} ms, "
                f"with three values {personal.delivery:.3f} ms; a bare call {bare:.3f} ms\n"
            )
            sys.stdout.flush()
        for name in ("dispatch", "delivery"):
            values = [getattr(one, name) for one in runs]
            median = statistics.median(values)
            sys.stdout.write(f"{name}: {median:.3f} ms of CPU a message ({min(values):.3f} to {max(values):.3f})\n")
        ratio = f"{statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"
        sys.stdout.write(f"dispatch and delivery: {ratio} times a bare call of the gateway\n")
        told = f"{statistics.median(more):+.1f} % ({min(more):+.1f} to {max(more):+.1f})"
        sys.stdout.write(f"delivery of a text with three values of the client: {told}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
