"""Who may use which route: every operation, without a token, with a wrong, revoked and expired one, and with each
role."""

from __future__ import annotations

import pytest

from chalicelib.api import ROUTES
from chalicelib.api.routing import Operation
from chalicelib.domain.users import Role
from tests.support.api import PASSWORD, Api

OPERATIONS = [operation for routes in ROUTES for operation in routes.operations]
GUARDED = [operation for operation in OPERATIONS if operation.roles is not None]


def _name(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def _status(api: Api, operation: Operation, token: str) -> int:
    path = operation.path
    for name in operation.parameters:
        path = path.replace(f"{{{name}}}", "nobody")
    return api.request(operation.method, path, token=token).status


@pytest.mark.parametrize("operation", GUARDED, ids=_name)
def test_a_route_needs_a_valid_token(api: Api, operation: Operation) -> None:
    """Expects 401 without a token, and with one that was never issued, was revoked or has expired."""
    revoked = api.post("/auth-token", {"username": "operator", "password": PASSWORD}).json["token"]
    assert api.delete("/auth-token", token=revoked).status == 204
    expiring = api.post("/auth-token", {"username": "operator", "password": PASSWORD}).json["token"]
    assert _status(api, operation, "nonsense") == 401
    assert _status(api, operation, revoked) == 401
    api.pass_time(days=400)
    assert _status(api, operation, expiring) == 401
    api.token = ""
    assert _status(api, operation, "") == 401


@pytest.mark.parametrize("operation", GUARDED, ids=_name)
def test_a_route_allows_the_roles_that_it_names(api: Api, operation: Operation) -> None:
    """Expects 403 for the others, and never for these."""
    assert operation.roles is not None
    for role in Role:
        status = _status(api, operation, api.secrets[role])
        assert (status == 403) == (role not in operation.roles), f"{role}: {status}"
        assert status != 401


def test_only_an_admin_manages_users() -> None:
    """Expects this of everything under /api/users, now or later, except for one's own account."""
    users = [operation for operation in GUARDED if operation.path.startswith("/api/users")]
    others = [operation for operation in users if not operation.path.startswith("/api/users/me")]
    assert others
    assert all(operation.roles == {Role.ADMIN} for operation in others)
