"""Senders of `make run` that are stopped (SIGSTOP): this is reported, until they go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.support.local_run import ApiCaller, LocalRun, wait_until


def senders_of(run: LocalRun) -> list[int]:
    """The sending processes, children of the run."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read()
            with open(f"/proc/{pid}/stat") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"infra.local.senders" in command and parent == run.process.pid:
            found.append(int(pid))
    return found


@pytest.mark.long
@pytest.mark.proof
def test_stopped_senders_are_reported_within_45_seconds(start: Callable[..., LocalRun]) -> None:
    """Expects a 503 that names them, though nothing waits to be sent, and 200 again when they go on."""
    run = start(SENDER_PROCESSES="2").ready()
    api = ApiCaller(run)
    pids = senders_of(run)
    assert len(pids) == 2
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: api.request("GET", "/health/ready").status_code == 503, 50, every=1)
        assert "sender, last seen" in api.request("GET", "/health/ready").json()["detail"]
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: api.request("GET", "/health/ready").status_code == 200, 15, every=0.5)
    api.close()
