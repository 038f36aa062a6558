"""Authentication: from the Authorization header to the user, in the function that serves the request."""

from __future__ import annotations

from ..domain.users import Principal
from ..web.request import Request

_SCHEMES = ("token", "bearer")


def secret_of(request: Request) -> str:
    """The secret in a request's Authorization header; "" if there is none."""
    scheme, _, secret = (request.header("authorization") or "").strip().partition(" ")
    return secret.strip() if scheme.lower() in _SCHEMES else ""


def principal_of(request: Request) -> Principal:
    """The user of a request's token. Raises Unauthenticated if it has no valid token."""
    return request.services.users.authenticate(secret_of(request))
