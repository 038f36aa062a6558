"""The package deployed through CloudFormation: its schedule, its roles, and what a second deploy does to a mailing."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from infra.deploy import stack_name
from tests.support.deployment import STAGE, Deployment
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, wait_until
from tests.support.orders import add_clients, mailing, order, statuses, wait_for_end

pytestmark = pytest.mark.deployed
MANY = 240
RATE = 10  # a second: slow enough for a deploy to come in the middle
BOUND = 240.0  # seconds
TICK = 60.0  # seconds
GATEWAY_MODULE = "chalicelib/gateways/http.py"
ADDRESS = re.compile(rb'(f"\{_PATH\}\{message\.gateway_id\})(?:\?v=\d)?"')
VERSION_MODULE = "chalicelib/__init__.py"


def change_code(run: Deployment, version: int = 2) -> None:
    """Another version of the zip: its sender shows in each call's address, and its API in /health."""
    zip_file = run.package / "deployment.zip"
    with ZipFile(zip_file) as deployment:
        contents = {info: deployment.read(info) for info in deployment.infolist()}
    with ZipFile(zip_file, "w", ZIP_DEFLATED, compresslevel=1) as deployment:
        for info, content in contents.items():
            if info.filename == GATEWAY_MODULE:
                content, changed = ADDRESS.subn(rb'\1?v=%d"' % version, content)
                assert changed
            if info.filename == VERSION_MODULE:
                content, changed = re.subn(rb'(__version__ = "\d+\.\d+)[^"]*"', rb'\1.%d"' % version, content)
                assert changed
            deployment.writestr(info, content)


@pytest.mark.changes_code
def test_a_deploy_during_a_mailing_loses_and_repeats_nobody(
    api: ApiCaller, run: Deployment, gateway: FaultyGateway
) -> None:
    """Expects both versions to have sent, every client to be called once, and nothing to be left over."""
    add_clients(run, MANY, tag="release")
    mailing_id = order(api, "release", rate_limit=RATE)
    wait_until(lambda: len(gateway.heard) > MANY // 10, BOUND)
    change_code(run)
    run.deploy()
    before = len(gateway.heard)
    assert before < MANY, "the deploy came too late to prove anything"
    assert wait_for_end(api, mailing_id, BOUND)["status"] == "finished"
    assert statuses(api, mailing_id) == {"sent": MANY}
    assert len(gateway.calls()) == MANY
    assert Counter(gateway.calls().values()) == {1: MANY}
    assert {heard.path.endswith("?v=2") for heard in gateway.heard} == {False, True}


@pytest.mark.changes_code
def test_one_command_rolls_a_release_back(api: ApiCaller, run: Deployment, gateway: FaultyGateway) -> None:
    """Expects the code and the parameters of the previous release, in the API and in the senders, and the data
    unchanged."""
    before = _running(api, run), _called(api, run, gateway, "before")
    change_code(run, 7)
    run.deploy(LOG_LEVEL="DEBUG")
    version = f"{before[0][0].rpartition('.')[0]}.7"
    assert (_running(api, run), _called(api, run, gateway, "bad")) == ((version, "DEBUG"), {"?v=7"})
    run.rollback()
    assert (_running(api, run), _called(api, run, gateway, "after")) == before
    assert len(api.rows("/api/mailing/", limit=100)) >= 3


@pytest.mark.changes_code
def test_a_changed_parameter_reaches_the_api(api: ApiCaller, run: Deployment) -> None:
    """Expects a new version behind the alias, although the code is the same."""
    run.deploy(LOG_LEVEL="WARNING")
    assert _running(api, run)[1] == "WARNING"
    run.deploy(LOG_LEVEL="default")
    assert _running(api, run)[1] == "INFO"


def _running(api: ApiCaller, run: Deployment) -> tuple[str, str]:
    """The version that serves requests, and its log level."""
    function, functions = f"{stack_name(STAGE)}-api", run.client("lambda")
    aliases = [one["Name"] for one in functions.list_aliases(FunctionName=function)["Aliases"]]  # LocalStack has none
    live = functions.get_function_configuration(FunctionName=function, Qualifier=aliases[0] if aliases else "$LATEST")
    return api.call("GET", "/health")["version"], live["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"]


def _called(api: ApiCaller, run: Deployment, gateway: FaultyGateway, tag: str) -> set[str]:
    """What the senders' code adds to the gateway's address, in a mailing to a few clients."""
    add_clients(run, 3, tag=tag)
    heard = len(gateway.heard)
    assert wait_for_end(api, order(api, tag), BOUND)["counts"]["sent"] == 3
    return {one.path.partition("?v")[1] + one.path.partition("?v")[2] for one in gateway.heard[heard:]}


def test_a_deploy_without_a_change_changes_nothing(run: Deployment) -> None:
    """Expects it to say so, to find the existing users, and to succeed."""
    lines = run.deploy()
    assert "  Nothing has changed" in lines
    assert not [line for line in lines if "password" in line]


def test_the_schedule_launches_a_mailing_that_nothing_else_would(
    api: ApiCaller, run: Deployment, gateway: FaultyGateway
) -> None:
    """The mailing is due later than the next tick; expects it to be found by the schedule, start on time and reach
    everyone."""
    add_clients(run, 20, tag="later")
    start = datetime.now(UTC).timestamp() + 72
    mailing_id = order(api, "later", starts_in=72)
    assert mailing(api, mailing_id)["status"] == "scheduled"
    assert wait_for_end(api, mailing_id, BOUND)["counts"]["sent"] == 20
    # Not the tick after the start: a function of the emulator takes half a minute to start on a busy machine.
    assert start <= min(heard.at for heard in gateway.heard) + 0.01 < start + TICK
