"""/api/templates/, and mailings that are made from templates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import MailingBodyFactory
from tests.support.api import Api

TEXTS = {"ru": "Здравствуйте, {{first_name}}", "pt-BR": "Olá"}


def create(api: Api, name: str = "Order has come", text: str = "Hello {{first_name|friend}}", **more: Any) -> Any:
    made = api.post("/api/templates", {"name": name, "text": text, **more})
    assert made.status == 201, made.text
    return made.json


def ordered(**fields: Any) -> dict[str, Any]:
    """The body of a mailing to everybody without a text of its own."""
    body: dict[str, Any] = MailingBodyFactory(clients={}, starts_in=timedelta(hours=1))
    return {name: value for name, value in body.items() if name != "text"} | fields


def test_a_template_is_created_and_read(api: Api) -> None:
    made = api.post("/api/templates", {"name": " Order  has come", "text": "Hello", "texts": TEXTS})
    assert made.status == 201
    path = f"/api/templates/{made.json['id']}"
    assert made.headers["location"].endswith(path)
    assert api.get(path).json == made.json
    assert made.json | {"id": "", "changed_at": ""} == {
        "id": "",
        "version": 1,
        "name": "Order  has come",
        "text": "Hello",
        "texts": TEXTS,
        "changed_at": "",
        "changed_by": "admin",
        "deleted": False,
    }


def test_a_change_makes_the_next_version_and_keeps_the_earlier_ones(api: Api) -> None:
    made = create(api, texts=TEXTS)
    path = f"/api/templates/{made['id']}"
    changed = api.put(path, {"name": "Order is here", "text": "Hello", "version": 1})
    assert changed.status == 200, changed.text
    assert (changed.json["version"], changed.json["name"], changed.json["texts"]) == (2, "Order is here", {})
    again = api.put(path, {"name": "Order is here", "text": "Hello", "version": 2})
    assert again.json == changed.json
    first, second = f"{path}/versions/1", f"{path}/versions/2"
    assert api.get(first).json == {name: value for name, value in made.items() if name != "deleted"}
    rows = api.get(f"{path}/versions").json["rows"]
    assert rows == [api.get(second).json, api.get(first).json]
    assert [api.get(f"{path}/versions/{one}").status for one in ("0", "3", "x", "²", "1" * 9)] == [404] * 5


def test_a_change_of_an_older_version_is_refused(api: Api) -> None:
    path = f"/api/templates/{create(api)['id']}"
    body = {"name": "Order has come", "text": "Hello", "version": 1}
    assert api.put(path, body).status == 200
    refused = api.put(path, {**body, "text": "Hi"})
    assert (refused.status, refused.json["code"]) == (409, "template_changed")
    assert api.put(path, {**body, "version": 3}).status == 409
    assert api.get(path).json["text"] == "Hello"


@pytest.mark.parametrize("same", ["Order has come", "ORDER HAS COME", " Order has come "])
def test_a_name_can_be_used_by_one_template(api: Api, same: str) -> None:
    """Expects it to be taken in upper and lower case, for new templates and for changes, but not for its own
    template."""
    made = create(api)
    refused = api.post("/api/templates", {"name": same, "text": "Hello"})
    assert (refused.status, refused.json["code"]) == (409, "template_name_taken")
    other = create(api, "Another")
    refused = api.put(f"/api/templates/{other['id']}", {"name": same, "text": "Hello", "version": 1})
    assert (refused.status, refused.json["code"]) == (409, "template_name_taken")
    kept = api.put(f"/api/templates/{made['id']}", {"name": "Order Has Come", "text": "Hello", "version": 1})
    assert (kept.status, kept.json["name"]) == (200, "Order Has Come")
    freed = api.put(f"/api/templates/{made['id']}", {"name": "Something else", "text": "Hello", "version": 2})
    assert freed.status == 200
    assert api.post("/api/templates", {"name": same, "text": "Hello"}).status == 201


def test_templates_are_listed_by_name_in_pages(api: Api) -> None:
    for name in ("b", "C", "a", "ё"):
        create(api, name, text="Long " * 100)
    first = api.get("/api/templates", query={"limit": 3}).json
    rest = api.get("/api/templates", query={"limit": 3, "cursor": first["next"]}).json
    assert [one["name"] for one in first["rows"] + rest["rows"]] == ["a", "b", "C", "ё"]
    assert rest["next"] is None
    assert first["rows"][0]["begins"].startswith("Long Long")
    assert len(first["rows"][0]["begins"]) < 100


def test_the_versions_of_a_template_have_pages(api: Api) -> None:
    path = f"/api/templates/{create(api)['id']}"
    for version in (1, 2):
        api.put(path, {"name": "Order has come", "text": f"Text {version + 1}", "version": version})
    first = api.get(f"{path}/versions", query={"limit": 2}).json
    rest = api.get(f"{path}/versions", query={"limit": 2, "cursor": first["next"]}).json
    assert [one["version"] for one in first["rows"] + rest["rows"]] == [3, 2, 1]
    assert api.get(f"{path}/versions", query={"limit": 51}).status == 422
    assert api.get("/api/templates/00000000000000000000/versions").status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " \u200b"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"text": " "}, "text"),
        ({"text": "{{#a}}"}, "text"),
        ({"text": "x" * 1601}, "text"),
        ({"texts": {"ru": "{{a}"}}, "texts.ru"),
        ({"texts": {"r": "x"}}, "texts.r"),
        ({"version": 1}, "version"),
    ],
)
def test_wrong_fields_are_reported_with_their_path(api: Api, body: dict[str, Any], field: str) -> None:
    refused = api.post("/api/templates", {"name": "Name", "text": "Hello", **body})
    assert (refused.status, list(refused.errors)) == (422, [field])
    assert api.get("/api/templates").json["rows"] == []


def test_a_mailing_gets_a_copy_of_the_newest_or_a_named_version(api: Api) -> None:
    """Expects its texts to stay, whatever happens to the template."""
    made = create(api, texts=TEXTS)
    path = f"/api/templates/{made['id']}"
    newest = api.post("/api/mailing", ordered(template={"id": made["id"]}))
    assert newest.status == 201, newest.text
    assert (newest.json["text"], newest.json["texts"]) == (made["text"], TEXTS)
    assert newest.json["template"] == {"id": made["id"], "version": 1, "name": "Order has come"}
    api.put(path, {"name": "Order is here", "text": "Hi", "version": 1})
    first = api.post("/api/mailing", ordered(template={"id": made["id"], "version": 1})).json
    second = api.post("/api/mailing", ordered(template={"id": made["id"], "version": None})).json
    assert (first["text"], first["template"]["version"]) == (made["text"], 1)
    assert (second["text"], second["texts"], second["template"]["name"]) == ("Hi", {}, "Order is here")
    assert api.delete(path).status == 204
    assert api.get(f"/api/mailing/{newest.json['id']}").json == newest.json


def test_a_deleted_template_can_only_be_read(api: Api) -> None:
    made = create(api)
    path = f"/api/templates/{made['id']}"
    assert api.delete(path).status == 204
    assert api.get("/api/templates").json["rows"] == []
    assert api.get(path).json == {**made, "deleted": True}
    assert api.get(f"{path}/versions").json["rows"][0]["text"] == made["text"]
    assert api.put(path, {"name": "x", "text": "Hello", "version": 1}).status == 404
    assert api.delete(path).status == 404
    refused = api.post("/api/mailing", ordered(template={"id": made["id"]}))
    assert (refused.status, list(refused.errors)) == (422, ["template.id"])
    assert create(api)["id"] != made["id"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, {"text": "required"}),
        ({"template": None}, {"text": "required"}),
        ({"template": {"id": "NEWEST"}, "text": "Hello"}, {"text": "text_and_template"}),
        ({"template": {"id": "NEWEST"}, "texts": {"ru": "x"}}, {"texts": "text_and_template"}),
        ({"template": {}}, {"template.id": "required"}),
        ({"template": {"id": "nobody"}}, {"template.id": "not_a_template"}),
        ({"template": {"id": "00000000000000000000"}}, {"template.id": "not_a_template"}),
        ({"template": {"id": "NEWEST", "version": 2}}, {"template.version": "not_a_version"}),
        ({"template": {"id": "NEWEST", "version": 0}}, {"template.version": "less_than_allowed"}),
    ],
)
def test_a_mailing_has_either_a_text_or_a_template(api: Api, fields: dict[str, Any], wrong: dict[str, str]) -> None:
    """Expects every route that accepts a mailing to say what is wrong."""
    made = create(api)
    if (fields.get("template") or {}).get("id") == "NEWEST":
        fields = {**fields, "template": {**fields["template"], "id": made["id"]}}
    body = ordered(**fields)
    for path in ("/api/mailing", "/api/mailing/preview"):
        refused = api.post(path, body)
        assert refused.status == 422
        assert {one["field"]: one["code"] for one in refused.json["errors"]} == wrong
    assert api.get("/api/mailing").json["rows"] == []


def test_a_mailing_whose_text_changes_is_no_longer_from_the_template(api: Api) -> None:
    """Expects the link to stay as long as the text does, and a change to be able to name another template."""
    made, other = create(api), create(api, "Another", "Hi")
    mailing = api.post("/api/mailing", ordered(template={"id": made["id"]})).json
    path = f"/api/mailing/{mailing['id']}"
    assert api.patch(path, {"rate_limit": 5}).json["template"] == mailing["template"]
    assert api.patch(path, {"text": "Something else"}).json["template"] is None
    patched = api.patch(path, {"template": {"id": other["id"]}}).json
    assert (patched["text"], patched["template"]["name"]) == ("Hi", "Another")
    put = api.put(path, ordered(template={"id": made["id"]})).json
    assert (put["text"], put["template"]["name"]) == (made["text"], "Order has come")
    assert api.patch(path, {"template": {"id": other["id"]}, "text": "x"}).status == 422
    assert api.patch(path, {"template": None}).json == put


def test_a_repeated_request_is_answered_with_the_first_text(api: Api) -> None:
    """Expects the version that was the newest when the mailing was created."""
    made = create(api)
    body, headers = ordered(template={"id": made["id"]}), {"Idempotency-Key": "once"}
    first = api.post("/api/mailing", body, headers=headers)
    api.put(f"/api/templates/{made['id']}", {"name": "Order is here", "text": "Hi", "version": 1})
    again = api.post("/api/mailing", body, headers=headers)
    assert (again.status, again.json) == (first.status, first.json)


def test_a_preview_and_a_mailing_see_the_same_text(api: Api) -> None:
    made = create(api)
    assert api.post("/api/clients", {"phone_number": "+79160000001"}).status == 201
    sample = api.post("/api/mailing/preview", ordered(template={"id": made["id"]})).json["sample"]
    assert [one["text"] for one in sample["examples"]] == ["Hello friend"]
