"""Each function's role allows what the function called while it was recorded, and nothing more."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.clock import SystemClock
from chalicelib.config import Settings
from chalicelib.services.trials import LambdaTester, choose_tester
from tests.contract.calls import permissions_for
from tests.contract.packaged import FUNCTION, STACK, Packaged, Permission, as_list
from tests.contract.recorded import record_api, record_report, record_workers
from tests.integration.storage.engines import in_process
from tests.support.aws import Call

FUNCTIONS = {"api": "APIHandler", "tick": "Tick", "dispatcher": "Dispatcher"}
FUNCTIONS |= {"sender": "Sender", "report": "Report", "receiver": "Receiver"}


@pytest.fixture(scope="module")
def used() -> dict[str, set[Permission]]:
    """What every function needed, by its name in app.py."""
    return record_workers() | record_api() | record_report()


def _allowed_unrecorded(function: str) -> set[Permission]:
    """What is needed beside the function's own calls: by Lambda, for logs, and of Secrets Manager."""
    group = f"/aws/lambda/{STACK}-{function}"
    by_lambda = {("logs:CreateLogStream", group), ("logs:PutLogEvents", group)}
    if function in ("sender", "receiver"):
        by_lambda |= {("secretsmanager:GetSecretValue", f"{STACK}/gateway-token")}
    if function == "api":
        by_lambda |= {("lambda:InvokeFunction", f"{STACK}-sender")}
    if function == "receiver":
        by_lambda |= {
            ("dynamodb:BatchGetItem", f"{STACK}-clients")
        }  # for the key that its addresses' secrets follow from
    queues = {"dispatcher": "dispatch", "sender": "send", "receiver": "receipts"}
    if function in queues:
        queue = f"{STACK}-{queues[function]}"
        by_lambda |= {("sqs:GetQueueAttributes", queue)}
    return by_lambda


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_functions_role_allows_what_it_does(
    packaged: Packaged, used: dict[str, set[Permission]], function: str
) -> None:
    """Expects every recorded call to be allowed by the function's own role."""
    assert sorted(used[function] - packaged.permissions(FUNCTIONS[function])) == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_functions_role_allows_nothing_else(
    packaged: Packaged, used: dict[str, set[Permission]], function: str
) -> None:
    """Expects no action, and no table, index or queue, that the function never used."""
    allowed = packaged.permissions(FUNCTIONS[function])
    assert sorted(allowed - used[function] - _allowed_unrecorded(function)) == []


@pytest.mark.parametrize("function", ["api", "dispatcher"])
def test_whoever_adds_clients_may_create_the_key_of_their_ids(packaged: Packaged, function: str) -> None:
    """Expects each call of the first use to be allowed, as it may be an import that comes first."""
    needed: set[Permission] = set()

    def note(call: Call) -> None:
        needed.update(permissions_for(call))

    with in_process(client_ids=None) as store:
        store.aws.before = note
        store.clients.find("+79160000000")
    assert {action for action, _ in needed} == {f"dynamodb:{name}" for name in ("BatchGetItem", "Query", "PutItem")}
    assert needed - packaged.permissions(FUNCTIONS[function]) == set()


def test_every_function_has_a_role_of_its_own(packaged: Packaged) -> None:
    """Expects no two functions to share one."""
    roles = [function["Role"]["Fn::GetAtt"][0] for function in packaged.properties(FUNCTION).values()]
    assert len(roles) == len(set(roles)) == len(FUNCTIONS)


def test_no_role_has_wildcards(packaged: Packaged) -> None:
    """Expects no `*` in an action, nor in a resource except for traces."""
    for function in packaged.properties(FUNCTION):
        for statement in packaged.statements(function):
            assert statement["Effect"] == "Allow"
            assert not [action for action in as_list(statement["Action"]) if "*" in action]
        assert not [one for one in packaged.permissions(function) if "*" in one[1]]


def test_e_mails_go_only_from_the_configured_sender_to_the_configured_recipients(packaged: Packaged) -> None:
    """Expects only the API and the report to send any, and no other sender or recipient to be allowed."""
    condition = {
        "StringEquals": {"ses:FromAddress": {"Ref": "ReportFrom"}},
        "ForAllValues:StringEquals": {"ses:Recipients": {"Ref": "ReportTo"}},
    }
    mailing = {
        function: [
            one for one in packaged.statements(function) if any("ses:" in name for name in as_list(one["Action"]))
        ]
        for function in packaged.properties(FUNCTION)
    }
    found = {function: statements for function, statements in mailing.items() if statements}
    assert set(found) == {"APIHandler", "Report"}
    assert [one["Condition"] for statements in found.values() for one in statements] == [condition] * 2


def test_test_messages_go_through_the_one_function_that_may_read_the_token(packaged: Packaged) -> None:
    """Expects the API alone to call a function, namely the one that the service calls."""
    callers = {
        function: resource
        for function in packaged.properties(FUNCTION)
        for action, resource in packaged.permissions(function)
        if action.startswith("lambda:")
    }
    settings = Settings(resource_prefix=STACK, function_name=f"{STACK}-api")
    gateways: Any = None  # none is called here
    tester = choose_tester(settings, gateways, SystemClock())
    assert isinstance(tester, LambdaTester)
    assert callers == {"APIHandler": tester.function}


def test_only_functions_that_need_the_gateways_token_may_read_it(packaged: Packaged) -> None:
    """Expects no other role to name a secret at all."""
    readers = [
        function
        for function in packaged.properties(FUNCTION)
        if any(action.startswith("secretsmanager:") for action, _ in packaged.permissions(function))
    ]
    assert readers == ["Receiver", "Sender"]
