"""POST /api/gateway/check/: a declaration of a gateway is checked, and nothing is sent."""

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


def test_the_request_of_a_good_declaration_is_shown(api: Api) -> None:
    """Without a token, and with an example of a message; also of one without an address."""
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
def test_a_fault_is_told_with_the_way_to_it(
    api: Api, way: tuple[str | int, ...], value: object, field: str, code: str
) -> None:
    """Each by its code, so that a form can show it where it is."""
    declaration: Any = deepcopy(GOOD)
    place = declaration
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = value
    problem = check(api, declaration, 422)
    assert (field, code) in [(one["field"], one["code"]) for one in problem["errors"]]


@pytest.mark.parametrize("url", ["https://elsewhere.example", "http://sms.example"])
def test_on_aws_a_host_that_is_not_on_the_list_is_refused(url: str) -> None:
    """And so is one without TLS; what is on the list may be used."""
    with new_api(function_name="message-service-local-api", gateway_hosts="sms.example") as api:
        assert check(api, GOOD)["name"] == "acme"
        problem = check(api, GOOD | {"url": url}, 422)
        assert [one["field"] for one in problem["errors"]] == ["declaration.url"]
