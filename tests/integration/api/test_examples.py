"""The examples of docs/openapi.json: each can be sent as it is, as Swagger UI and generated clients do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.openapi import TARGET
from tests.factories import UserBodyFactory
from tests.support.campaign import Campaign, new_campaign

DOCUMENT: dict[str, Any] = json.loads(TARGET.read_text(encoding="utf-8"))
BODIES = {
    operation["operationId"]: (method.upper(), path, operation["requestBody"]["content"]["application/json"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if "application/json" in operation.get("requestBody", {}).get("content", {})
}
NEEDS_NO_BODY = [
    operation["operationId"]
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
    if operation.get("requestBody", {}).get("required") is False
]


@pytest.fixture
def reporting(tmp_path: Path) -> Iterator[Campaign]:
    """A service that can send reports, too, and keeps messages for ever: the examples are from a year far ahead."""
    with new_campaign(report_to="a@x.org", report_from="r@x.org", mail_url=tmp_path.as_uri(), retain_days=0) as made:
        yield made


OF_ENDED = ("retry_mailing", "create_mailing_to_missed")


def send(campaign: Campaign, operation: str, **options: Any) -> Any:
    """Make the request of an operation, with existing things in its path."""
    (client_id,) = campaign.add_clients(1)
    campaign.simulation.services.prices().put({0: ("7", "1", "RUB", "")}, "tester")  # which a budget needs
    user = UserBodyFactory()
    assert campaign.api.post("/api/users/", user).status == 201
    ordered = campaign.give_up(1) if operation in OF_ENDED else campaign.order(starts_in=timedelta(days=1))
    template = campaign.api.post("/api/templates/", {"name": "Kept", "text": "Hello"}).json["id"]
    known = {
        "client_id": client_id,
        "username": user["username"],
        "mailing_id": ordered,
        "template_id": template,
        "segment_id": campaign.api.post("/api/segments", {"name": "All", "clients": {}}).json["id"],
    }
    method, path, _ = BODIES[operation]
    return campaign.api.request(method, path.format(**known), **options)


@pytest.mark.parametrize("operation", sorted(BODIES))
def test_every_example_can_be_sent(reporting: Campaign, operation: str) -> None:
    """Expects success; nothing in it is in the past, contradicts itself or is made up by a tool."""
    reply = send(reporting, operation, body=BODIES[operation][2]["example"])
    assert reply.status in (200, 201), reply.text


def put_together(schema: dict[str, Any]) -> Any:
    """The body that a tool such as Postman or an older Swagger UI makes from the examples of a schema's properties."""
    if "$ref" in schema:
        return put_together(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return schema["examples"][0] if "examples" in schema else put_together(schema[key][0])
    if "properties" in schema:
        made = {name: put_together(one) for name, one in schema["properties"].items()}
        return {name: value for name, value in made.items() if value is not None}
    known = [*schema.get("examples", ()), *schema.get("enum", ())]
    return known[0] if known else None


@pytest.mark.parametrize("operation", sorted(BODIES))
def test_the_examples_of_the_fields_can_be_sent_together(reporting: Campaign, operation: str) -> None:
    """Expects success for such a body: an end after its start, and local hours that differ."""
    reply = send(reporting, operation, body=put_together(BODIES[operation][2]["schema"]))
    assert reply.status in (200, 201), reply.text


def test_actions_that_need_nothing_have_no_body() -> None:
    """Every POST that needs nothing, among them the one that stops all sending in an emergency."""
    assert sorted(NEEDS_NO_BODY) == [
        "close_gateway",
        "hold_gateway",
        "redrive_dead_letters",
        "retry_mailing",
        "send_daily_report",
    ]


@pytest.mark.parametrize("content_type", ["application/json", "", "application/x-www-form-urlencoded", "text/plain"])
@pytest.mark.parametrize("operation", NEEDS_NO_BODY)
def test_actions_without_a_body_accept_any_content_type(reporting: Campaign, operation: str, content_type: str) -> None:
    """As `curl -X POST`, `curl -d ''` and a program without a body send them."""
    reply = send(reporting, operation, raw=b"", headers={"Content-Type": content_type})
    assert reply.status == 200, reply.text


def test_sending_is_stopped_without_a_body(reporting: Campaign) -> None:
    """Expects the answer to say so."""
    reply = send(reporting, "hold_gateway", raw=b"", headers={"Content-Type": ""})
    assert (reply.json["circuit"], reply.json["reason"]) == ("held", "")


@pytest.mark.parametrize("raw", [b"{", b"null", b"[]"])
def test_a_body_that_is_not_needed_is_still_checked(reporting: Campaign, raw: bytes) -> None:
    """Expects anything but an object to be refused."""
    assert send(reporting, "hold_gateway", raw=raw).status in (400, 422)
    assert reporting.api.get("/api/gateway/").json["circuit"] == "closed"


@pytest.mark.parametrize("operation", ["change_mailing", "change_client", "change_user", "change_gateway"])
def test_a_change_without_a_body_is_refused(reporting: Campaign, operation: str) -> None:
    """Only actions need none: an empty PATCH is most likely a mistake."""
    assert send(reporting, operation, raw=b"").status == 400
