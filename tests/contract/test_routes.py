"""Every route: with and without a slash at the end, and behind a token unless it is meant to be public."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app import app
from chalicelib import api
from chalicelib.api.routing import Operation
from infra.local.gateway_responses import GATEWAY_RESPONSES
from tests.support.api import PASSWORD, Api, new_api

OPERATIONS = [operation for routes in api.ROUTES for operation in routes.operations]
DOCS = ("/api/schema", "/api/docs", "/api/docs/swagger-ui.js", "/api/docs/swagger-ui.css", "/api/docs/start.js")
OPEN = ("/", "/health", "/health/ready", *DOCS)
# With a secret in their address instead.
CALLED_BY_GATEWAYS = ("/gateway/receipts/{gateway}/{secret}", "/gateway/replies/{gateway}/{secret}")
CALLBACKS = {(method, path) for method in ("GET", "POST") for path in CALLED_BY_GATEWAYS}
PUBLIC = {("POST", "/auth-token"), *(("GET", path) for path in OPEN), *CALLBACKS}


@pytest.fixture(scope="module")
def service() -> Iterator[Api]:
    """Shared: the ids in the paths do not exist, so hardly a request changes anything."""
    with new_api() as made:
        yield made


def _name(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def _path(operation: Operation) -> str:
    return operation.path.format(**dict.fromkeys(operation.parameters, "nobody"))


def _new_token(service: Api) -> str:
    return service.services.users.issue_token("admin", PASSWORD, "test").secret


def _body(operation: Operation) -> Any:
    return {} if operation.body_type is not None else None


@pytest.mark.parametrize("operation", OPERATIONS, ids=_name)
def test_a_route_answers_the_same_with_a_slash_at_its_end(operation: Operation, service: Api) -> None:
    """Expects the service itself to answer both in the same way, and not just that the path is unknown."""
    path = _path(operation).rstrip("/")
    without, with_slash = (
        # A token for each, because one request may revoke its own, and all others.
        service.request(operation.method, form, _body(operation), token=_new_token(service))
        for form in (path or "/", f"{path}/")
    )
    assert without.status == with_slash.status < 500
    if without.status >= 400:
        assert without.text == with_slash.text != GATEWAY_RESPONSES["MISSING_AUTHENTICATION_TOKEN"].body.decode()


@pytest.mark.parametrize("operation", OPERATIONS, ids=_name)
def test_a_route_needs_a_token_unless_it_is_public(operation: Operation, service: Api) -> None:
    """Expects 401 from all others, without a token and with one that was never issued."""
    public = (operation.method, operation.path) in PUBLIC
    statuses = {
        service.request(operation.method, _path(operation), _body(operation), token=token).status
        for token in ("", "not-a-token")
    }
    assert (401 not in statuses) if public else (statuses == {401})


def test_no_route_is_written_with_a_slash_at_its_end() -> None:
    """Chalice refuses to package such a route."""
    assert [path for path in app.routes if path.endswith("/") and path != "/"] == []
