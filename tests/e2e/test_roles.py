"""The functions' roles against what the deployed functions really call."""

from __future__ import annotations

import json

import pytest

from infra.deploy import stack_name
from tests.contract.packaged import FUNCTION, STACK, Packaged, in_stack
from tests.support.deployed_run import STAGE, DeployedRun
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, wait_until
from tests.support.orders import add_clients, order, wait_for_end

pytestmark = pytest.mark.ministack
BOUND = 120.0  # seconds


def test_no_function_calls_what_its_role_does_not_allow(
    api: ApiCaller, run: DeployedRun, gateway: FaultyGateway
) -> None:
    """Expects every call of all tests so far, and of one mailing, to be allowed; an emulator refuses nothing."""
    add_clients(run, 3, tag="roles")
    wait_for_end(api, order(api, "roles"), BOUND)
    assert len(gateway.heard) == 3
    wait_until(lambda: {"api", "tick", "dispatcher", "sender"} <= set(run.used()), BOUND)
    template_file = run.package / "template.json"
    packaged = Packaged(json.loads(template_file.read_text("utf-8")), template_file, run.package / "deployment.zip")
    functions = {
        in_stack(one["FunctionName"]).removeprefix(f"{STACK}-"): name
        for name, one in packaged.properties(FUNCTION).items()
    }
    asked = {
        function: {(action, resource.replace(stack_name(STAGE), STACK)) for action, resource in used}
        for function, used in run.used().items()
    }
    refused = {function: asked[function] - packaged.permissions(functions[function]) for function in asked}
    assert {function: more for function, more in refused.items() if more} == {}
    assert ("secretsmanager:GetSecretValue", f"{STACK}/gateway-token") in asked["sender"]
