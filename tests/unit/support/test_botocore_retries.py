"""Calls of the simulated AWS are tried again as botocore itself does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from chalicelib.aws_clients import aws_client
from tests.support.aws import Call, InProcessAws


@pytest.fixture
def aws() -> Iterator[InProcessAws]:
    fake = InProcessAws()
    with fake.installed():
        yield fake


def failing(aws: InProcessAws, error: Exception, times: int) -> list[float]:
    """Let so many calls fail; how long botocore waits after each."""
    waits: list[float] = []

    def before(call: Call) -> None:
        if len(aws.calls) <= times:
            raise error

    aws.before, aws.wait = before, waits.append
    return waits


def answered(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "-"}}, "ListTables")


@pytest.mark.parametrize(
    "error",
    [
        answered("ThrottlingException"),
        answered("ProvisionedThroughputExceededException"),
        answered("RequestLimitExceeded"),
        answered("TransactionInProgressException"),
        answered("InternalServerError"),
        ConnectionClosedError(endpoint_url="-"),
        ReadTimeoutError(endpoint_url="-"),
    ],
)
def test_passing_trouble_is_tried_four_times_in_all(aws: InProcessAws, error: Exception) -> None:
    """Full jitter up to 1, 2 and 4 seconds (botocore/retries/standard.py)."""
    waits = failing(aws, error, 3)
    assert aws_client("dynamodb").list_tables()["TableNames"] == []
    assert len(aws.calls) == 4
    assert all(0 <= wait <= most for wait, most in zip(waits, (1, 2, 4), strict=True))


@pytest.mark.parametrize(
    "code", ["TransactionConflictException", "TransactionCanceledException", "ValidationException"]
)
def test_what_no_try_cures_is_not_tried_again(aws: InProcessAws, code: str) -> None:
    """A conflict of transactions is among them: trying again is the caller's."""
    failing(aws, answered(code), 1)
    with pytest.raises(ClientError):
        aws_client("dynamodb").list_tables()
    assert len(aws.calls) == 1


def test_the_fifth_failure_is_the_callers(aws: InProcessAws) -> None:
    failing(aws, answered("ThrottlingException"), 4)
    with pytest.raises(ClientError):
        aws_client("dynamodb").list_tables()
    assert len(aws.calls) == 4


def test_a_process_that_is_refused_all_the_time_stops_trying_again(aws: InProcessAws) -> None:
    """500 units of quota, 5 a try: after a hundred of them each call is made once. Another process has its own."""
    client: Any = aws_client("dynamodb")
    failing(aws, answered("ThrottlingException"), 10**6)
    for _ in range(40):
        with pytest.raises(ClientError):
            client.list_tables()
    assert len(aws.calls) == 40 + 100
    aws.caller = lambda: "another"
    with pytest.raises(ClientError):
        client.list_tables()
    assert len(aws.calls) == 140 + 4
