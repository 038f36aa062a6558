"""/ and /health: what answers here, and whether it does."""

from __future__ import annotations

from typing import Literal

from ..domain.errors import Unavailable
from .fields import View
from .routing import Call, Routes

routes = Routes("service")


class Index(View):
    """Where things are."""

    service: str
    api: dict[str, str]
    health: str


class Health(View):
    """That the service answers and reaches its tables."""

    status: Literal["ok"] = "ok"


RESOURCES = {
    "auth-token": "/auth-token/",
    "users": "/api/users/",
    "clients": "/api/clients/",
    "mailing": "/api/mailing/",
    "messages": "/api/messages/",
}


@routes.route("GET", "/", roles=None)
def read_index(call: Call) -> Index:
    """Say where things are."""
    return Index(
        service="Message Service",
        api={name: call.link(path) for name, path in RESOURCES.items()},
        health=call.link("/health"),
    )


@routes.route("GET", "/health", roles=None, errors=(Unavailable,))
def read_health(call: Call) -> Health:
    """Say whether the service works."""
    call.services.mailings.totals()
    return Health()
