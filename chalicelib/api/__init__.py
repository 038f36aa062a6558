"""The REST API: one module for each resource, its models beside its routes."""

from __future__ import annotations

from . import (
    auth,
    clients,
    docs,
    exports,
    gateway,
    health,
    history,
    imports,
    mailing_actions,
    mailings,
    messages,
    metrics,
    previews,
    prices,
    queues,
    receipts,
    replies,
    reports,
    segments,
    statistics,
    templates,
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
    mailing_actions.routes,
    statistics.routes,
    previews.routes,
    templates.routes,
    segments.routes,
    prices.routes,
    messages.routes,
    queues.routes,
    gateway.routes,
    receipts.routes,
    replies.routes,
    reports.routes,
    health.routes,
    metrics.routes,
    history.routes,
    docs.routes,
)
