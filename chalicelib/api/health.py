"""/, /health and /health/ready: what answers here, and whether it does."""

from __future__ import annotations

from typing import Literal

from .. import __version__
from ..domain.gateway_control import Circuit
from ..web.fields import View
from ..web.request import Request
from .routing import Routes

routes = Routes("service")


class Index(View):
    """Where things are."""

    service: str
    version: str
    api: dict[str, str]
    health: str


class Health(View):
    """That the service answers, and which version of it."""

    status: Literal["ok"] = "ok"
    version: str


class ReadinessView(View):
    """That all tables and queues answer, and how the gateway is: `open` and `held` circuits keep messages waiting.

    The service is ready with an open circuit too: it takes orders, and sends what waits once the gateway is back.
    """

    status: Literal["ready"] = "ready"
    circuit: Circuit


RESOURCES = {
    "auth-token": "/auth-token/",
    "users": "/api/users/",
    "clients": "/api/clients/",
    "mailing": "/api/mailing/",
    "messages": "/api/messages/",
}


@routes.route("GET", "/", roles=None)
def read_index(request: Request) -> Index:
    """Say where things are."""
    return Index(
        service="Message Service",
        version=__version__,
        api={name: request.link(path) for name, path in RESOURCES.items()},
        health=request.link("/health"),
    )


@routes.route("GET", "/health", roles=None)
def read_health(request: Request) -> Health:
    """Say that the service answers. Asks nothing of tables, queues and gateway."""
    del request
    return Health(version=__version__)


@routes.route("GET", "/health/ready", roles=None)
def read_readiness(request: Request) -> ReadinessView:
    """Say whether the service can work: 503 names the tables or queues that do not answer within seconds."""
    return ReadinessView(circuit=request.services.readiness.check().circuit)
