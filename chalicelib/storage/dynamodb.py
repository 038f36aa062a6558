"""Calls to DynamoDB: repeats them if it is too busy, and translates its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException, TransactWriteError

from ..clock import Backoff
from ..domain.errors import Unavailable

T = TypeVar("T")
TRIES = 8
Item = dict[str, dict[str, Any]]  # in DynamoDB's form, with a type for each value
_READS = 100  # the limit of BatchGetItem
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
TRANSIENT = frozenset(
    {
        "InternalServerError",
        "InternalServerErrorException",
        "ItemCollectionSizeLimitExceeded",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn any error of DynamoDB or the network into Unavailable. Failed conditions that matter are caught before."""
    try:
        yield
    except (PynamoDBException, ClientError, BotoCoreError) as error:
        raise Unavailable(f"{what}: {type(error).__name__}") from error


def code_of(error: PynamoDBException) -> str:
    """The code of DynamoDB's answer, "" if none came: PynamoDB's own property breaks on a broken connection."""
    response = getattr(error.cause, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def was_refused(error: PynamoDBException) -> bool:
    """Whether a write's condition did not hold."""
    return code_of(error) == "ConditionalCheckFailedException"


def transact(backoff: Backoff, run: Callable[[], None]) -> tuple[str | None, ...]:
    """Run a transaction, and repeat it while it conflicts with others.

    Returns () if it succeeded, else the reason of each action, such as "ConditionalCheckFailed" or None.
    """
    for tries in range(1, TRIES + 1):
        try:
            run()
        except TransactWriteError as error:
            codes = tuple(None if reason is None else reason.code for reason in error.cancellation_reasons)
            if codes and not any(code in TRANSIENT for code in codes):
                return codes
            if tries == TRIES or (not codes and code_of(error) not in TRANSIENT):
                raise
            backoff.wait(tries)
        else:
            return ()
    raise AssertionError("the loop returns or raises")


def read_items(
    dynamodb: Any, backoff: Backoff, table: str, keys: Sequence[Item], *, consistent: bool, names: Sequence[str] = ()
) -> Iterator[Item]:
    """The items with these keys, as far as they exist, in no order; only the attributes in `names`, if it is not empty.

    Each key must be given once only. Raises Unavailable if DynamoDB repeatedly leaves some unread.
    """
    what = table.rpartition("-")[2]
    for start in range(0, len(keys), _READS):
        wanted: dict[str, Any] = {"Keys": list(keys[start : start + _READS]), "ConsistentRead": consistent}
        if names:
            wanted["ExpressionAttributeNames"] = {f"#{place}": name for place, name in enumerate(names)}
            wanted["ProjectionExpression"] = ", ".join(wanted["ExpressionAttributeNames"])
        request = {table: wanted}
        for tries in range(1, TRIES + 1):
            with translated(what):
                answer = dynamodb.batch_get_item(RequestItems=request)
            yield from answer["Responses"].get(table, [])
            request = answer.get("UnprocessedKeys") or {}
            if not request:
                break
            if tries == TRIES:
                raise Unavailable(f"{what}: DynamoDB is too busy")
            backoff.wait(tries)
