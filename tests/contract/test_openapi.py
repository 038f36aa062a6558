"""The OpenAPI description: valid, committed, and of exactly the routes that are served."""

from __future__ import annotations

import json

from openapi_spec_validator import validate

from app import app
from chalicelib import admin
from chalicelib.api import docs, openapi
from infra.openapi import TARGET, text


def test_it_is_valid() -> None:
    """Expects no complaint of openapi-spec-validator."""
    validate(openapi.document(docs.operations()))


def test_the_committed_file_is_what_the_routes_say() -> None:
    """Where this fails: `make openapi`, and look at what has changed for callers."""
    assert TARGET.read_text(encoding="utf-8") == text()


def test_every_route_is_documented_and_every_documented_operation_is_served() -> None:
    """Beside the pages that people read: of the description itself, and of the admin UI."""
    documented = {
        (method.upper(), path.rstrip("/") or "/")
        for path, methods in json.loads(text())["paths"].items()
        for method in methods
    }
    served = {(method, path) for path, methods in app.routes.items() for method in methods}
    pages = {(route.method, route.path) for pages in admin.PAGES for route in pages.routes}
    assert served - documented == pages | {("GET", operation.path) for operation in docs.routes.operations}
    assert not documented - served


def test_every_operation_says_what_it_does_and_what_can_go_wrong() -> None:
    """A sentence, a unique name, and problem documents for all its errors."""
    names: list[str] = []
    for methods in json.loads(text())["paths"].values():
        for operation in methods.values():
            names.append(operation["operationId"])
            assert operation["summary"].endswith(".")
            errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
            assert all(set(answer["content"]) == {"application/problem+json"} for answer in errors.values())
            assert "401" in errors or not operation["security"]
    assert len(names) == len(set(names))
