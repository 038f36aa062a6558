"""botocore's own retries, in "standard" mode, for calls that never reach its endpoint.

botocore's own classes (botocore/retries/standard.py) decide what is retried, how often, after which pause and with
which quota; only the sleep is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import OperationModel
from botocore.retries.quota import RetryQuota
from botocore.retries.standard import (
    ExponentialBackoff,
    RetryContext,
    RetryQuotaChecker,
    StandardRetryConditions,
)

_SERVER_ERRORS = {"InternalServerError", "InternalServerErrorException", "InternalFailure", "ServiceUnavailable"}


class Retries:
    """The retries of one client in one process, which share a quota."""

    def __init__(self, total_max_attempts: int, random: Callable[[], float]) -> None:
        self._conditions = StandardRetryConditions(total_max_attempts)
        self._backoff = ExponentialBackoff(random=random)
        self._quota = RetryQuotaChecker(RetryQuota())

    def carry_out(
        self, model: OperationModel, send: Callable[[], dict[str, Any]], wait: Callable[[float], None]
    ) -> dict[str, Any]:
        """The answer of the first attempt that botocore accepts. Raises the last attempt's error if there is none."""
        request_context: dict[str, Any] = {}
        attempt = 1
        while True:
            try:
                answer = send()
            except (ClientError, BotoCoreError) as error:
                context = _context(attempt, model, error, request_context)
                if not self._conditions.is_retryable(context) or not self._quota.acquire_retry_quota(context):
                    raise
                wait(self._backoff.delay_amount(context))
                attempt += 1
            else:
                self._quota.release_retry_quota(request_context, SimpleNamespace(status_code=HTTPStatus.OK))
                return answer


def _context(
    attempt: int, model: OperationModel, error: ClientError | BotoCoreError, request_context: dict[str, Any]
) -> RetryContext:
    if not isinstance(error, ClientError):
        return RetryContext(attempt, model, caught_exception=error, request_context=request_context)
    code = error.response["Error"]["Code"]
    given = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    status = given or (HTTPStatus.INTERNAL_SERVER_ERROR if code in _SERVER_ERRORS else HTTPStatus.BAD_REQUEST)
    response = SimpleNamespace(status_code=status, headers={})
    return RetryContext(attempt, model, error.response, response, request_context=request_context)
