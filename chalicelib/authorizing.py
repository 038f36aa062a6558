"""The custom authorizer of API Gateway: from a header to a principal."""

from __future__ import annotations

from time import perf_counter

from chalice import AuthResponse
from chalice.app import AuthRequest

from . import bootstrap
from .domain.errors import Unauthenticated
from .observability import AUTHORIZER_LATENCY, invocation, measure
from .tracing import traced

_SCHEMES = ("token", "bearer")


class UnauthorizedError(Exception):
    """API Gateway answers 401 to this one text, and 500 to any other."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


def secret_of(header: str) -> str:
    """The secret in an Authorization header; "" where there is none."""
    scheme, _, secret = header.strip().partition(" ")
    return secret.strip() if scheme.lower() in _SCHEMES else ""


def authorize(request: AuthRequest) -> AuthResponse:
    """Let the owner of a good token pass to every route; the routes check the role."""
    started = perf_counter()
    with invocation("authorizer"), traced("authorize"):
        try:
            return _authorized(request)
        finally:
            measure(AUTHORIZER_LATENCY, (perf_counter() - started) * 1000)


def _authorized(request: AuthRequest) -> AuthResponse:
    try:
        principal = bootstrap.get_services().accounts.authenticate(secret_of(request.token))
    except Unauthenticated as error:
        raise UnauthorizedError from error
    context = {"username": principal.username, "role": str(principal.role), "token_id": principal.token_id}
    return AuthResponse(routes=["*"], principal_id=principal.username, context=context)
