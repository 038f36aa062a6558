"""/, /health and /health/ready: the main addresses, and whether the service works."""

from __future__ import annotations

from typing import Literal

from .. import __version__
from ..domain.gateway_control import Circuit
from ..web.fields import View
from ..web.request import Request
from .routing import Routes, SeeOther

routes = Routes("service")


class Index(View):
    """The main addresses of the service."""

    service: str
    version: str
    admin: str
    docs: str
    api: dict[str, str]
    health: str


class Health(View):
    """The service answers, and this is its version."""

    status: Literal["ok"] = "ok"
    version: str


class ReadinessView(View):
    """All tables and queues answer. `circuit` says whether sending is paused (`open` or `held`).

    The service is ready even if sending is paused: it accepts mailings, and sends waiting messages once sending is
    resumed.
    """

    status: Literal["ready"] = "ready"
    circuit: Circuit


RESOURCES = {
    "auth-token": "/auth-token/",
    "users": "/api/users/",
    "clients": "/api/clients/",
    "mailing": "/api/mailing/",
    "messages": "/api/messages/",
    "segments": "/api/segments/",
    "templates": "/api/templates/",
    "replies": "/api/replies/",
}


@routes.route("GET", "/", roles=None)
def read_index(request: Request) -> Index:
    """List the main addresses of the service. A browser is sent to the admin UI."""
    admin = request.link("/admin")
    if "text/html" in (request.header("accept") or ""):
        raise SeeOther(admin)
    return Index(
        service="Message Service",
        version=__version__,
        admin=admin,
        docs=request.link("/api/docs/"),
        api={name: request.link(path) for name, path in RESOURCES.items()},
        health=request.link("/health"),
    )


@routes.route("GET", "/health", roles=None)
def read_health(request: Request) -> Health:
    """Check that the service answers. Tables, queues and gateway are not checked."""
    del request
    return Health(version=__version__)


@routes.route("GET", "/health/ready", roles=None)
def read_readiness(request: Request) -> ReadinessView:
    """Check that the service can work. If tables or queues do not answer within seconds, the answer is a 503 that
    names them.
    """
    return ReadinessView(circuit=request.services.readiness.check().circuit)
