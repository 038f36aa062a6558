"""Token authorizers are run, believed and remembered as API Gateway does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chalice.app import AuthResponse, AuthRoute, Chalice

from chalicelib.clock import SystemClock
from infra.local.authorization import Authorizers, RefusedError


class FrozenClock(SystemClock):
    """Moves when told."""

    moment = datetime(2026, 11, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


def _authorize(
    function: Callable[[Any], object], token: str | None = "Bearer x", path: str = "/things", ttl: int = 0
) -> dict[str, str] | None:
    return _prepared(function, ttl)(token, path)


def _prepared(
    function: Callable[[Any], object], ttl: int, clock: SystemClock | None = None
) -> Callable[[str | None, str], dict[str, str] | None]:
    app = Chalice("app", configure_logs=False)
    authorizer = app.authorizer(name="guard", ttl_seconds=ttl)(function)
    app.route("/things", authorizer=authorizer)(lambda: {})
    entry = app.routes["/things"]["GET"]
    authorizers = Authorizers(clock or FrozenClock(), "eu-west-1")
    return lambda token, path: authorizers.authorize(entry, {"authorization": token or ""}, path, "request")


def _refused(function: Callable[[Any], object], token: str | None = "Bearer x") -> str:
    with pytest.raises(RefusedError) as caught:
        _authorize(function, token)
    return str(caught.value)


def _raising(message: str) -> Callable[[Any], object]:
    def function(request: Any) -> object:
        raise RuntimeError(message)

    return function


def test_the_context_reaches_the_request_as_text() -> None:
    """Expects the principal and every value of the context, as the strings that API Gateway makes of them."""
    seen: list[Any] = []

    def function(request: Any) -> AuthResponse:
        seen.append((request.auth_type, request.token, request.method_arn))
        return AuthResponse(["*"], "bob", {"admin": True, "level": 3, "name": "Bob"})  # type: ignore[dict-item]

    assert _authorize(function) == {"principalId": "bob", "admin": "true", "level": "3", "name": "Bob"}
    assert seen == [("TOKEN", "Bearer x", "arn:aws:execute-api:eu-west-1:000000000000:local/local/GET/things")]


def test_without_a_token_nobody_is_asked() -> None:
    """Expects 401 without an invocation."""
    assert _refused(_raising("never called"), None) == "UNAUTHORIZED"


def test_the_word_unauthorized_means_401() -> None:
    """Expects the one exception that API Gateway understands to be told from a failure."""
    assert _refused(_raising("Unauthorized")) == "UNAUTHORIZED"
    assert _refused(_raising("unauthorized")) == "AUTHORIZER_FAILURE"


@pytest.mark.parametrize("routes", [[], ["/others"], [AuthRoute("/things", ["POST"])]])
def test_a_policy_without_the_route_denies(routes: list[Any]) -> None:
    """Expects 403 where nothing allows this method of this path."""
    assert _refused(lambda _: AuthResponse(routes, "bob")) == "ACCESS_DENIED"


@pytest.mark.parametrize("routes", [["/things"], ["/th*"], [AuthRoute("/things", ["GET"])]])
def test_a_policy_with_the_route_allows(routes: list[Any]) -> None:
    """Expects literal paths, wildcards and methods to be understood."""
    assert _authorize(lambda _: AuthResponse(routes, "bob")) == {"principalId": "bob"}


def test_an_explicit_deny_wins() -> None:
    """Expects a Deny to outweigh any Allow."""
    statements = [{"Effect": effect, "Action": "execute-api:*", "Resource": "*"} for effect in ("Allow", "Deny")]
    assert _refused(lambda _: {"principalId": "bob", "policyDocument": {"Statement": statements}}) == "ACCESS_DENIED"


@pytest.mark.parametrize("answer", [None, {}, "yes", {"policyDocument": None}, {"principalId": "bob"}])
def test_an_answer_that_is_no_policy_is_a_failure(answer: object) -> None:
    """Expects a broken authorizer to lock callers out."""
    assert _refused(lambda _: answer) == "AUTHORIZER_FAILURE"


def test_a_nested_context_is_a_failure() -> None:
    """Expects what API Gateway refuses to be refused here, too."""
    assert _refused(lambda _: AuthResponse(["*"], "bob", {"roles": ["a"]})) == "AUTHORIZER_FAILURE"  # type: ignore[dict-item]


def test_a_policy_is_remembered_for_its_time_only() -> None:
    """Expects one invocation for each token and ttl, and the remembered policy to be checked against each path."""
    clock = FrozenClock()
    tokens: list[str] = []

    def function(request: Any) -> AuthResponse:
        tokens.append(request.token)
        return AuthResponse(["/things"], "bob")

    authorize = _prepared(function, 60, clock)
    authorize("a", "/things")
    authorize("a", "/things")
    authorize("b", "/things")
    with pytest.raises(RefusedError, match="ACCESS_DENIED"):
        authorize("a", "/others")
    clock.moment += timedelta(seconds=60)
    authorize("a", "/things")
    assert tokens == ["a", "b", "a"]


def test_without_a_time_nothing_is_remembered() -> None:
    """Expects a revoked token to be refused at once."""
    calls: list[Any] = []

    def function(request: Any) -> AuthResponse:
        calls.append(request)
        return AuthResponse(["*"], "bob")

    authorize = _prepared(function, 0)
    authorize("a", "/things")
    authorize("a", "/things")
    assert len(calls) == 2
