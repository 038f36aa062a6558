"""Who makes a request: from its Authorization header to a principal, in the function that serves the request."""

from __future__ import annotations

from ..domain.users import Principal
from ..web.request import Call

_SCHEMES = ("token", "bearer")


def secret_of(call: Call) -> str:
    """The secret in a request's Authorization header; "" if there is none."""
    scheme, _, secret = (call.header("authorization") or "").strip().partition(" ")
    return secret.strip() if scheme.lower() in _SCHEMES else ""


def principal_of(call: Call) -> Principal:
    """Whose token a request carries; Unauthenticated if it carries none that is good now."""
    return call.services.accounts.authenticate(secret_of(call))
