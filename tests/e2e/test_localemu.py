"""With IAM enforced by LocalEmu: functions may do what they do, and their credentials allow nothing else.

The tests for every engine run on it before these, while one call in twenty of DynamoDB and SQS is throttled.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any

import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.deploy import stack_name
from tests.support.deployment import STAGE
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, wait_until
from tests.support.localstack_run import LocalStackRun
from tests.support.orders import add_clients, order, statuses, wait_for_end

pytestmark = pytest.mark.localemu
BOUND = 180.0  # seconds
NAME = stack_name(STAGE)
KEY = {"key": {"S": "user#admin"}}
QUEUE = "http://sqs.us-east-1.localhost/000000000000/"
THROTTLED = "OverLimit"  # one call in twenty of SQS, by THROTTLING; botocore tries again after all other codes of it
# Each is outside the policy of the function; tests/contract/test_permissions.py says which ones are inside.
OUTSIDE: dict[tuple[str, str, str], dict[str, Any]] = {
    ("tick", "dynamodb", "get_item"): {"TableName": f"{NAME}-users", "Key": KEY},
    ("tick", "dynamodb", "scan"): {"TableName": f"{NAME}-clients"},
    ("sender", "dynamodb", "get_item"): {"TableName": f"{NAME}-users", "Key": KEY},
    ("sender", "dynamodb", "delete_table"): {"TableName": f"{NAME}-ledger"},
    ("sender", "sqs", "purge_queue"): {"QueueUrl": f"{QUEUE}{NAME}-send"},
    ("dispatcher", "secretsmanager", "get_secret_value"): {"SecretId": f"{NAME}/gateway-token"},
    ("dispatcher", "dynamodb", "scan"): {"TableName": f"{NAME}-users"},
    ("receiver", "dynamodb", "get_item"): {"TableName": f"{NAME}-users", "Key": KEY},
    ("receiver", "dynamodb", "scan"): {"TableName": f"{NAME}-clients"},
    ("report", "dynamodb", "query"): {
        "TableName": f"{NAME}-users",
        "KeyConditionExpression": "#k = :k",
        "ExpressionAttributeNames": {"#k": "key"},
        "ExpressionAttributeValues": {":k": {"S": "user#admin"}},
    },
    ("api", "secretsmanager", "get_secret_value"): {"SecretId": f"{NAME}/gateway-token"},
    ("api", "dynamodb", "scan"): {"TableName": f"{NAME}-clients"},
    ("api", "sqs", "purge_queue"): {"QueueUrl": f"{QUEUE}{NAME}-send-dead"},
    ("api", "lambda", "delete_function"): {"FunctionName": f"{NAME}-sender"},
    ("api", "iam", "list_users"): {},
    ("api", "s3", "list_buckets"): {},
}


def _environment(run: LocalStackRun, function: str) -> dict[str, str]:
    """The environment of a function's process; empty if there is none."""
    for pid in run.emulator.pids:
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                found = process.environ()
                if found.get("AWS_LAMBDA_FUNCTION_NAME") == f"{NAME}-{function}":
                    return found
    return {}


def _as_function(run: LocalStackRun, function: str, service: str) -> Any:
    """A client of a service with a function's own credentials, as its process has them."""
    if not _environment(run, function):
        # Nothing to do for any of them: it only has to be there.
        run.client("lambda").invoke(FunctionName=f"{NAME}-{function}", Payload=b'{"Records": []}')
    wait_until(lambda: _environment(run, function), BOUND)
    own = _environment(run, function)
    return run.client(
        service,
        config=Config(retries={"mode": "standard", "total_max_attempts": 8}),
        aws_access_key_id=own["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=own["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=own["AWS_SESSION_TOKEN"],
    )


def _denials(run: LocalStackRun) -> list[str]:
    """The calls that the emulator refused to functions, by its log; anonymous ones only ask whether it is there."""
    text = run.emulator.log.read_text(encoding="utf-8", errors="replace")
    return [line for line in re.findall(r"IAM DENY .*", text) if not line.endswith(" to *")]


def test_no_function_was_denied_anything(api: ApiCaller, run: LocalStackRun, gateway: FaultyGateway) -> None:
    """Expects no denial of any call by the tests before or by one more mailing, throttled as they were."""
    add_clients(run, 30, tag="enforced")
    mailing_id = order(api, "enforced")
    assert wait_for_end(api, mailing_id, BOUND)["counts"]["sent"] == 30
    assert statuses(api, mailing_id) == {"sent": 30}
    assert set(gateway.calls().values()) == {1}
    assert _denials(run) == []


def test_calls_were_throttled(api: ApiCaller, run: LocalStackRun) -> None:
    """Expects the emulator to have throttled some calls of DynamoDB and SQS, without any test noticing."""

    def throttled() -> set[str]:
        text = run.emulator.log.read_text(encoding="utf-8", errors="replace")
        return set(re.findall(r"Throttling simulated for (dynamodb|sqs)\.", text))

    wait_until(lambda: api.call("GET", "/api/clients/") and throttled() == {"dynamodb", "sqs"}, BOUND)


@pytest.mark.parametrize("call", OUTSIDE, ids=".".join)
def test_calls_that_a_functions_role_does_not_allow_are_refused(run: LocalStackRun, call: tuple[str, str, str]) -> None:
    """Expects every call outside its policy to be denied, made with its own credentials."""
    function, service, operation = call
    asked = getattr(_as_function(run, function, service), operation)
    codes = []
    while not codes or (codes[-1] == THROTTLED and len(codes) < 20):
        with pytest.raises(ClientError) as caught:
            asked(**OUTSIDE[call])
        codes.append(caught.value.response["Error"]["Code"])
    assert "AccessDenied" in codes[-1]


def test_calls_that_a_functions_role_allows_are_answered(run: LocalStackRun) -> None:
    """Expects the same credentials to work for what the function does: so it is the call that is refused above."""
    found = _as_function(run, "api", "dynamodb").batch_get_item(RequestItems={f"{NAME}-users": {"Keys": [KEY]}})
    assert found["Responses"][f"{NAME}-users"]


def test_every_function_is_tried(run: LocalStackRun) -> None:
    """Expects no function of the stack to be missing in the list above."""
    names = {one["FunctionName"].removeprefix(f"{NAME}-") for one in run.client("lambda").list_functions()["Functions"]}
    assert names == {function for function, _, _ in OUTSIDE}
