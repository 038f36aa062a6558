"""Paths find their routes as they do in API Gateway."""

from __future__ import annotations

import pytest

from infra.local.routing import RouteTable

TABLE = RouteTable(
    ["/", "/api/users", "/api/users/{name}", "/api/users/me", "/api/{kind}/all", "/{page}", "/pages/{proxy+}"]
)


@pytest.mark.parametrize(
    ("path", "route", "parameters"),
    [
        ("/", "/", {}),
        ("/api/users", "/api/users", {}),
        ("/api/users/", "/api/users", {}),
        ("/api/users/me", "/api/users/me", {}),
        ("/api/users/me/", "/api/users/me", {}),
        ("/api/users/bob", "/api/users/{name}", {"name": "bob"}),
        ("/api/users/b%2Fb%00", "/api/users/{name}", {"name": "b%2Fb%00"}),
        ("/api/users/all", "/api/users/{name}", {"name": "all"}),
        ("/api/things/all", "/api/{kind}/all", {"kind": "things"}),
        ("/about", "/{page}", {"page": "about"}),
        ("/pages/a", "/pages/{proxy+}", {"proxy": "a"}),
        ("/pages/a/b//c", "/pages/{proxy+}", {"proxy": "a/b//c"}),
        ("/pages/", "/{page}", {"page": "pages"}),
    ],
)
def test_a_path_finds_its_route(path: str, route: str, parameters: dict[str, str]) -> None:
    """Expects literal segments to win, an optional trailing slash, and parameters as they stand in the path."""
    match = TABLE.match(path)
    assert match is not None
    assert (match.route, match.parameters) == (route, parameters)


@pytest.mark.parametrize("path", ["/api/users//", "/api/users/a/b", "/api//all", "//api/users"])
def test_other_paths_find_none(path: str) -> None:
    """Expects no route where a segment is empty, missing or too many."""
    assert TABLE.match(path) is None
