"""/api/clients/: the directory of clients, as its callers see it."""

from __future__ import annotations

import json

import pytest

from chalicelib.api.mailings import MailingQuery
from chalicelib.api.messages import MessageQuery
from chalicelib.domain.clients import ClientFields, kept_client, new_client
from chalicelib.web import paging
from chalicelib.web.clients import ClientBody, ClientListQuery
from chalicelib.web.paging import PageQuery
from tests.factories import ClientBodyFactory
from tests.support.api import Api


def _created(api: Api, **fields: object) -> dict:
    reply = api.post("/api/clients/", ClientBodyFactory(**fields))
    assert reply.status == 201, reply.text
    return reply.json


def _walk(api: Api, **query: object) -> list[dict]:
    rows, cursor = [], None
    for _ in range(50):
        page = api.get("/api/clients", query={**query, **({"cursor": cursor} if cursor else {})}).json
        rows += page["rows"]
        cursor = page["next"]
        if cursor is None:
            return rows
    raise AssertionError("the list does not end")


def test_the_request_of_the_first_version_creates_a_client(api: Api) -> None:
    """Expects 201, the client with their operator as text, and the address at which they can be read."""
    body = {"phone_number": "+79161234567", "operator": 916, "tag": "vip", "timezone": "Europe/Moscow"}
    reply = api.post("/api/clients/", body)
    assert reply.status == 201
    assert reply.json | {"id": "", "created_at": "", "updated_at": ""} == body | {
        "operator": "916",
        "tags": ["vip"],
        "opted_out": False,
        "unreachable": False,
        "language": "",
        "attributes": {},
        "external_id": "",
        "id": "",
        "created_at": "",
        "updated_at": "",
    }
    assert api.get(reply.headers["location"]).json == reply.json
    assert api.get(f"/api/clients/{reply.json['id']}/").json == reply.json


def test_only_the_phone_number_is_needed(api: Api) -> None:
    """Expects the operator of a +7 number to be taken from it, and UTC as the time zone."""
    reply = api.post("/api/clients", {"phone_number": "8 (916) 123-45-67"})
    assert reply.status == 201
    wanted = {"phone_number": "+79161234567", "operator": "916", "tag": "", "timezone": "UTC", "opted_out": False}
    assert wanted.items() <= reply.json.items()


def test_a_number_of_another_country_has_no_operator(api: Api) -> None:
    """Expects null rather than a guess."""
    assert api.post("/api/clients", {"phone_number": "+442079460000"}).json["operator"] is None


def test_a_phone_number_belongs_to_one_client(api: Api) -> None:
    """Expects 409 for a second client with the number, however it is written, and the first one unchanged."""
    first = _created(api, phone_number="+79161234567", tag="vip")
    reply = api.post("/api/clients", ClientBodyFactory(phone_number="8 916 123 45 67", tag="other"))
    assert reply.status == 409
    assert "phone number" in reply.json["detail"]
    assert api.get(f"/api/clients/{first['id']}").json == first


def test_put_sets_every_field(api: Api) -> None:
    """Expects fields that the body leaves out to get their defaults."""
    client = _created(api, tag="vip", timezone="Europe/Moscow", opted_out=True)
    reply = api.put(f"/api/clients/{client['id']}", {"phone_number": client["phone_number"]})
    assert reply.status == 200
    assert (reply.json["tag"], reply.json["timezone"], reply.json["opted_out"]) == ("", "UTC", False)


def test_patch_changes_only_the_fields_it_has(api: Api) -> None:
    """Expects all other fields, and the time of creation, to stay."""
    client = _created(api)
    api.pass_time(minutes=1)
    reply = api.patch(f"/api/clients/{client['id']}", {"tag": "gold"})
    assert reply.status == 200
    assert reply.json == client | {"tag": "gold", "tags": ["gold"], "updated_at": "2026-03-02T09:01:00.000Z"}


def test_a_client_whose_number_changes_keeps_the_id(api: Api) -> None:
    """Expects a new operator if it came from the number, and both numbers to find the client."""
    client = _created(api, phone_number="+79161234567", operator=None)
    api.pass_time(minutes=1)
    changed = api.patch(f"/api/clients/{client['id']}", {"phone_number": "+79031234567"}).json
    expected = {"phone_number": "+79031234567", "operator": "903", "updated_at": "2026-03-02T09:01:00.000Z"}
    assert changed == client | expected
    assert api.get(f"/api/clients/{client['id']}").json == changed
    assert api.get("/api/clients").json["total"] == 1
    found = api.post("/api/clients/lookup", {"phone_number": "+79031234567"}).json
    assert found == {"id": client["id"], "client": changed}
    formerly = api.post("/api/clients/lookup", {"phone_number": "+79161234567"}).json
    assert formerly == {"id": client["id"], "client": None}


def test_a_number_that_was_given_up_can_belong_to_another_client(api: Api) -> None:
    """Expects a new id for that client, and each to be found by their own number."""
    client = _created(api, phone_number="+79161234567")
    api.put(f"/api/clients/{client['id']}", {"phone_number": "+79031234567"})
    other = _created(api, phone_number="+79161234567")
    assert other["id"] != client["id"]
    for number, owner in (("+79161234567", other), ("+79031234567", client)):
        assert api.post("/api/clients/lookup", {"phone_number": number}).json["client"]["id"] == owner["id"]


def test_a_client_cannot_move_to_a_number_that_is_taken(api: Api) -> None:
    """Expects 409, with both clients unchanged."""
    first, second = _created(api), _created(api)
    reply = api.patch(f"/api/clients/{first['id']}", {"phone_number": second["phone_number"]})
    assert reply.status == 409
    assert api.get(f"/api/clients/{first['id']}").json == first
    assert api.get(f"/api/clients/{second['id']}").json == second


def test_a_deleted_client_is_gone(api: Api) -> None:
    """Expects 204 once, then 404, and nothing in the list."""
    client = _created(api)
    assert api.delete(f"/api/clients/{client['id']}").status == 204
    assert api.delete(f"/api/clients/{client['id']}").status == 404
    assert api.get("/api/clients").json == {"total": 0, "total_is_exact": True, "rows": [], "next": None}


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("client_id", ["1", "aaaaaaaaaaaaaaaa", "0123456789abcdef", "%00", "x" * 3000])
def test_an_unknown_client_is_not_found(api: Api, method: str, client_id: str) -> None:
    """Expects 404 for every method, whatever the id looks like."""
    body = {"PUT": ClientBodyFactory(), "PATCH": {"tag": "x"}}.get(method)
    assert api.request(method, f"/api/clients/{client_id}", body).status == 404


def test_the_list_has_every_client_once(api: Api) -> None:
    """Expects pages of the requested length, with the total on each."""
    created = [_created(api) for _ in range(23)]
    first = api.get("/api/clients", query={"limit": 10}).json
    assert (len(first["rows"]), first["total"]) == (10, 23)
    rows = _walk(api, limit=10)
    assert sorted(row["id"] for row in rows) == sorted(client["id"] for client in created)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"tag": "vip"}, {"vip 916", "vip 903"}),
        ({"operator": "916"}, {"vip 916", "gold 916"}),
        ({"tag": "vip", "operator": "916"}, {"vip 916"}),
        ({"tag": ["vip", "new"]}, {"vip 916", "vip 903", "new 903"}),
        ({"tag": ["vip", "new"], "operator": ["903"]}, {"vip 903", "new 903"}),
        ({"operator": ["903", "916"]}, {"vip 916", "vip 903", "new 903", "gold 916"}),
        ({"tag": ["vip", "gold"], "operator": ["903", "916"]}, {"vip 916", "vip 903", "gold 916"}),
        ({"tag": "VIP"}, set()),
        ({}, {"vip 916", "vip 903", "new 903", "gold 916"}),
    ],
)
def test_the_list_is_filtered_by_tag_and_operator(api: Api, query: dict, expected: set[str]) -> None:
    """Expects the clients with any of the tags and any of the operators, and their number as the total."""
    for pair in ("vip 916", "vip 903", "new 903", "gold 916"):
        tag, operator = pair.split()
        _created(api, tag=tag, operator=operator)
    assert {f"{row['tag']} {row['operator']}" for row in _walk(api, limit=2, **query)} == expected
    assert api.get("/api/clients", query=query).json["total"] == len(expected)


def test_a_tag_does_not_match_longer_tags(api: Api) -> None:
    """Expects `vip` not to find `vip2`, and the empty tag to find clients without one."""
    _created(api, tag="vip2")
    untagged = _created(api, tag="")
    assert api.get("/api/clients", query={"tag": "vip"}).json["total"] == 0
    assert [row["id"] for row in _walk(api, tag="")] == [untagged["id"]]


def test_totals_follow_every_change(api: Api) -> None:
    """Expects the totals of the old and the new tag to be right after a client is changed and after they are
    deleted."""
    client = _created(api, tag="vip")

    def totals() -> list[int]:
        both = {"tag": "gold", "operator": "903"}
        queries: list[dict] = [{}, {"tag": "vip"}, {"tag": "gold"}, {"operator": "903"}, both]
        return [api.get("/api/clients", query=query).json["total"] for query in queries]

    assert totals() == [1, 1, 0, 0, 0]
    api.patch(f"/api/clients/{client['id']}", {"tag": "gold", "operator": "903"})
    assert totals() == [1, 0, 1, 1, 1]
    api.delete(f"/api/clients/{client['id']}")
    assert totals() == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "201"}, {"limit": "ten"}, {"limit": "1e1"}, {"limit": ""}])
def test_an_invalid_limit_is_refused(api: Api, query: dict) -> None:
    """Expects 422 that names the limit."""
    reply = api.get("/api/clients", query=query)
    assert reply.status == 422
    assert list(reply.errors) == ["limit"]


def test_unknown_filters_are_refused(api: Api) -> None:
    """Expects 422 rather than a list without the filter."""
    assert api.get("/api/clients", query={"tags": "vip"}).errors == {"tags": "is not a known field"}
    assert list(api.get("/api/clients", query={"operator": "9"}).errors) == ["operator.0"]
    assert list(api.get("/api/clients", query={"limit": [1, 2]}).errors) == ["limit"]


def test_a_cursor_that_was_changed_is_refused(api: Api) -> None:
    """Expects 400 for a cursor in which a letter is changed, that is cut, of another list, or with other filters."""
    for _ in range(3):
        _created(api)
    cursor = api.get("/api/clients", query={"limit": 1}).json["next"]
    changed = [cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :] for place in range(8)]
    for wrong in [*changed, cursor[:-2], cursor + "A", "x", "%%%", "\x00"]:
        assert api.get("/api/clients", query={"cursor": wrong}).status == 400, wrong
    assert api.get("/api/clients", query={"cursor": cursor, "tag": "vip"}).status == 400
    assert api.get("/api/messages", query={"cursor": cursor}).status == 400
    assert api.get("/api/clients", query={"cursor": cursor}).status == 200


def test_requests_for_clients_scan_no_table(api: Api) -> None:
    """Expects no Scan behind any request for clients."""
    client = _created(api)
    for path in ("/api/clients", "/api/clients?tag=vip", "/api/clients?operator=916", f"/api/clients/{client['id']}"):
        assert api.get(path).status == 200
    assert "dynamodb.Scan" not in api.aws.calls


@pytest.mark.parametrize("path", ["/api/clients", "/api/mailing", "/api/messages", "/api/users"])
@pytest.mark.parametrize("place", ["", "99|", "00|1:" + "x" * 5000, "\x00", "a/b", "0" * 26 + ":-1"])
def test_a_forged_cursor_is_refused(api: Api, path: str, place: str) -> None:
    """Expects 400 for a position that was never given out, even with its right checksum."""
    models = {"clients": ClientListQuery, "mailing": MailingQuery, "messages": MessageQuery, "users": PageQuery}
    query = models[path.rpartition("/")[2]]()
    forged = paging.encode(place, query._scope)
    if place:
        assert api.get(path, query={"cursor": forged}).status == 400
    else:
        assert api.get(path, query={"cursor": forged}).json == api.get(path).json


def test_a_page_costs_the_same_however_many_clients_there_are(api: Api) -> None:
    """Expects the same calls, reading as many items, at 1,000 and at 4,000 clients."""
    repository = api.services.clients._clients
    zones = ("UTC", "Europe/Moscow", "Asia/Omsk")

    def add(numbers: range) -> None:
        made = (ClientBodyFactory(phone_number=f"+7916{number:07d}", timezone=zones[number % 3]) for number in numbers)
        repository.upsert([new_client(ClientBody(**body).fields(), api.clock.now()) for body in made])

    def cost() -> list[tuple[str, int]]:
        bodies: list[tuple[str, int]] = []
        api.aws.before = lambda call: bodies.append((call.operation, json.loads(call.body).get("Limit", 0)))
        assert [api.get("/api/clients", query=query).status for query in ({}, {"tag": "vip"}, {"operator": "916"})]
        api.aws.before = lambda call: None
        return bodies

    add(range(1000))
    at_thousand = cost()
    add(range(1000, 4000))
    assert cost() == at_thousand
    assert api.get("/api/clients").json["total"] == 4000
    assert len(list(repository._segments._totals.read())) <= 3 * 8


def test_a_client_is_found_by_their_number_however_it_is_written(api: Api) -> None:
    """Expects the client, in one read of one item."""
    client = _created(api, phone_number="+79161234567")
    for number in ("+79161234567", "8 (916) 123-45-67", "007 916 1234567"):
        assert api.post("/api/clients/lookup", {"phone_number": number}).json == {"id": client["id"], "client": client}
    api.aws.calls.clear()
    api.services.clients.find("+79161234567")
    assert api.aws.calls == ["dynamodb.BatchGetItem"]


def test_a_number_without_a_client_still_has_an_id(api: Api) -> None:
    """Expects that of the deleted client, so that what was sent to them is found."""
    client = _created(api, phone_number="+79161234567")
    api.delete(f"/api/clients/{client['id']}")
    found = api.post("/api/clients/lookup", {"phone_number": "+79161234567"}).json
    assert found == {"id": client["id"], "client": None}


@pytest.mark.parametrize("number", ["", "4567", "abc", "+7916"])
def test_nobody_is_found_by_part_of_a_number(api: Api, number: str) -> None:
    """Expects 422 that names the field: a client's id is a keyed hash of the whole number."""
    assert list(api.post("/api/clients/lookup", {"phone_number": number}).errors) == ["phone_number"]


def test_a_client_opts_out_and_in_again(api: Api) -> None:
    """Expects everything else to stay."""
    client = _created(api)
    for opted_out in (True, False):
        api.services.clients.opt_out(client["id"], opted_out)
        read = api.get(f"/api/clients/{client['id']}").json
        assert read | {"updated_at": ""} == client | {"opted_out": opted_out, "updated_at": ""}


# -- numbers of other rules


def test_a_client_with_a_number_that_is_no_longer_valid_is_found_changed_and_opted_out(api: Api) -> None:
    """Expects stricter rules not to apply to clients who exist already."""
    old = "+2905123"
    now = api.clock.now()
    client = kept_client(ClientFields(old, tags=("vip",)), now)
    api.services.clients._clients.upsert([client])
    found = api.post("/api/clients/lookup", {"phone_number": old}).json["client"]
    assert found["phone_number"] == old
    path = f"/api/clients/{found['id']}"
    assert api.patch(path, {"opted_out": True}).json["opted_out"] is True
    assert api.put(path, {"phone_number": old, "tag": "new"}).json["tag"] == "new"
    assert list(api.post("/api/clients/lookup", {"phone_number": "+2905124"}).errors) == ["phone_number"]
    assert list(api.post("/api/clients", {"phone_number": "+2905124"}).errors) == ["phone_number"]


def test_a_request_may_name_the_country_of_a_number_without_a_code(api: Api) -> None:
    """Expects this when creating, changing and finding a client."""
    query = {"country": "DE"}
    assert list(api.post("/api/clients", {"phone_number": "0151 23456789"}).errors) == ["phone_number"]
    made = api.post("/api/clients", {"phone_number": "0151 23456789"}, query=query).json
    assert made["phone_number"] == "+4915123456789"
    found = api.post("/api/clients/lookup", {"phone_number": "(0151) 23456789"}, query=query).json
    assert found["client"] == made
    changed = api.patch(f"/api/clients/{made['id']}", {"phone_number": "0151 23456780"}, query=query).json
    assert changed["phone_number"] == "+4915123456780"
    assert list(api.post("/api/clients", {"phone_number": "+79161234567"}, query={"country": "ZZ"}).errors) == [
        "country"
    ]
