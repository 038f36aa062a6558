"""The package deployed through CloudFormation: its rule, its roles, and what a second deploy does to a mailing."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from tests.support.deployment import Deployment
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, wait_until
from tests.support.orders import add_clients, mailing, order, statuses, wait_for_end

pytestmark = pytest.mark.deployed
MANY = 800
RATE = 40  # a second: slow enough for a deploy to come in the middle
BOUND = 240.0  # seconds
TICK = 60.0  # seconds
GATEWAY_MODULE = "chalicelib/gateways/http.py"
ADDRESS = b'f"{_PATH}{gateway_id}"'


def change_code(run: Deployment) -> None:
    """Another version of the zip: its sender says so in each call's address."""
    zip_file = run.package / "deployment.zip"
    with ZipFile(zip_file) as deployment:
        contents = {info: deployment.read(info) for info in deployment.infolist()}
    with ZipFile(zip_file, "w", ZIP_DEFLATED) as deployment:
        for info, content in contents.items():
            if info.filename == GATEWAY_MODULE:
                assert ADDRESS in content
                content = content.replace(ADDRESS, ADDRESS[:-1] + b'?v=2"')
            deployment.writestr(info, content)


@pytest.mark.changes_code
def test_a_deploy_in_the_middle_of_a_mailing_loses_and_repeats_nobody(
    api: ApiCaller, run: Deployment, gateway: FaultyGateway
) -> None:
    """Expects both versions to have sent, every client once, and nothing left over."""
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


def test_a_deploy_without_a_change_changes_nothing(run: Deployment) -> None:
    """Expects it to say so, to find the users that are there, and to end well."""
    lines = run.deploy()
    assert "  Nothing has changed" in lines
    assert not [line for line in lines if "password" in line]


def test_the_rule_launches_a_mailing_that_nobody_else_would(
    api: ApiCaller, run: Deployment, gateway: FaultyGateway
) -> None:
    """Due later than the next tick, it is found by the schedule, starts on time and reaches everyone."""
    add_clients(run, 20, tag="later")
    start = datetime.now(UTC).timestamp() + 72
    mailing_id = order(api, "later", starts_in=72)
    assert mailing(api, mailing_id)["status"] == "scheduled"
    assert wait_for_end(api, mailing_id, BOUND)["counts"]["sent"] == 20
    # Not the tick after the start: a function of the emulator takes half a minute to start on a busy machine.
    assert start <= min(heard.at for heard in gateway.heard) + 0.01 < start + TICK
