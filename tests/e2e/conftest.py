"""Where end-to-end tests run: the embedded stack as a process of its own, or the package deployed into MiniStack.

A test that is marked `everywhere` runs on both; `-k embedded` and `-k deployed` choose. The gateway is the test's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.deployed_run import IMPATIENT, DeployedRun, deployed_run, free_port
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, LocalRun, Run, local_runs

LATENCY = 0.02  # seconds


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "everywhere: runs on the embedded stack and on the deployed package")
    config.addinivalue_line("markers", "deployed: runs on the deployed package only")
    config.addinivalue_line("markers", "changes_code: leaves other code deployed, so it comes last")
    config.addinivalue_line("markers", "long: waits for minutes, so it comes first and others run beside it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("changes_code") is not None)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    deployed = pytest.param("deployed", marks=pytest.mark.xdist_group("deployed"))
    if metafunc.definition.get_closest_marker("everywhere"):
        metafunc.parametrize("target", ["embedded", deployed], indirect=True)
    elif metafunc.definition.get_closest_marker("deployed"):
        metafunc.parametrize("target", [deployed], indirect=True)


@pytest.fixture
def target(request: pytest.FixtureRequest) -> str:
    """`embedded` or `deployed`."""
    return str(getattr(request, "param", "embedded"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., LocalRun]]:
    """Starts embedded runs, and ends whatever is left of them."""
    with local_runs(tmp_path) as started:
        yield started


@pytest.fixture(scope="session")
def gateway_port() -> int:
    """Where the deployed functions find the gateway; one listens there during each test."""
    return free_port()


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory, gateway_port: int) -> Iterator[DeployedRun]:
    """The deployed package, once for all tests that use it."""
    with deployed_run(tmp_path_factory.mktemp("deployed"), f"http://127.0.0.1:{gateway_port}") as run:
        yield run


@pytest.fixture
def gateway(target: str, gateway_port: int) -> Iterator[FaultyGateway]:
    """The gateway, 20 ms away."""
    gateway = FaultyGateway(LATENCY, gateway_port if target == "deployed" else 0)
    yield gateway
    gateway.stop()


@pytest.fixture
def run(
    target: str, request: pytest.FixtureRequest, start: Callable[..., LocalRun], gateway: FaultyGateway
) -> LocalRun | DeployedRun:
    """A running service that sends to `gateway`; everywhere with the same settings."""
    if target == "deployed":
        found: DeployedRun = request.getfixturevalue("deployed")
        return found
    settings = IMPATIENT if request.node.get_closest_marker("everywhere") else {}
    return start(GATEWAY_URL=gateway.url, GATEWAY_TOKEN="the-token", **settings).ready()


@pytest.fixture
def api(run: Run) -> Iterator[ApiCaller]:
    """The run's REST API."""
    caller = ApiCaller(run)
    yield caller
    caller.close()
