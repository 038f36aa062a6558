"""Where end-to-end tests run: the embedded stack as a process of its own, or the package deployed into MiniStack.

A test that is marked `everywhere` runs on both; `-k embedded` and `-k deployed` choose. What is deployed belongs to
`make proof`. The gateway is the test's own. `--on localstack` and `--on localemu` run the same tests, and those for
deployed packages, on these emulators too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployed_run import IMPATIENT, DeployedRun, deployed_run, free_port
from tests.support.deployment import Deployment
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, LocalRun, Run, local_runs
from tests.support.localstack_run import KINDS, localstack_run

LATENCY = 0.02  # seconds
STACKS = ("localemu", "localstack", "localstack-changes", "deployed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--on", action="append", choices=sorted(KINDS), default=[], help="emulators to run on")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what only one of these emulators can show, unless that emulator was asked for."""
    name = collection_path.stem.removeprefix("test_").partition("_")[0]
    return True if name in KINDS and name not in config.getoption("--on") else None


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "everywhere: runs on the embedded stack and on the deployed package")
    config.addinivalue_line("markers", "deployed: runs on the deployed package only")
    config.addinivalue_line("markers", "ministack: runs on the package deployed into MiniStack only")
    config.addinivalue_line("markers", "localstack: runs on LocalStack only")
    config.addinivalue_line("markers", "localemu: runs on LocalEmu only")
    config.addinivalue_line("markers", "changes_code: leaves other code deployed, so it comes last")
    config.addinivalue_line("markers", "long: waits for minutes, so it comes first and others run beside it")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one xdist process run the embedded stack, test after test: these tests wait more than they work, and the
    other processes use the CPU meanwhile. The long ones of `make proof` have a process each."""
    for item in items:
        alone = item.get_closest_marker("proof") or item.get_closest_marker("xdist_group")
        if item.path.parent == Path(__file__).parent and not alone:
            item.add_marker(pytest.mark.xdist_group("embedded"))
    items.sort(key=lambda item: item.get_closest_marker("changes_code") is not None)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    """The deployed stacks begin first, and everything else runs beside them: the simulation while they are set up,
    since it waits for no process, and processes start slowly then."""
    group = item.get_closest_marker("xdist_group")
    if group and group.args[0] in STACKS:
        return STACKS.index(group.args[0])
    return len(STACKS) + (item.path.parent.name != "simulation")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    chosen = metafunc.config.getoption("--on")
    # What is for any deployment runs on the first of the emulators: the second would only repeat it.
    names = {"everywhere": ["embedded", "deployed", *chosen], "deployed": ["deployed", *chosen[:1]]}
    names |= {"ministack": ["deployed"]} | {name: [name] for name in chosen}
    targets = [name for mark, given in names.items() if mark in marks for name in given]
    if targets:
        metafunc.parametrize("target", [_on(name, "changes_code" in marks) for name in targets], indirect=True)


def _on(name: str, changes_code: bool) -> Any:
    """Where a test runs. Tests that deploy other code to an emulator have one of their own, so that no other test
    waits for them."""
    if name == "embedded":
        return name
    group = f"{name}-changes" if changes_code and name in KINDS else name
    return pytest.param(name, marks=(pytest.mark.xdist_group(group), pytest.mark.proof))


@pytest.fixture
def target(request: pytest.FixtureRequest) -> str:
    """`embedded`, `deployed`, or the emulator that was asked for."""
    return str(getattr(request, "param", "embedded"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., LocalRun]]:
    """Starts embedded runs, and ends any that are left."""
    with local_runs(tmp_path) as started:
        yield started


@pytest.fixture(scope="session")
def gateway_port() -> int:
    """The port at which the deployed functions find the gateway; one listens there during each test."""
    return free_port()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalRun, FaultyGateway]]:
    """An embedded run with the settings of deployed ones, and its gateway, one for all tests that run everywhere."""
    gateway = FaultyGateway(LATENCY)
    with local_runs(tmp_path_factory.mktemp("embedded")) as started:
        yield started(GATEWAY_URL=gateway.url, GATEWAY_TOKEN="the-token", **IMPATIENT).ready(), gateway
    gateway.stop()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all processes of a test run share: the parent of their own."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory, shared: Path, gateway_port: int) -> Iterator[DeployedRun]:
    """The deployed package, the same for all tests that use it."""
    with deployed_run(tmp_path_factory.mktemp("deployed"), shared, f"http://127.0.0.1:{gateway_port}") as run:
        yield run


@pytest.fixture(scope="session")
def emulated(
    tmp_path_factory: pytest.TempPathFactory, shared: Path, gateway_port: int
) -> Iterator[Callable[[str], Deployment]]:
    """The package deployed into the emulator of that name, the same for all tests that use it."""
    runs: dict[str, Deployment] = {}
    with ExitStack() as stack:

        def find(name: str) -> Deployment:
            if name not in runs:
                run = localstack_run(name, tmp_path_factory.mktemp(name), shared, f"http://127.0.0.1:{gateway_port}")
                runs[name] = stack.enter_context(run)
            return runs[name]

        yield find


@pytest.fixture
def gateway(target: str, request: pytest.FixtureRequest, gateway_port: int) -> Iterator[FaultyGateway]:
    """The gateway, with a delay of 20 ms."""
    if target == "embedded" and request.node.get_closest_marker("everywhere"):
        shared: FaultyGateway = request.getfixturevalue("embedded")[1]
        shared.begin_anew()
        yield shared
        return
    gateway = FaultyGateway(LATENCY, 0 if target == "embedded" else gateway_port)
    yield gateway
    gateway.stop()


@pytest.fixture
def run(
    target: str, request: pytest.FixtureRequest, start: Callable[..., LocalRun], gateway: FaultyGateway
) -> LocalRun | Deployment:
    """A running service that sends to `gateway`: the same for all tests that run everywhere, otherwise one of its
    own."""
    if target in KINDS:
        emulated: Callable[[str], Deployment] = request.getfixturevalue("emulated")
        return emulated(target)
    if target == "deployed":
        found: DeployedRun = request.getfixturevalue("deployed")
        return found
    if request.node.get_closest_marker("everywhere"):
        shared: LocalRun = request.getfixturevalue("embedded")[0]
        return shared
    settings = {"GATEWAY_RECOGNISES_IDS": "true", "API_PROCESSES": "2", "SENDER_PROCESSES": "2"}
    return start(GATEWAY_URL=gateway.url, GATEWAY_TOKEN="the-token", **settings).ready()


@pytest.fixture
def api(run: Run) -> Iterator[ApiCaller]:
    """The run's REST API."""
    caller = ApiCaller(run)
    yield caller
    caller.close()
