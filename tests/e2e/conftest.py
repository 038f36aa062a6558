"""The embedded stack as a process of its own, on free ports, with a gateway that the test controls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, LocalRun, local_runs


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., LocalRun]]:
    """Starts runs, and ends whatever is left of them."""
    with local_runs(tmp_path) as started:
        yield started


@pytest.fixture
def gateway() -> Iterator[FaultyGateway]:
    """The gateway, 20 ms away."""
    gateway = FaultyGateway(latency=0.02)
    yield gateway
    gateway.stop()


@pytest.fixture
def run(start: Callable[..., LocalRun], gateway: FaultyGateway) -> LocalRun:
    """A running service that sends to `gateway`."""
    return start(GATEWAY_URL=gateway.url, GATEWAY_TOKEN="the-token").ready()


@pytest.fixture
def api(run: LocalRun) -> Iterator[ApiCaller]:
    """The run's REST API."""
    caller = ApiCaller(run)
    yield caller
    caller.close()
