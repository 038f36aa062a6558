"""Clients with several tags in the API: in requests and answers, lists, files and mailings."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Any
from unittest import mock

import pytest

from chalicelib.services import previews
from tests.factories import ClientBodyFactory, MailingBodyFactory
from tests.support.api import Api, Reply
from tests.support.campaign import Campaign


def _created(api: Api, **fields: object) -> dict[str, Any]:
    body = ClientBodyFactory(**fields)
    if "tag" not in fields:
        del body["tag"]
    reply = api.post("/api/clients/", body)
    assert reply.status == 201, reply.text
    return dict(reply.json)


def _upload(api: Api, text: str, path: str = "/api/clients/imports") -> Reply:
    return api.post(path, raw=text.encode(), headers={"Content-Type": "text/csv"})


def _imported(campaign: Campaign, text: str) -> dict[str, Any]:
    reply = _upload(campaign.api, text)
    assert reply.status == 201, reply.text
    campaign.simulation.run_for(30)
    return dict(campaign.api.get(f"/api/clients/imports/{reply.json['id']}").json)


def _tags(api: Api) -> dict[str, list[str]]:
    return {row["phone_number"]: row["tags"] for row in api.get("/api/clients", query={"limit": "100"}).json["rows"]}


@pytest.mark.parametrize(
    ("given", "tags"),
    [
        ({}, []),
        ({"tag": "vip"}, ["vip"]),
        ({"tags": ["vip", " new ", "vip", ""]}, ["vip", "new"]),
        ({"tag": "new", "tags": ["vip", "new"]}, ["new", "vip"]),
        ({"tag": "", "tags": ["vip"]}, ["vip"]),
        ({"tags": []}, []),
    ],
)
def test_a_client_gets_the_tags_of_a_request(api: Api, given: dict[str, object], tags: list[str]) -> None:
    """Expects both fields in the answer, the first tag in the older one, and the same by PUT."""
    client = _created(api, **given)
    assert (client["tags"], client["tag"]) == (tags, (tags or [""])[0])
    other = _created(api, tags=["x", "y", "z"])
    body = {"phone_number": other["phone_number"], **given}
    assert api.put(f"/api/clients/{other['id']}", body).json["tags"] == tags


@pytest.mark.parametrize(
    ("change", "tags"),
    [
        ({"language": "ru"}, ["vip", "new"]),
        ({"tag": "gold"}, ["gold"]),
        ({"tag": ""}, []),
        ({"tags": ["new", "gold"]}, ["new", "gold"]),
        ({"tags": []}, []),
    ],
)
def test_a_patch_sets_all_tags_or_none(api: Api, change: dict[str, object], tags: list[str]) -> None:
    client = _created(api, tags=["vip", "new"])
    assert api.patch(f"/api/clients/{client['id']}", change).json["tags"] == tags
    for tag in ("vip", "new", "gold"):
        assert api.get("/api/clients", query={"tag": tag}).json["total"] == (tag in tags)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"tag": "gold", "tags": ["vip"]}, "tag"),
        ({"tag": "gold", "tags": []}, "tag"),
        ({"tags": ["vip", "x" * 65]}, "tags.1"),
        ({"tags": ["vip", "a\x01"]}, "tags.1"),
        ({"tags": ["vip", None]}, "tags.1"),
        ({"tags": [str(number) for number in range(21)]}, "tags"),
        ({"tags": [letter * 64 for letter in "abcdefghijklmnopq"]}, "tags"),
        ({"tags": "vip"}, "tags"),
    ],
)
def test_wrong_tags_are_refused_by_their_field(api: Api, given: dict[str, object], field: str) -> None:
    reply = api.post("/api/clients", {"phone_number": "+79161234567", **given})
    assert (reply.status, list(reply.errors)) == (422, [field])
    client = _created(api, tags=["vip"])
    reply = api.patch(f"/api/clients/{client['id']}", given)
    assert (reply.status, list(reply.errors)) == (422, [field])


def test_a_list_has_everybody_with_any_of_the_tags_once(api: Api) -> None:
    """Expects all pages to say whether the total is exact."""
    both = _created(api, tags=["vip", "new"])
    ids = {both["id"], _created(api, tags=["x", "new"])["id"], _created(api, tag="vip")["id"]}
    rows: list[dict[str, Any]] = []
    cursor = None
    while cursor is not None or not rows:
        page = api.get(
            "/api/clients", query={"tag": ["new", "vip"], "limit": "1", **({"cursor": cursor} if cursor else {})}
        ).json
        assert (page["total"], page["total_is_exact"]) == (4, False)
        rows += page["rows"]
        cursor = page["next"]
    assert ({row["id"] for row in rows}, len(rows)) == (ids, 3)
    page = api.get("/api/clients", query={"tag": "new"}).json
    assert (page["total"], page["total_is_exact"], len(page["rows"])) == (2, True, 2)
    assert api.get("/api/clients").json["total"] == 3


def test_a_mailing_to_several_tags_reaches_everybody_once(campaign: Campaign) -> None:
    """Expects the preview to count them once, or to say that it counts the people of each tag."""
    for tags in [["vip", "new", "x"]] * 3 + [["y", "new"]] * 2 + [["alone"]]:
        _created(campaign.api, tags=tags)
    mailing = {"clients": {"tag": ["new", "vip"]}}
    path = "/api/mailing/preview"
    preview = campaign.api.post(path, MailingBodyFactory(**mailing)).json
    assert (preview["exact"], preview["matching"], preview["recipients"]) == (True, 5, 5)
    with mock.patch.object(previews, "_FEW", 5):
        preview = campaign.api.post(path, MailingBodyFactory(**mailing)).json
    assert (preview["exact"], preview["matching"], preview["recipients"]) == (False, 8, 8)
    one = campaign.api.post(path, MailingBodyFactory(clients={"tag": "new", "operator": "916"})).json
    assert (one["exact"], one["matching"], [zone["matching"] for zone in one["by_timezone"]]) == (True, 5, [5])
    mailing_id = campaign.order(**mailing)
    campaign.finish(mailing_id)
    assert campaign.api.get(f"/api/mailing/{mailing_id}").json["counts"]["total"] == 5
    assert sorted(Counter(call.phone_number for call in campaign.simulation.gateway.log).values()) == [1] * 5


@pytest.mark.parametrize(
    ("header", "cell", "tags"),
    [
        ("tags", "vip; new", ["vip", "new"]),
        ("Tags", '"vip, new"', ["vip", "new"]),
        ("TAGS", '"""vip"",""new"""', ["vip", "new"]),
        ("tags", "vip|new", ["vip", "new"]),
        ("tags", '"[""a;b"", ""new""]"', ["a;b", "new"]),
        ("tag", '"vip, new"', ["vip, new"]),
        ("tag,tags", "new,vip; new", ["new", "vip"]),
        ("tag,tags", "new,", ["new"]),
        ("tags", "", ["old", "older"]),
        ("language", "ru", ["old", "older"]),
    ],
)
def test_a_row_of_a_file_sets_all_tags(campaign: Campaign, header: str, cell: str, tags: list[str]) -> None:
    """Expects this of an existing client too, unless the row has no tags."""
    client = _created(campaign.api, tags=["old", "older"])
    number = client["phone_number"]
    found = _imported(campaign, f"phone_number,{header}\n{number},{cell}\n")
    assert (found["rejected"], _tags(campaign.api)) == (0, {number: tags})
    found = _imported(campaign, f"phone_number,{header}\n{number},{cell}\n")
    assert (found["unchanged"], found["changed"]) == (1, 0)


def test_wrong_tags_in_a_row_are_reported_with_their_column(api: Api) -> None:
    text = f"phone_number,tag,tags\n+79160000001,x,vip;new\n+79160000002,,vip;{'x' * 65}\n+79160000003,a\x01b,\n"
    reply = _upload(api, text, "/api/clients/imports/check")
    assert [(one["field"], one["value"][:8]) for one in reply.json["errors"]] == [
        ("tag", "x"),
        ("tags", "vip;xxxx"),
        ("tag", "a\x01b"),
    ]


def test_tags_are_imported_from_other_programs(campaign: Campaign) -> None:
    """As JSON lines, and as listmonk has them among its attributes."""
    _imported(campaign, '{"phone_number": "+79160000001", "tags": ["vip", "new"]}\n')
    _imported(
        campaign,
        "uuid,email,name,attributes,status\n"
        '1,a@example.com,A,"{""phone"": ""+79160000002"", ""tags"": [""vip"", ""a, b""]}",enabled\n',
    )
    assert _tags(campaign.api) == {"+79160000001": ["vip", "new"], "+79160000002": ["vip", "a, b"]}


def test_an_export_with_several_tags_can_be_imported_again(campaign: Campaign) -> None:
    """Expects a column with the first tag and one with all, and no change."""
    kinds = [["vip", "new"], ["=1+1", "-x"], ["'quoted", "b"], ["a;b", "c,d", "e|f"], ['"x"', "y"], ["[z"], []]
    for tags in kinds:
        _created(campaign.api, tags=tags)
    text = campaign.api.get("/api/clients/export").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {(row["tag"], row["tags"]) for row in rows} >= {("vip", "vip; new"), ("'=1+1", "'=1+1; -x"), ("", "")}
    before = _tags(campaign.api)
    campaign.simulation.run_for(1)
    found = _imported(campaign, text)
    assert (found["unchanged"], found["rejected"]) == (len(kinds), 0)
    assert _tags(campaign.api) == before
    campaign.api.delete(f"/api/clients/{rows[0]['id']}")
    _imported(campaign, text)
    assert _tags(campaign.api) == before
