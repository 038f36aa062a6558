"""POST /api/gateway/check/: checks the declaration of a gateway, and sends nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.support.api import Api, new_api

GOOD: dict[str, Any] = {
    "name": "acme",
    "url": "https://sms.example",
    "auth": {"kind": "bearer"},
    "request": {"path": "/messages", "json": {"to": "{phone}", "text": "{text}"}},
    "answer": {"rules": [{"status": [201], "has": "id", "outcome": "accepted"}]},
    "examples": [{"status": 201, "body": {"id": "m-1"}, "outcome": "accepted"}],
}


def check(api: Api, declaration: object, status: int = 200) -> Any:
    reply = api.post("/api/gateway/check/", {"declaration": declaration})
    assert reply.status == status, reply.text
    return reply.json


def test_the_request_of_a_valid_declaration_is_shown(api: Api) -> None:
    """Expects an example of a message and no token, also for a declaration without an address."""
    assert check(api, GOOD) == {
        "name": "acme",
        "request": "POST /messages\nContent-Type: application/json\nAuthorization: ***\n\n"
        '{\n  "to": "+7********67",\n  "text": "Hello"\n}',
    }
    assert check(api, {name: value for name, value in GOOD.items() if name != "url"})["name"] == "acme"


@pytest.mark.parametrize(
    ("way", "value", "field", "code"),
    [
        (("answer", "rules", 0, "outcome"), "refused", "declaration.answer.rules", "declaration_no_success"),
        (("answer", "rules", 0, "has"), "result.id", "declaration.answer.rules.0.has", "declaration_points_nowhere"),
        (("answer", "rules", 0, "status"), [700], "declaration.answer.rules.0.status.0", "more_than_allowed"),
        (("request", "json"), {"to": "{phone}"}, "declaration.request", "declaration_leaves_out"),
        (("request", "colour"), "red", "declaration.request.colour", "unknown_field"),
        (("examples",), [], "declaration.examples", "too_few_values"),
    ],
)
def test_an_error_is_reported_with_its_path(
    api: Api, way: tuple[str | int, ...], value: object, field: str, code: str
) -> None:
    """Expects a code for each, so that a form can show it in the right place."""
    declaration: Any = deepcopy(GOOD)
    place = declaration
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = value
    problem = check(api, declaration, 422)
    assert (field, code) in [(one["field"], one["code"]) for one in problem["errors"]]


@pytest.mark.parametrize("url", ["https://elsewhere.example", "http://sms.example"])
def test_hosts_that_are_not_on_the_list_are_refused_on_aws(url: str) -> None:
    """Expects this of a host without TLS, too, and a host on the list to be accepted."""
    with new_api(function_name="message-service-local-api", gateway_hosts="sms.example") as api:
        assert check(api, GOOD)["name"] == "acme"
        problem = check(api, GOOD | {"url": url}, 422)
        assert [one["field"] for one in problem["errors"]] == ["declaration.url"]
