"""The OpenAPI description: valid, committed, and of exactly the routes that the service has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from app import app
from chalicelib import admin
from chalicelib.api import docs, openapi
from infra.openapi import TARGET, text


def test_it_is_valid() -> None:
    """Expects no complaint from openapi-spec-validator."""
    validate(openapi.document(docs.operations()))


def test_the_committed_file_is_up_to_date() -> None:
    """If this fails: run `make openapi`, and look at what has changed for callers."""
    assert TARGET.read_text(encoding="utf-8") == text()


def test_every_route_is_documented_and_every_documented_operation_is_served() -> None:
    """Except for pages that people read: those of the description itself, and of the admin UI."""
    documented = {
        (method.upper(), path.rstrip("/") or "/")
        for path, methods in json.loads(text())["paths"].items()
        for method in methods
    }
    served = {(method, path) for path, methods in app.routes.items() for method in methods}
    pages = {(method, route.path) for each in admin.PAGES for route in each.routes for method in ("GET", route.method)}
    assert served - documented == pages | {("GET", operation.path) for operation in docs.routes.operations}
    assert not documented - served


def test_every_operation_says_what_it_does_and_what_can_go_wrong() -> None:
    """Expects a sentence, a unique name, and problem documents for all errors."""
    names: list[str] = []
    for methods in json.loads(text())["paths"].values():
        for operation in methods.values():
            names.append(operation["operationId"])
            assert operation["summary"].endswith(".")
            errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
            assert all(set(answer["content"]) == {"application/problem+json"} for answer in errors.values())
            assert "401" in errors or not operation["security"]
    assert len(names) == len(set(names))


def schemas_within(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in the document with its path."""
    if isinstance(node, dict):
        yield "", node
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        for path, one in schemas_within(value):
            yield f"/{key}{path}", one


def referred(document: dict[str, Any], node: Any) -> set[str]:
    """The names of all schemas that are used from here, directly or by others."""
    found: set[str] = set()
    left = [node]
    while left:
        names = {one["$ref"].rpartition("/")[2] for _, one in schemas_within(left.pop()) if "$ref" in one}
        left += [document["components"]["schemas"][name] for name in names - found]
        found |= names
    return found


def test_no_request_body_has_a_default_at_any_depth() -> None:
    """A generated client sends defaults as if they had been set: a PATCH of the text would change the rest as well.

    TypeScript's types demand a field that has a default.
    """
    document = json.loads(text())
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    names = set().union(*(referred(document, one["requestBody"]) for one in operations if "requestBody" in one))
    assert {"MailingPatch", "SegmentBody", "LocalWindowBody", "ClientPatch", "UserPatch", "MailingBody"} <= names
    found = {
        (name, path)
        for name in names
        for path, one in schemas_within(document["components"]["schemas"][name])
        if "default" in one
    }
    assert not found
    timezone = document["components"]["schemas"]["ClientBody"]["properties"]["timezone"]
    assert 'Default: `"UTC"`.' in timezone["description"]


def test_a_default_is_a_value_that_can_be_sent() -> None:
    """Expects no default that only stands for "not given", such as null for a field that may not be null."""
    for path, one in schemas_within(json.loads(text())):
        if "default" in one and not path.endswith("/properties"):
            assert one["default"] not in (None, "", [], {}), path


def test_no_type_is_null_alone() -> None:
    """Null is one of several types of a value; it is alone only beside a `$ref`, which leaves no other way."""
    document = json.loads(text())
    allowed = {
        f"{path}/anyOf/1"
        for path, one in schemas_within(document)
        if len(one.get("anyOf", ())) == 2 and "$ref" in one["anyOf"][0] and one["anyOf"][1] == {"type": "null"}
    }
    bare = {path for path, one in schemas_within(document) if one.get("type") == "null"}
    assert bare == allowed
    assert not {path for path in bare if "/parameters/" in path}, "a query has no null"


def test_every_body_has_an_example_and_every_example_fits_its_schema() -> None:
    """tests/integration/api/test_examples.py sends them."""
    document = json.loads(text())
    for path, one in schemas_within(document):
        for example in one.get("examples", ()) if isinstance(one.get("examples"), list) else ():
            schema = {key: value for key, value in one.items() if key not in ("examples", "description")}
            check = OAS31Validator({**schema, "components": document["components"]})
            assert check.is_valid(example), (path, example)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for media, body in operation.get("requestBody", {}).get("content", {}).items():
                assert media != "application/json" or "example" in body, (method, path)
