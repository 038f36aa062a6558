"""The REST API: one module for each resource, its models beside its routes."""

from __future__ import annotations

from . import (
    auth,
    clients,
    docs,
    exports,
    gateway,
    imports,
    mailings,
    messages,
    metrics,
    previews,
    queues,
    reports,
    service,
    statistics,
    steering,
    traces,
    users,
)
from .routing import Routes

ROUTES: tuple[Routes, ...] = (
    auth.routes,
    users.routes,
    clients.routes,
    imports.routes,
    exports.routes,
    mailings.routes,
    steering.routes,
    statistics.routes,
    previews.routes,
    messages.routes,
    queues.routes,
    gateway.routes,
    reports.routes,
    service.routes,
    metrics.routes,
    traces.routes,
    docs.routes,
)
