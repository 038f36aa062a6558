"""Runs Chalice's token authorizers as API Gateway does, its cache of policies included."""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalice.app import ChaliceAuthorizer, RouteEntry

from chalicelib.clock import SystemClock
from infra.local.lambda_context import ACCOUNT, LambdaContext

logger = logging.getLogger(__name__)

STAGE = "local"
_API_ID = "local"
_CACHE_LIMIT = 1000
_TIMEOUT = 30.0

Answer = dict[str, Any]


class RefusedError(Exception):
    """The request is not let through; the argument is a key of GATEWAY_RESPONSES."""


@dataclass(frozen=True, slots=True)
class _Cached:
    answer: Answer
    until: datetime


class Authorizers:
    """Asks a route's authorizer who is calling and whether they may."""

    def __init__(self, clock: SystemClock, region: str) -> None:
        self._clock = clock
        self._region = region
        self._cache: dict[tuple[str, str], _Cached] = {}
        self._lock = threading.Lock()

    def authorize(
        self, entry: RouteEntry, headers: dict[str, str], path: str, request_id: str
    ) -> dict[str, str] | None:
        """What requestContext.authorizer holds; None for an open route; RefusedError if the caller may not pass."""
        authorizer = entry.authorizer
        if authorizer is None:
            return None
        if not isinstance(authorizer, ChaliceAuthorizer):
            logger.error("%s: only token authorizers of Chalice can be run locally", entry.uri_pattern)
            raise RefusedError("AUTHORIZER_FAILURE")
        token = headers.get(authorizer.config.header.lower(), "")
        if not token:
            raise RefusedError("UNAUTHORIZED")
        arn = f"arn:aws:execute-api:{self._region}:{ACCOUNT}:{_API_ID}/{STAGE}/{entry.method}/{path[1:]}"
        answer = self._answer(authorizer, token, arn, request_id)
        try:
            if not _allows(answer["policyDocument"], arn):
                raise RefusedError("ACCESS_DENIED")
            return {"principalId": str(answer["principalId"]), **_context(answer.get("context") or {})}
        except (KeyError, TypeError, AttributeError) as error:
            logger.error("%s: not an authorizer's answer: %r", authorizer.name, error)
            raise RefusedError("AUTHORIZER_FAILURE") from error

    def _answer(self, authorizer: ChaliceAuthorizer, token: str, arn: str, request_id: str) -> Answer:
        key = (authorizer.name, token)
        now = self._clock.now()
        cached = self._cache.get(key)
        if cached is not None and now < cached.until:
            return cached.answer
        answer = self._invoke(authorizer, token, arn, request_id)
        # API Gateway's own default is 300 s; here only a time that the app asks for is kept.
        ttl = authorizer.config.ttl_seconds
        if ttl:
            with self._lock:
                if len(self._cache) >= _CACHE_LIMIT:
                    self._cache.clear()
                self._cache[key] = _Cached(answer, now + timedelta(seconds=ttl))
        return answer

    def _invoke(self, authorizer: ChaliceAuthorizer, token: str, arn: str, request_id: str) -> Answer:
        context: Any = LambdaContext(authorizer.name, request_id, _TIMEOUT, self._clock, self._region)
        event = {"type": "TOKEN", "authorizationToken": token, "methodArn": arn}
        try:
            answer: Answer = authorizer(event, context)
        except Exception as error:
            # API Gateway knows this one word of a function's exception; everything else is the function's failure.
            if str(error) == "Unauthorized":
                raise RefusedError("UNAUTHORIZED") from error
            logger.exception("%s: the authorizer failed", authorizer.name)
            raise RefusedError("AUTHORIZER_FAILURE") from error
        return answer


def _allows(policy: dict[str, Any], arn: str) -> bool:
    effects = {
        statement["Effect"]
        for statement in _listed(policy["Statement"])
        if _any_matches(statement["Action"], "execute-api:Invoke") and _any_matches(statement["Resource"], arn)
    }
    return effects == {"Allow"}


def _any_matches(patterns: object, text: str) -> bool:
    return any(_matches(str(pattern), text) for pattern in _listed(patterns))


def _matches(pattern: str, text: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _context(context: dict[str, Any]) -> dict[str, str]:
    """API Gateway hands every value on as text, and takes nothing nested."""
    values: dict[str, str] = {}
    for name, value in context.items():
        if isinstance(value, bool):
            values[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            values[name] = str(value)
        else:
            raise TypeError(f"context value {name} is {type(value).__name__}")
    return values
