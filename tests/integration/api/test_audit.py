"""The audit log: what users did, who it was, and in whose history it is."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from chalicelib.domain.clients import ClientFields
from chalicelib.domain.users import Role
from tests.support.api import PASSWORD, Api

CLIENT = {"phone_number": "+79161234567", "tags": ["vip"], "attributes": {"first_name": "Ada"}, "external_id": "A-7"}


def entries(api: Api, **query: Any) -> list[dict[str, Any]]:
    """The newest first, without entries about signing in."""
    rows: list[dict[str, Any]] = api.get("/api/audit/", query=query).json["rows"]
    return [row for row in rows if row["action"] != "signed_in"]


def mailing(api: Api, **more: Any) -> str:
    start = api.clock.now() + timedelta(days=1)
    body = {"text": "Hello", "clients": {}, "start_time": start.isoformat(), **more}
    body["end_time"] = (start + timedelta(days=1)).isoformat()
    created: str = api.post("/api/mailing/", body).json["id"]
    return created


def test_a_changed_mailing_has_an_entry_with_old_and_new_values(api: Api) -> None:
    """Expects who, what, which mailing, and each field whose value changed, and no other."""
    mailing_id = mailing(api)
    api.pass_time(seconds=1)
    api.patch(f"/api/mailing/{mailing_id}/", {"text": "Hello again", "rate_limit": 5})
    changed, created = entries(api)
    assert (created["action"], created["object"], created["object_id"]) == ("created", "mailing", mailing_id)
    assert (changed["action"], changed["user"], changed["name"]) == ("changed", "admin", "Hello again")
    assert changed["changes"] == [
        {"field": "text", "old": "Hello", "new": "Hello again"},
        {"field": "rate_limit", "old": None, "new": 5},
    ]


def test_each_step_of_a_mailing_has_its_action(api: Api) -> None:
    """Expects pause, resume, launch and cancel by their names, in the log and with the user in its history."""
    api.post("/api/clients/", CLIENT)
    mailing_id = mailing(api)
    for step in ("pause", "resume", "launch", "cancel"):
        api.pass_time(seconds=1)
        assert api.post(f"/api/mailing/{mailing_id}/{step}/").status == 200
    told = [row["action"] for row in entries(api, object="mailing", id=mailing_id)]
    assert told == ["cancelled", "launched", "resumed", "paused", "created"]
    history = api.get(f"/api/history/{mailing_id}/", query={"messages": "false"}).json
    assert [(one["action"], one["by"]) for one in history["events"] if one["action"]] == [
        (action, "admin") for action in reversed(told)
    ]
    assert [one["status"] for one in history["events"] if one["action"] in ("paused", "cancelled")] == [
        "paused",
        "cancelled",
    ]
    api.pass_time(seconds=1)
    assert api.delete(f"/api/mailing/{mailing_id}/").status == 204
    assert entries(api)[0]["action"] == "deleted"


def test_no_personal_data_of_a_client_is_kept(api: Api) -> None:
    """Expects masked numbers, and neither attributes nor external ids, so that nothing is left of a deleted client."""
    client_id = api.post("/api/clients/", CLIENT).json["id"]
    api.pass_time(seconds=1)
    api.patch(
        f"/api/clients/{client_id}/",
        {
            "phone_number": "+79161234568",
            "tags": [],
            "attributes": {"first_name": "Grace"},
            "external_id": "A-8",
            "opted_out": True,
        },
    )
    api.pass_time(seconds=1)
    api.delete(f"/api/clients/{client_id}/")
    page = api.get("/api/audit/")
    assert not [word for word in ("1234567", "1234568", "Ada", "Grace", "A-7", "A-8") if word in page.text]
    deleted, changed, _created = entries(api)
    assert (deleted["action"], deleted["object_id"], deleted["name"]) == ("deleted", client_id, "+7********68")
    assert changed["action"] == "opted_out"
    assert {one["field"]: (one["old"], one["new"]) for one in changed["changes"]} == {
        "phone_number": ("+7********67", "+7********68"),
        "tags": (["vip"], []),
        "opted_out": (False, True),
        "external_id": (None, None),
        "attributes.first_name": (None, None),
    }
    told = api.get(f"/api/history/{client_id}/").json["events"]
    assert [one["action"] for one in told] == ["created", "opted_out", "deleted"]


def test_changes_of_users_and_tokens_have_entries_without_secrets(api: Api) -> None:
    """Expects each change of a user, and each sign-in and sign-out, with the user it was about."""
    api.post("/api/users/", {"username": "maria", "password": PASSWORD, "role": "operator"})
    api.pass_time(seconds=1)
    api.patch("/api/users/maria/", {"role": "admin", "password": f"{PASSWORD}!"})
    api.pass_time(seconds=1)
    token = api.post("/auth-token/", {"username": "maria", "password": f"{PASSWORD}!"}, token="").json["token"]
    api.pass_time(seconds=1)
    api.delete("/auth-token/", token=token)
    api.pass_time(seconds=1)
    api.delete("/api/users/maria/tokens/")
    api.pass_time(seconds=1)
    api.delete("/api/users/maria/")
    page = api.get("/api/audit/", query={"object": "user", "id": "maria"})
    assert PASSWORD not in page.text
    assert token not in page.text
    assert [(row["action"], row["user"]) for row in page.json["rows"]] == [
        ("deleted", "admin"),
        ("signed_out", "admin"),
        ("signed_out", "maria"),
        ("signed_in", "maria"),
        ("changed", "admin"),
        ("created", "admin"),
    ]
    assert page.json["rows"][3]["name"] == "maria"
    assert page.json["rows"][4]["changes"] == [
        {"field": "role", "old": "operator", "new": "admin"},
        {"field": "password", "old": None, "new": None},
    ]


def test_changes_of_gateway_templates_segments_and_prices_have_entries(api: Api) -> None:
    """Expects entries for what is set for everybody, too."""
    api.patch("/api/gateway/", {"rate": 20})
    api.post("/api/gateway/hold/", {"reason": "maintenance"})
    api.post("/api/gateway/close/", {})
    template = api.post("/api/templates/", {"name": "Hi", "text": "Hello"}).json
    api.put(f"/api/templates/{template['id']}/", {"name": "Hi", "text": "Bye", "version": 1})
    api.delete(f"/api/templates/{template['id']}/")
    segment = api.post("/api/segments/", {"name": "VIP", "clients": {"tag": "vip"}}).json
    api.put(f"/api/segments/{segment['id']}/", {"clients": {"tag": "new"}})
    api.delete(f"/api/segments/{segment['id']}/")
    api.put("/api/prices/", {"currency": "EUR", "prices": [{"prefix": "+7", "price": "0.02"}]})
    told = sorted((row["object"], row["action"]) for row in entries(api))
    assert told == [
        ("gateway", "changed"),
        ("gateway", "paused"),
        ("gateway", "resumed"),
        ("prices", "changed"),
        *[("segment", action) for action in ("changed", "created", "deleted")],
        *[("template", action) for action in ("changed", "created", "deleted")],
    ]


def test_imports_exports_and_test_messages_have_entries(api: Api) -> None:
    """Expects the number of rows, and one entry for each export, however many pages it has."""
    file = b"phone_number\n+79161234567\n+79161234568\n"
    api.post("/api/clients/imports/", raw=file, headers={"Content-Type": "text/csv"})
    for number in range(2):
        api.post("/api/clients/", {"phone_number": f"+7916000000{number}"})
    first = api.get("/api/clients/export/", query={"limit": 1})
    path, _, after = first.headers["link"].partition(">")[0].removeprefix("<").partition("?")
    assert api.get(path, query=parse_qsl(after)).status == 200
    assert api.post("/api/gateway/test/", {"phone_number": "+79161234567", "text": "Try"}).status == 200
    assert [row["count"] for row in entries(api, action="imported")] == [2]
    assert [(row["object"], row["count"]) for row in entries(api, action="exported")] == [("clients", 2)]
    (sent,) = entries(api, action="sent")
    assert sent["changes"] == [{"field": "phone_number", "old": None, "new": "+7********67"}]


def test_the_log_is_filtered_and_comes_in_pages(api: Api) -> None:
    """Expects each filter to leave out the others, and the pages together to have each entry once."""
    began = api.clock.now()
    for number in range(5):
        api.pass_time(seconds=1)
        api.post("/api/clients/", {"phone_number": f"+7916000000{number}"})
    api.pass_time(seconds=1)
    mailing(api)
    seen, query = [], {"limit": 2, "object": "client"}
    while True:
        page = api.get("/api/audit/", query=query).json
        seen += [row["at"] for row in page["rows"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)
    since = (began + timedelta(seconds=2)).isoformat()
    until = (began + timedelta(seconds=4)).isoformat()
    assert len(entries(api, since=since, until=until)) == 2
    assert len(entries(api, user="admin", action="created")) == 6
    assert entries(api, user="nobody") == []
    assert api.get("/api/audit/", query={"action": "sneezed"}).errors.keys() == {"action"}
    assert api.get("/api/audit/", query={"since": "yesterday"}).errors.keys() == {"since"}


def test_the_log_can_be_exported(api: Api) -> None:
    """Expects the columns, a row for each entry, and no formula."""
    api.post("/api/templates/", {"name": "=1+1", "text": "Hello"})
    file = api.get("/api/audit/export/", query={"object": "template"})
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [(row["user"], row["action"], row["object"], row["name"]) for row in rows] == [
        ("admin", "created", "template", "'=1+1")
    ]


def test_entries_are_hidden_after_two_years(api: Api) -> None:
    """Expects them until then, whether or not DynamoDB has removed them."""
    api.post("/api/clients/", CLIENT)
    api.pass_time(days=729)
    api.token = api.services.users.issue_token("admin", PASSWORD, "test").secret
    assert len(entries(api, object="client")) == 1
    api.pass_time(days=2)
    api.token = api.services.users.issue_token("admin", PASSWORD, "test").secret
    assert entries(api, object="client") == []


@pytest.mark.parametrize("path", ["/api/audit/", "/api/audit/export/"])
def test_only_admins_read_the_log(api: Api, path: str) -> None:
    """Expects an operator to be refused."""
    api.sign_in_as(Role.OPERATOR)
    assert api.get(path).status == 403


def test_what_the_service_does_by_itself_has_no_entry(api: Api) -> None:
    """Expects no entry, and so no cost, unless a user did it."""
    before = len(api.get("/api/audit/").json["rows"])
    api.services.gateway_control.set_rate(7, "")
    api.services.clients.create(ClientFields("+79160000000"))
    assert len(api.get("/api/audit/").json["rows"]) == before
