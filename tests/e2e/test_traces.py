"""Deployed functions tell X-Ray's daemon what they do: request, dispatch, delivery and each call of the gateway."""

from __future__ import annotations

import pytest

from infra.deploy import stack_name
from tests.support.deployed_run import STAGE, DeployedRun
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, wait_until
from tests.support.orders import add_clients, order, wait_for_end

pytestmark = pytest.mark.deployed
BOUND = 120.0  # seconds


def test_a_mailing_can_be_followed_through_all_functions(
    api: ApiCaller, run: DeployedRun, gateway: FaultyGateway
) -> None:
    """By its id, from the order to each call, beside the calls of AWS that came of it; nothing private among it."""
    add_clients(run, 5, tag="traced")
    mailing_id = order(api, "traced", text="a text that nobody may see")
    wait_for_end(api, mailing_id, BOUND)

    def calls() -> list[str]:
        return [
            step["annotations"]["message_id"]
            for step in run.traces.steps()
            if step["name"] == "gateway" and step["annotations"]["mailing_id"] == mailing_id
        ]

    wait_until(lambda: len(calls()) == len(gateway.heard) == 5, BOUND)
    assert len(set(calls())) == 5
    steps = list(run.traces.steps())
    about = {step["name"] for step in steps if step.get("annotations", {}).get("mailing_id") == mailing_id}
    assert {"POST /api/mailing", "expand", "gateway"} <= about
    assert {"deliver", "tick"} <= {step["name"] for step in steps}
    tables = {step["aws"]["table_name"] for step in steps if "table_name" in step.get("aws", {})}
    assert f"{stack_name(STAGE)}-mailings" in tables
    heard = "".join(run.traces.heard)
    assert not [secret for secret in ("nobody may see", "the-token", run.password) if secret in heard]
    phones = [row["phone_number"] for row in api.rows("/api/clients/", tag="traced")]
    assert not [phone for phone in phones if phone.removeprefix("+") in heard]
