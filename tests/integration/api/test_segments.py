"""/api/segments/: saved segments."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain import saved_segments
from chalicelib.services import saved_segments as service
from tests.factories import MailingBodyFactory
from tests.support.api import Api

CLIENTS = {"tag": ["vip", "gold"], "operator": "916", "filter": {"attribute": "age", "greater": 50}, "recipients": None}


def saved(api: Api, name: str = "Old friends", **clients: Any) -> dict[str, Any]:
    answer = api.post("/api/segments/", {"name": name, "clients": clients or CLIENTS})
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json
    assert answer.headers["location"].endswith(f"/api/segments/{made['id']}")
    return made


def test_a_saved_segment_can_be_used_in_a_mailing(api: Api) -> None:
    """Expects `clients` in the answer to be just what a mailing accepts."""
    made = saved(api)
    read = api.get(f"/api/segments/{made['id']}/").json
    assert read == made
    assert (read["name"], read["clients"], read["changed_by"]) == ("Old friends", CLIENTS, "admin")
    mailing = api.post(
        "/api/mailing",
        MailingBodyFactory(clients=read["clients"], start_time="2099-01-01T00:00Z", end_time="2099-01-02T00:00Z"),
    )
    assert mailing.status == 201, mailing.text
    assert mailing.json["clients"] == CLIENTS


def test_they_are_listed_by_name_changed_and_deleted(api: Api) -> None:
    second, first = saved(api, "b", tag="x"), saved(api, "A", tag="y")
    answer = api.get("/api/segments/").json
    assert ([one["id"] for one in answer["rows"]], answer["total"]) == ([first["id"], second["id"]], 2)
    changed = api.put(f"/api/segments/{first['id']}/", {"clients": {"operator": "903"}}).json
    assert changed["clients"] == {"tag": None, "operator": "903", "filter": None, "recipients": None}
    assert api.get(f"/api/segments/{first['id']}/").json == changed
    assert api.delete(f"/api/segments/{first['id']}/").status == 204
    for method in ("get", "delete"):
        assert getattr(api, method)(f"/api/segments/{first['id']}/").status == 404
    assert api.put(f"/api/segments/{first['id']}/", {"clients": {}}).status == 404
    assert [one["id"] for one in api.get("/api/segments/").json["rows"]] == [second["id"]]


def test_a_name_can_be_used_once(api: Api) -> None:
    saved(api, "Old  friends")
    answer = api.post("/api/segments/", {"name": " OLD  FRIENDS ", "clients": {}})
    assert (answer.status, answer.json["code"]) == (409, "segment_name_taken")


def test_their_number_is_limited(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_SEGMENTS", 2)
    saved(api, "a"), saved(api, "b")
    answer = api.post("/api/segments/", {"name": "c", "clients": {}})
    assert (answer.status, answer.json["code"]) == (409, "too_many_segments")
    assert saved_segments.MOST_SEGMENTS == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": " ", "clients": {}}, "name"),
        ({"name": "x" * 65, "clients": {}}, "name"),
        ({"name": "x"}, "clients"),
        ({"name": "x", "clients": {"filter": {"all": []}}}, "clients.filter.all"),
        ({"name": "x", "clients": {"filter": {"any": [{"tag": 5}]}}}, "clients.filter.any.0.tag"),
    ],
)
def test_wrong_fields_are_named(api: Api, body: dict[str, Any], field: str) -> None:
    answer = api.post("/api/segments/", body)
    assert answer.status == 422, answer.text
    assert [one["field"] for one in answer.json["errors"]] == [field]
    assert api.get("/api/segments/").json["total"] == 0


@pytest.mark.parametrize("segment_id", ["x", "0" * 20, "0" * 21, "..", "%2e"])
def test_an_unknown_id_is_not_found(api: Api, segment_id: str) -> None:
    assert api.get(f"/api/segments/{segment_id}/").status == 404


def mailing_to(segment_id: str, **more: Any) -> dict[str, Any]:
    return MailingBodyFactory(
        clients={"segment": segment_id, **more}, start_time="2099-01-01T00:00Z", end_time="2099-01-02T00:00Z"
    )


def test_a_mailing_that_names_one_gets_a_copy(api: Api) -> None:
    """Expects its conditions of that time, also for a repeated request, whatever happens to the segment."""
    made = saved(api)
    body = mailing_to(made["id"])
    first = api.post("/api/mailing", body, headers={"Idempotency-Key": "once"})
    assert first.status == 201, first.text
    assert first.json["clients"] == CLIENTS
    api.put(f"/api/segments/{made['id']}/", {"clients": {"operator": "903"}})
    again = api.post("/api/mailing", body, headers={"Idempotency-Key": "once"})
    assert (again.json["id"], again.json["clients"]) == (first.json["id"], CLIENTS)
    path = f"/api/mailing/{first.json['id']}/"
    assert api.get(path).json["clients"] == CLIENTS
    changed = api.patch(path, {"clients": {"segment": made["id"]}})
    assert changed.json["clients"] == {"tag": None, "operator": "903", "filter": None, "recipients": None}
    api.delete(f"/api/segments/{made['id']}/")
    assert api.get(path).json["clients"] == changed.json["clients"]


def test_a_preview_and_another_segment_can_name_one(api: Api) -> None:
    made = saved(api, tag="x")
    assert api.post("/api/mailing/preview/", mailing_to(made["id"])).json["matching"] == 0
    copy = api.post("/api/segments/", {"name": "Copy", "clients": {"segment": made["id"]}})
    assert copy.json["clients"] == made["clients"]


@pytest.mark.parametrize(
    ("clients", "code"),
    [
        ({"segment": "0" * 20}, "not_a_segment"),
        ({"segment": ""}, "not_a_segment"),
        ({"segment": "no id"}, "not_a_segment"),
        ({"segment": "0" * 20, "tag": "x"}, "not_a_segment"),
    ],
)
def test_a_segment_that_does_not_exist_is_reported(api: Api, clients: dict[str, Any], code: str) -> None:
    """Expects the field's path, wherever a mailing is written."""
    body = MailingBodyFactory(clients=clients, start_time="2099-01-01T00:00Z", end_time="2099-01-02T00:00Z")
    for path in ("/api/mailing", "/api/mailing/preview/"):
        answer = api.post(path, body)
        assert (answer.status, [(one["field"], one["code"]) for one in answer.json["errors"]]) == (
            422,
            [("clients.segment", code)],
        )


def test_a_saved_segment_cannot_be_combined(api: Api) -> None:
    """Expects a refusal of anything that would narrow it."""
    made = saved(api)
    for more in ({"tag": "x"}, {"operator": "916"}, {"filter": {"tag": "x"}}, {"recipients": "01J" + "0" * 23}):
        answer = api.post("/api/mailing", mailing_to(made["id"], **more))
        assert (answer.status, answer.json["errors"][0]["code"]) == (422, "segment_narrowed"), more
