"""The gateway's bearer token: a setting locally, a secret of Secrets Manager on AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from ..config import Settings
from ..domain.reasons import Cause, Reason

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters.base import BaseProvider

MAX_AGE = 300  # seconds for which a token is used before it is read again
REST = 10.0  # seconds between two forced reads, whether they succeed or not


class NoToken(Exception):
    """The token cannot be read now, for this cause."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(str(cause))
        self.cause = cause


class GatewayToken:
    """The token in the settings, or in the secret that they name. May be used by several threads at once."""

    def __init__(
        self,
        settings: Settings,
        provider: Callable[[], BaseProvider] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secret = settings.gateway_token_secret
        self._name = settings.gateway_name
        self._set = _own(settings.gateway_token, self._name)
        self._key_set = _own(settings.gateway_token, self._name, "signature")
        self._make_provider = provider or _secrets_manager
        self._clock = clock
        self._provider: BaseProvider | None = None
        self._lock = Lock()  # one thread reads, and the others of a batch wait for it
        self._refused = ""
        self._tried_at: float | None = None
        self._failure: Reason | None = None

    def get(self) -> str:
        """The token. Raises NoToken if the secret cannot be read or has none."""
        if not self._secret:
            return self._set
        with self._lock:
            if self._failure and self._rests():
                raise NoToken(Cause(self._failure))
            token = self._read(fresh=bool(self._failure))
            if token == self._refused and not self._rests():
                token = self._read(fresh=True)
            return token

    def signature(self) -> str:
        """The key of its callbacks' signatures, "" if there is none. Raises NoToken if the secret cannot be read."""
        if not self._secret:
            return self._key_set
        with self._lock:
            if self._failure and self._rests():
                raise NoToken(Cause(self._failure))
            return _own(self._content(fresh=bool(self._failure)), self._name, "signature")

    def refuse(self, token: str) -> None:
        """Note a 401: the secret is read again before its next use, because it may have been changed."""
        with self._lock:
            if token != self._refused:
                self._refused, self._tried_at = token, None

    def _rests(self) -> bool:
        return self._tried_at is not None and self._clock() - self._tried_at < REST

    def _read(self, *, fresh: bool) -> str:
        token = _own(self._content(fresh=fresh), self._name)
        if not token or not all("!" <= character <= "~" for character in token):
            self._fail(Reason.TOKEN_SECRET_INVALID, None)
        self._failure = None
        return token

    def _content(self, *, fresh: bool) -> str:
        """The content of the secret, from Powertools' cache or from the secret itself; "" if it is not text."""
        from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

        if fresh:
            self._tried_at = self._clock()
        try:
            self._provider = self._provider or self._make_provider()
            content = self._provider.get(self._secret, max_age=MAX_AGE, force_fetch=fresh)
        except GetParameterError as error:
            self._fail(Reason.TOKEN_SECRET_UNREADABLE, error)
        return content if isinstance(content, str) else ""

    def _fail(self, failure: Reason, cause: Exception | None) -> None:
        self._failure, self._tried_at = failure, self._clock()
        raise NoToken(Cause(failure)) from cause


def _own(content: str, name: str, part: Literal["token", "signature"] = "token") -> str:
    """The token, or the key of signatures, in a secret; if there are several gateways, the one with this name.

    Several gateways share one secret, a JSON object by name, so that a new gateway needs no further permission. Each
    value is a token, or an object with `token` and `signature`.
    """
    found: Any = content.strip()
    try:
        if name:
            found = json.loads(found)[name]
        elif found.startswith("{"):
            found = json.loads(found)
        found = found.get(part) if isinstance(found, dict) else (found if part == "token" else "")
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return found.strip() if isinstance(found, str) else ""


def _secrets_manager() -> BaseProvider:
    # Imported here because it takes 60 ms and only a sender on AWS needs it.
    from aws_lambda_powertools.utilities.parameters.secrets import SecretsProvider
    from botocore.config import Config

    # Short, because it is a part of the gateway call, which must end in time.
    bounds = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
    return SecretsProvider(boto_config=bounds)
