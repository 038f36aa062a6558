"""The ids that another system has for clients: set, changed, searched for, and imported from files."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import Conflict
from tests.integration.api.test_imports import CSV, _clients, _errors, _imported, _numbers, _upload
from tests.support.api import Api
from tests.support.campaign import Campaign

A, B, C = "+79161234501", "+79161234502", "+79161234503"
HEADER = "phone_number,external_id\r\n"


def _add(api: Api, number: str, external_id: str, **fields: object) -> str:
    reply = api.post("/api/clients", {"phone_number": number, "external_id": external_id, **fields})
    assert reply.status == 201, reply.text
    return str(reply.json["id"])


def _found(api: Api, external_id: str, **query: str) -> list[str]:
    page = api.get("/api/clients", query={"external_id": external_id, **query}).json
    assert (page["total"], page["next"]) == (len(page["rows"]), None)
    return [row["phone_number"] for row in page["rows"]]


def _ids(api: Api) -> dict[str, str]:
    return {number: row["external_id"] for number, row in _clients(api).items()}


def test_a_client_is_found_by_the_id_that_another_system_has_for_them(api: Api) -> None:
    """Expects it in the form in which it is stored, in NFC and without spaces around it; only a whole id finds
    anybody."""
    client_id = _add(api, A, "  Cafe\u0301 17/x ", tag="vip")
    assert api.get(f"/api/clients/{client_id}").json["external_id"] == "Café 17/x"
    assert _found(api, "Café 17/x") == _found(api, " Cafe\u0301 17/x", tag="vip") == [A]
    assert _found(api, "Café 17") == _found(api, "Café 17/x", tag="other") == _found(api, client_id) == []
    assert api.get("/api/clients").json["total"] == 1


def test_an_id_of_another_client_is_refused(api: Api) -> None:
    """Expects 409 that names the field, on every way to set one, and nothing changed."""
    first, second = _add(api, A, "crm-1"), _add(api, B, "crm-2")
    tries = [
        api.post("/api/clients", {"phone_number": C, "external_id": "crm-1"}),
        api.patch(f"/api/clients/{second}", {"external_id": "crm-1"}),
        api.put(f"/api/clients/{second}", {"phone_number": B, "external_id": "crm-1"}),
        api.patch(f"/api/clients/{second}", {"phone_number": C, "external_id": "crm-1"}),
    ]
    assert [(one.status, one.json["detail"]) for one in tries] == [
        (409, "another client already has this external_id")
    ] * len(tries)
    assert _ids(api) == {A: "crm-1", B: "crm-2"}
    assert api.patch(f"/api/clients/{first}", {"external_id": "crm-1", "tag": "x"}).status == 200


def test_an_id_can_be_used_again_after_its_client_lost_it(api: Api) -> None:
    """Expects this of an id that was changed, removed, or deleted with its client, even if the number changed too."""
    first, second = _add(api, A, "crm-1"), _add(api, B, "")
    assert api.patch(f"/api/clients/{first}", {"phone_number": C, "external_id": "crm-9"}).status == 200
    assert api.patch(f"/api/clients/{second}", {"external_id": "crm-1"}).status == 200
    assert (_found(api, "crm-1"), _found(api, "crm-9")) == ([B], [C])
    assert api.patch(f"/api/clients/{second}", {"external_id": ""}).status == 200
    assert api.delete(f"/api/clients/{first}").status == 204
    assert _found(api, "crm-1") == _found(api, "crm-9") == []
    _add(api, A, "crm-9")
    assert api.patch(f"/api/clients/{second}", {"external_id": "crm-1"}).status == 200


@pytest.mark.parametrize("wrong", ["x" * 129, "two\nlines", "zero\u200bwidth", 17, None])
def test_an_invalid_id_is_refused(api: Api, wrong: object) -> None:
    """Expects 422 with the field."""
    reply = api.post("/api/clients", {"phone_number": A, "external_id": wrong})
    assert (reply.status, [one["field"] for one in reply.json["errors"]]) == (422, ["external_id"])


def test_two_changes_at_once_lose_no_id(api: Api) -> None:
    """Expects the second change of the same version to be refused, with the ids of the first kept."""
    client_id = _add(api, A, "crm-1")
    clients = api.services.clients._clients
    old = clients.get(client_id)
    api.patch(f"/api/clients/{client_id}", {"external_id": "crm-2"})
    with pytest.raises(Conflict):
        clients.delete(old)
    assert (_found(api, "crm-1"), _found(api, "crm-2")) == ([], [A])


# -- files


def test_a_file_changes_only_the_ids_that_it_has(campaign: Campaign) -> None:
    """Expects a missing column and an empty cell to change none; with `replace` an empty cell removes the id."""
    assert _numbers(_imported(campaign, f"{HEADER}{A},crm-1\r\n{B},crm-2\r\n{C},\r\n"))[3:] == [3, 3, 0, 0]
    _imported(campaign, f"phone_number,tag\r\n{A},vip\r\n")
    assert _numbers(_imported(campaign, f"{HEADER}{A},crm-9\r\n{B},\r\n{C},crm-1\r\n"))[3:] in (
        [2, 0, 1, 1],
        [3, 0, 2, 1],
    )
    assert _found(campaign.api, "crm-9") == [A]
    assert _found(campaign.api, "crm-2") == [B]
    _imported(campaign, f"{HEADER}{B},\r\n", {"mode": "replace"})
    assert _found(campaign.api, "crm-2") == []


def test_a_row_with_another_clients_id_is_rejected(campaign: Campaign) -> None:
    """Expects only that row in the report, with the id but nobody's number, and its client unchanged."""
    _imported(campaign, f"{HEADER}{A},crm-1\r\n{B},crm-2\r\n")
    before = _clients(campaign.api)[B]
    text = f"phone_number,tag,external_id,note\r\n{B},new,crm-1,x\r\n{C},new,crm-3,y\r\n+79161234504,new,crm-2,z\r\n"
    found = _imported(campaign, text)
    assert _numbers(found) == [3, 1, 2, 1, 1, 0, 0]
    page = campaign.api.get(f"/api/clients/imports/{found['id']}/rejected").json
    assert page["total"] == 2
    assert page["rows"] == [
        {"row": row, "field": "external_id", "value": value, "message": "belongs to another client"}
        for row, value in ((2, "crm-1"), (4, "crm-2"))
    ]
    assert _clients(campaign.api)[B] == before
    assert _ids(campaign.api) == {A: "crm-1", B: "crm-2", C: "crm-3"}
    rejects = campaign.api.get(f"/api/clients/imports/{found['id']}/rejected/export").text
    assert f"2,external_id belongs to another client,{B},new,crm-1," in rejects


def test_a_rejected_row_still_opts_out(campaign: Campaign) -> None:
    """Expects this whether or not its client exists, and no id to be set."""
    _imported(campaign, f"{HEADER}{A},crm-1\r\n{B},\r\n")
    found = _imported(campaign, f"phone_number,external_id,tag,opted_out\r\n{B},crm-1,x,yes\r\n{C},crm-1,x,yes\r\n")
    # The second stands with the id of the first, which is how it is rejected.
    assert (_numbers(found), found["opted_out"]) == ([2, 0, 2, 0, 0, 0, 0], 2)
    clients = _clients(campaign.api)
    assert {number: (clients[number]["opted_out"], clients[number]["tag"]) for number in (B, C)} == {
        B: (True, ""),
        C: (True, ""),
    }
    assert _ids(campaign.api) == {A: "crm-1", B: "", C: ""}


def test_a_check_finds_ids_that_are_taken(campaign: Campaign) -> None:
    """Expects these rows to be rejected before anything is written, also in a held file."""
    _imported(campaign, f"{HEADER}{A},crm-1\r\n")
    text = f"{HEADER}{B},crm-1\r\n{C},crm-3\r\n{A},\r\n"
    check = campaign.api.post("/api/clients/imports/check", raw=text.encode(), headers=CSV).json
    assert [(one["row"], one["field"]) for one in check["errors"]] == [(2, "external_id")]
    assert (check["rejected"], check["expected"]["created"], check["expected"]["unchanged"]) == (1, 1, 1)
    held = _upload(campaign.api, text, query={"hold": "true"}).json
    assert (held["rejected"], held["accepted"]) == (1, 2)
    _add(campaign.api, "+79161234504", "crm-3")  # meanwhile
    campaign.api.post(f"/api/clients/imports/{held['id']}/start")
    campaign.simulation.run_for(30)
    found = campaign.api.get(f"/api/clients/imports/{held['id']}").json
    assert (found["status"], _numbers(found)) == ("finished", [3, 1, 2, 1, 0, 0, 1])
    assert _errors(campaign.api, held["id"], limit=1) == [(2, "external_id"), (3, "external_id")]


def test_an_id_that_a_file_has_twice_goes_to_the_first_row(campaign: Campaign) -> None:
    """Expects the second to be rejected with the number of the first, also if it comes in another part of the file."""
    found = _imported(campaign, f"{HEADER}{A},crm-1\r\n{B},crm-1\r\n{A},crm-5\r\n{C},crm-5\r\n")
    assert _errors(campaign.api, found["id"]) == [(3, "external_id"), (4, "phone_number")]
    assert _ids(campaign.api) == {A: "crm-1", C: "crm-5"}
    parts = [f"{HEADER}+79161234511,p-1\r\n", f"{HEADER}+79161234512,p-1\r\n+79161234513,p-2\r\n"]
    first = _upload(campaign.api, parts[0], query={"parts": "2"}).json["id"]
    _upload(campaign.api, parts[1], query={"part_of": first, "row_offset": "1"})
    campaign.simulation.run_for(30)
    (error,) = campaign.api.get(f"/api/clients/imports/{first}/rejected").json["rows"]
    assert (error["row"], error["message"]) == (3, "is also in row 2, with another phone number")
    assert _found(campaign.api, "p-1") == ["+79161234511"]
    assert _found(campaign.api, "p-2") == ["+79161234513"]


def test_an_id_that_several_clients_may_share_leaves_nobody_out(campaign: Campaign) -> None:
    """Expects a Pinpoint user with two phones to be two clients: one has the id, the other an attribute."""
    text = f"ChannelType,Address,User.UserId\nSMS,{A},u1\nSMS,{B},u1\nEMAIL,a@example.com,u1\nSMS,{C},u2\n"
    found = _imported(campaign, text)
    assert (_numbers(found)[:3], found["columns"]["User.UserId"]) == ([3, 3, 0], "user_id")
    for again in (text, f"ChannelType,Address,User.UserId\nSMS,{B},u1\n"):
        assert _numbers(_imported(campaign, again))[4:6] == [0, 0]
    assert _ids(campaign.api) == {A: "u1", B: "", C: "u2"}
    assert {number: row["attributes"] for number, row in _clients(campaign.api).items()} == {
        A: {},
        B: {"user_id": "u1"},
        C: {},
    }
    assert _imported(campaign, text, {"column": "external_id:User.UserId"})["rejected"] == 1


def test_an_export_that_is_imported_changes_nothing(campaign: Campaign) -> None:
    """Expects ids that look like formulas, numbers or nothing to come back unchanged."""
    ids = ["=1+1", "'-x", "007", "1.0", "-", "null", 'a,"b"', "+79160000000", "true"]
    for place, external_id in enumerate(ids):
        _add(campaign.api, f"+7916123460{place}", external_id)
    campaign.simulation.run_for(1)
    before = _clients(campaign.api)
    exported = campaign.api.get("/api/clients/export").text
    assert _numbers(_imported(campaign, exported)) == [9, 9, 0, 9, 0, 0, 9]
    assert _numbers(_imported(campaign, exported, {"mode": "replace"})) == [9, 9, 0, 9, 0, 0, 9]
    assert _clients(campaign.api) == before


def test_more_ids_than_a_transaction_can_hold_are_written(campaign: Campaign) -> None:
    """Expects this with a tag for each client, too."""
    rows = [f"+7916{n:07d},crm-{n},tag{n % 40}\r\n" for n in range(250)]
    text = "phone_number,external_id,tag\r\n" + "".join(rows)
    assert _numbers(_imported(campaign, text)) == [250, 250, 0, 250, 250, 0, 0]
    moved = text.replace(",crm-", ",new-")
    assert _numbers(_imported(campaign, moved)) == [250, 250, 0, 250, 0, 250, 0]
    assert [_found(campaign.api, one) for one in ("crm-7", "new-7")] == [[], ["+79160000007"]]
