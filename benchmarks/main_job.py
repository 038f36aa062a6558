"""The main job on the embedded stack, as users run it: from the POST of a mailing until every message is final.

`make run` in processes of its own, with its own data, and the gateway of benchmarks/gateway.py or another one with the
same control.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from benchmarks import gateway
from benchmarks.gateway import Gateway
from infra.local.api_client import RunningService
from infra.local.data_directory import DataDirectory, read_json

ROOT = Path(__file__).parents[1]
TAG = "bench"
_POLL = 0.2  # seconds, as often as the peer looks
_BOUND = 600.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One mailing: times in seconds, CPU in milliseconds for each message."""

    messages: int
    latency_ms: float
    seconds: float
    per_second: float
    first_message_s: float
    own_cpu_ms: float
    emulator_cpu_ms: float
    gateway_cpu_ms: float
    unfinished: int
    accepted: int
    duplicates: int


class Stack:
    """A running service with its processes."""

    def __init__(self, data_dir: Path, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.directory = DataDirectory(data_dir)
        emulator = read_json(self.directory.emulator_file) or {}
        self.emulator = psutil.Process(int(emulator["pid"]))
        service = psutil.Process(process.pid)
        # The service with its fronts and senders, without emulator and sandbox.
        kinds = {"infra.local.front", "infra.local.senders"}
        self.own = (service, *(one for one in service.children() if kinds.intersection(one.cmdline())))
        self.api = RunningService.found({"DATA_DIR": str(data_dir)}, "bench")

    def add_clients(self, count: int) -> None:
        """Import `count` clients with the tag."""
        rows = "\n".join(f"+79{number:09d},{TAG},UTC" for number in range(count))
        headers = {"Content-Type": "text/csv; charset=utf-8"}
        text = f"phone_number,tag,timezone\n{rows}\n".encode()
        at = self.api.call("POST", "/api/clients/imports", data=text, headers=headers)
        deadline = time.monotonic() + _BOUND
        while at["status"] != "finished":
            if time.monotonic() > deadline:
                raise RuntimeError("the clients are not imported in time")
            time.sleep(_POLL)
            at = self.api.call("GET", f"/api/clients/imports/{at['id']}")


@contextmanager
def make_run(data_dir: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """Run `make run` on a free port, ready to use, and end it afterwards.

    Raises RuntimeError if it does not get ready.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GATEWAY_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local"],
        cwd=ROOT,
        env={**kept, "PORT": "0", "DATA_DIR": str(data_dir), **environ},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        if not any(line.startswith("Ready: ") for line in process.stdout or ()):
            raise RuntimeError(f"never ready: exit code {process.wait()}")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@contextmanager
def running(gateway_url: str, data_dir: Path, **environ: str) -> Iterator[Stack]:
    """The embedded stack, from an empty directory."""
    with make_run(data_dir, **{"GATEWAY_URL": gateway_url, "GATEWAY_TOKEN": "bench", **environ}) as process:
        yield Stack(data_dir, process)


def send(stack: Stack, target: Gateway, latency_ms: float, count: int) -> Sent:
    """Send one mailing to the clients; there must be `count` of them."""
    target.control("/reset")
    target.control(f"/config?latency_ms={latency_ms}")
    before = [cpu(*stack.own), cpu(stack.emulator), target.cpu()]
    body = _order()
    began = time.time()
    mailing_id = str(stack.api.call("POST", "/api/mailing/", json=body)["id"])
    final = 0
    while target.control("/stats")["unique_accepted"] < count and time.time() - began < _BOUND:
        time.sleep(_POLL)
    while final < count and time.time() - began < _BOUND:
        time.sleep(_POLL / 4)
        final = _final(stack, mailing_id)
    seconds = time.time() - began
    spent = [
        after - earlier
        for after, earlier in zip([cpu(*stack.own), cpu(stack.emulator), target.cpu()], before, strict=True)
    ]
    seen = target.control("/stats")
    return Sent(
        messages=count,
        latency_ms=latency_ms,
        seconds=round(seconds, 2),
        per_second=round(final / seconds, 1),
        first_message_s=round((seen["first"] or 0) - began, 3),
        own_cpu_ms=round(1000 * spent[0] / count, 3),
        emulator_cpu_ms=round(1000 * spent[1] / count, 3),
        gateway_cpu_ms=round(1000 * spent[2] / count, 3),
        unfinished=count - final,
        accepted=seen["unique_accepted"],
        duplicates=seen["duplicates_accepted"],
    )


def sent_mailing(stack: Stack, count: int) -> str:
    """Send a mailing to the clients, `count` of them, and wait until it is sent. Returns its id."""
    mailing_id = str(stack.api.call("POST", "/api/mailing/", json=_order())["id"])
    deadline = time.monotonic() + _BOUND
    while _final(stack, mailing_id) < count:
        if time.monotonic() > deadline:
            raise RuntimeError("the mailing is not sent in time")
        time.sleep(_POLL)
    return mailing_id


def _order() -> dict[str, Any]:
    now = datetime.now(UTC)
    ends = now + timedelta(hours=1)
    return {"text": "Hello", "clients": {"tag": TAG}, "start_time": now.isoformat(), "end_time": ends.isoformat()}


def _final(stack: Stack, mailing_id: str) -> int:
    """How many messages have a final status."""
    counts = stack.api.call("GET", f"/api/mailing/{mailing_id}")["counts"]
    return sum(counts.get(name, 0) for name in ("sent", "failed", "unknown", "expired", "cancelled", "skipped"))


def cpu(*processes: psutil.Process) -> float:
    """Seconds of CPU time that processes have used."""
    return sum(float(times.user + times.system) for times in (process.cpu_times() for process in processes))


def main() -> int:
    """Print a line for each mailing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--latency-ms", type=float, nargs="+", default=[20, 100])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--data", default="")
    given = parser.parse_args()
    with gateway.running() as target:
        for _ in range(given.runs):
            for latency in given.latency_ms:
                with tempfile.TemporaryDirectory() as directory, running(target.url, Path(directory)) as stack:
                    stack.add_clients(given.messages)
                    sent = send(stack, target, latency, given.messages)
                    sys.stdout.write(json.dumps(asdict(sent)) + "\n")
                    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
