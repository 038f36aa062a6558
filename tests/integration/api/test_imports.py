"""Importing clients from CSV, and exporting clients and messages."""

from __future__ import annotations

import csv
import io
import json

import pytest

from chalicelib.domain import imports
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from chalicelib.web import parsing
from tests.factories import ClientBodyFactory
from tests.support.api import Api, Reply
from tests.support.campaign import Campaign
from tests.support.turns import in_turn
from tests.support.workbooks import workbook

CSV = {"Content-Type": "text/csv"}
HEADER = "phone_number,operator,tag,timezone,opted_out\r\n"


def _upload(api: Api, text: str | bytes, **options: object) -> Reply:
    raw = text.encode() if isinstance(text, str) else text
    return api.post("/api/clients/imports/", raw=raw, headers=CSV, **options)


def _imported(campaign: Campaign, text: str | bytes, query: dict[str, str] | None = None) -> dict:
    """The import, once it is finished."""
    reply = _upload(campaign.api, text, query=query or {})
    assert reply.status == 201, reply.text
    campaign.simulation.run_for(30)
    found = campaign.api.get(reply.headers["location"]).json
    assert found["status"] == "finished"
    return found


def _numbers(found: dict) -> list[int]:
    return [found[name] for name in ("rows", "accepted", "rejected", "done", "created", "changed", "unchanged")]


def _errors(api: Api, import_id: str, limit: int = 200) -> list[tuple[int, str]]:
    rows, query = [], {"limit": limit}
    while True:
        page = api.get(f"/api/clients/imports/{import_id}/rejected", query=query).json
        rows += [(row["row"], row["field"]) for row in page["rows"]]
        if not page["next"]:
            assert page["total"] == len(rows)
            return rows
        query = {"limit": limit, "cursor": page["next"]}


def _clients(api: Api) -> dict[str, dict]:
    return {row["phone_number"]: row for row in api.get("/api/clients", query={"limit": 200}).json["rows"]}


def test_good_rows_are_imported_and_bad_ones_are_reported(campaign: Campaign) -> None:
    """Expects a report with row and field of each rejected row, and the other rows to be clients."""
    text = HEADER + (
        "+79161234567,916,vip,Europe/Moscow,false\r\n"
        "12,916,vip,UTC,false\r\n"
        "+79161234568,9x6,vip,Mars/Base,perhaps\r\n"
        "\r\n"
        "8 (916) 123-45-69,,,,\r\n"
        "+79161234567,916,again,UTC,false\r\n"
        "+79161234570,916,vip,UTC,false,more\r\n"
    )
    found = _imported(campaign, text)
    assert _numbers(found) == [6, 2, 4, 2, 2, 0, 0]
    expected = [
        (3, "phone_number"),
        (4, "operator"),
        (4, "timezone"),
        (4, "opted_out"),
        (7, "phone_number"),
        (8, "row"),
    ]
    assert _errors(campaign.api, found["id"]) == _errors(campaign.api, found["id"], limit=1) == expected
    clients = _clients(campaign.api)
    assert set(clients) == {"+79161234567", "+79161234569"}
    assert clients["+79161234567"]["tag"] == "vip"
    assert (clients["+79161234569"]["operator"], clients["+79161234569"]["timezone"]) == ("916", "UTC")


def test_the_same_file_twice_changes_nothing(campaign: Campaign) -> None:
    """Expects the second import to find every client unchanged, with the time of its last change as it was."""
    text = HEADER + "".join(f"+7916000{n:04d},916,tag{n % 3},UTC,false\r\n" for n in range(300))
    assert _numbers(_imported(campaign, text)) == [300, 300, 0, 300, 300, 0, 0]
    before = _clients(campaign.api)
    assert _numbers(_imported(campaign, text)) == [300, 300, 0, 300, 0, 0, 300]
    assert _clients(campaign.api) == before
    assert campaign.api.get("/api/clients", query={"tag": "tag1"}).json["total"] == 100


def test_a_changed_row_changes_only_its_client(campaign: Campaign) -> None:
    """Expects the totals of the segments to follow."""
    text = HEADER + "+79160000001,916,vip,UTC,false\r\n+79160000002,916,vip,UTC,false\r\n"
    _imported(campaign, text)
    assert _numbers(_imported(campaign, text.replace("2,916,vip", "2,916,gold")))[4:] == [0, 1, 1]
    totals = [campaign.api.get("/api/clients", query={"tag": tag}).json["total"] for tag in ("vip", "gold")]
    assert totals == [1, 1]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffphone_number,tag\n+79161234567,vip\n",
        "phone_number;tag\r\n+79161234567;vip\r\n",
        "tag,phone_number\n vip ,+79161234567",
        'Tag;"PHONE_NUMBER";\r"vip";"+7 916 123-45-67";\r',
        "\n\nphone_number,tag,created_at,id\n79161234567,vip,2026-01-01,x\n\n",
    ],
)
def test_files_are_read_as_spreadsheets_write_them(campaign: Campaign, text: str) -> None:
    """Expects byte order mark, both separators, any line end, quotes, and columns in any order to work."""
    assert _numbers(_imported(campaign, text))[:3] == [1, 1, 0]
    assert _clients(campaign.api)["+79161234567"]["tag"] == "vip"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 422),
        ("tag,operator\nvip,916\n", 422),
        ("phone_number,phone_number\n1,2\n", 422),
        ("\x00", 422),
        (b"PK\x03\x04and so on", 422),
        ("x" * 5_000_001, 413),
    ],
    ids=("empty", "no numbers", "column twice", "binary", "an archive", "too large"),
)
def test_a_file_without_clients_is_refused(api: Api, text: str | bytes, status: int) -> None:
    """Expects an error at once, and nothing imported."""
    reply = _upload(api, text)
    assert reply.status == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert api.queued_units() == []


def test_a_file_of_too_many_rows_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects as many as docs/csv.md says to be accepted, one more not, and nothing of it to be imported."""
    assert imports.MAX_ROWS == 200_000
    monkeypatch.setattr(imports, "MAX_ROWS", 200)
    assert _upload(api, "phone_number\n" + "1\n" * 200).status == 201
    reply = _upload(api, "phone_number\n" + "1\n" * 201)
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, "body")
    assert reply.headers["content-type"] == "application/problem+json"
    assert api.queued_units() == []


def test_a_workbook_is_imported(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects the same rows as from CSV; for a workbook that is too large for AWS, an error that says what to do."""
    raw = workbook([["Mobile", "Tag"], [79161234567.0, "vip"], ["12", "x"]])
    headers = {"Content-Type": "application/octet-stream"}
    reply = campaign.api.post("/api/clients/imports", raw=raw, headers=headers)
    assert reply.status == 201, reply.text
    campaign.simulation.run_for(30)
    assert _clients(campaign.api)["+79161234567"]["tag"] == "vip"
    assert _errors(campaign.api, reply.json["id"]) == [(3, "phone_number")]
    monkeypatch.setattr(parsing, "MAX_WORKBOOK", len(raw) - 1)
    reply = campaign.api.post("/api/clients/imports", raw=raw, headers=headers)
    assert (reply.status, list(reply.errors)) == (422, ["file"])
    assert "CSV UTF-8" in reply.text


def test_a_sheet_of_a_workbook_can_be_named(campaign: Campaign) -> None:
    """Expects its rows; a wrong name is an error of that field which lists the names."""
    raw = workbook([["Mobile"], ["12"]], more={"March": [["Mobile", "Tag"], [79161234567.0, "vip"]]})
    headers = {"Content-Type": "application/octet-stream"}
    reply = campaign.api.post("/api/clients/imports/check?sheet=March", raw=raw, headers=headers)
    assert (reply.json["expected"]["created"], reply.json["rejected"]) == (1, 0)
    reply = campaign.api.post("/api/clients/imports?sheet=April", raw=raw, headers=headers)
    assert (reply.status, list(reply.errors)) == (422, ["sheet"])
    assert "List, March" in reply.text


def test_json_is_refused_as_a_file(api: Api) -> None:
    """Expects 415 that names what is accepted."""
    reply = api.post("/api/clients/imports", {"phone_number": "+79161234567"})
    assert reply.status == 415
    assert "text/csv" in reply.json["detail"]


def test_a_file_with_only_a_header_is_finished_at_once(api: Api) -> None:
    """Expects an import of no rows."""
    assert _numbers(_upload(api, HEADER).json) == [0] * 7
    assert _upload(api, HEADER + ",,,,\r\n").json["status"] == "finished"


def test_progress_can_be_watched(campaign: Campaign) -> None:
    """Expects a large import to be seen half-done."""
    text = HEADER + "".join(f"+7916{n:07d},916,vip,UTC,false\r\n" for n in range(6000))
    location = _upload(campaign.api, text).headers["location"]
    seen = set()

    def finished() -> bool:
        found = campaign.api.get(location).json
        seen.add(found["done"])
        return found["status"] == "finished"

    until = campaign.simulation.clock.now().replace(hour=10)
    assert campaign.simulation.scheduler.run_until(until, finished, check=20)
    assert seen == {0, 2000, 4000, 6000}
    assert campaign.api.get("/api/clients").json["total"] == 6000


@pytest.mark.parametrize("stop_at", [1, 5, 12, 30])
def test_a_crash_during_an_import_is_repaired(campaign: Campaign, stop_at: int) -> None:
    """Expects every client to be imported and counted as created, although the first dispatcher died on the way."""
    simulation = campaign.simulation
    simulation.crash_dispatcher(stop_at)
    text = HEADER + "".join(f"+7916{n:07d},916,vip,UTC,false\r\n" for n in range(2500))
    location = _upload(campaign.api, text).headers["location"]
    simulation.run_for(1500)
    assert simulation.workers.crashes == 1
    found = campaign.api.get(location).json
    assert (found["status"], _numbers(found)) == ("finished", [2500, 2500, 0, 2500, 2500, 0, 0])
    assert campaign.api.get("/api/clients", query={"tag": "vip"}).json["total"] == 2500


def test_an_unknown_import_is_not_found(api: Api) -> None:
    """Expects 404, whatever the id looks like; a forged cursor is a 400."""
    for import_id in ("1", "01KJPWD6M099CBF4EZDBRXGRED", "x" * 3000):
        assert api.get(f"/api/clients/imports/{import_id}").status == 404
        assert api.get(f"/api/clients/imports/{import_id}/rejected").status == 404
    import_id = _upload(api, HEADER + "1,,,,\r\n").json["id"]
    assert api.get(f"/api/clients/imports/{import_id}/rejected", query={"cursor": "x"}).status == 400


@pytest.mark.parametrize(("country", "number"), [("DE", "+4915123456789"), ("", None)])
def test_an_import_names_the_country_of_numbers_without_a_code(
    campaign: Campaign, country: str, number: str | None
) -> None:
    """Expects them to be refused without it, and the report to say what to do."""
    found = _imported(campaign, "phone_number\n0151 23456789\n", {"country": country})
    assert list(_clients(campaign.api)) == ([number] if number else [])
    rows = campaign.api.get(f"/api/clients/imports/{found['id']}/rejected").json["rows"]
    assert ["country code" in row["message"] for row in rows] == ([] if number else [True])
    reply = _upload(campaign.api, "phone_number\n0151 23456789\n", query={"country": "ZZ"})
    assert list(reply.errors) == ["country"]


def test_a_check_writes_nothing_and_says_what_an_import_would_do(campaign: Campaign) -> None:
    """Expects counts, the field of each column, and each error with the value of its cell."""
    text = "Mobile,Tag,Unsubscribed,Plan\n+79161234567,vip,yes,a\n12,vip,,b\n8 916 123-45-67,,,c\n"
    reply = campaign.api.post("/api/clients/imports/check/", raw=text.encode(), headers=CSV)
    assert reply.status == 200, reply.text
    found = reply.json
    errors = found.pop("errors")
    assert found == {
        "rows": 3,
        "accepted": 1,
        "rejected": 2,
        "opted_out": 1,
        "other_channels": 0,
        "expected": {
            "created": 1,
            "changed": 0,
            "unchanged": 0,
            "opted_out": 1,
            "opted_in_again": 0,
            "opt_outs_kept": 0,
        },
        "encoding": "utf-8",
        "separator": ",",
        "columns": {"Mobile": "phone_number", "Tag": "tag", "Unsubscribed": "opted_out", "Plan": ""},
        "left_out": ["Plan"],
    }
    assert [(one["row"], one["field"], one["value"]) for one in errors] == [
        (3, "phone_number", "12"),
        (4, "phone_number", "8 916 123-45-67"),
    ]
    campaign.simulation.run_for(60)
    assert campaign.api.get("/api/clients").json["total"] == 0
    assert campaign.api.get("/api/clients/imports/").json == {"rows": [], "next": None}


def test_columns_and_separator_can_be_given(campaign: Campaign) -> None:
    """In a check and in an import, also for later parts; expects the answer to say how the file was read."""
    text = "Mobile|Plan|Kind\n+79161234567|золото|b\n"
    query = [("column", "tag:Plan"), ("separator", "|")]
    raw = text.encode("cp1251")
    checked = campaign.api.post("/api/clients/imports/check", raw=raw, headers=CSV, query=query).json
    told = {"Mobile": "phone_number", "Plan": "tag", "Kind": ""}
    assert [checked[name] for name in ("encoding", "separator", "columns")] == ["cp1251", "|", told]
    first = campaign.api.post("/api/clients/imports", raw=raw, headers=CSV, query=[*query, ("parts", "2")]).json
    assert [first[name] for name in ("encoding", "separator", "columns")] == ["cp1251", "|", told]
    place = {"part_of": first["id"], "row_offset": "1"}
    assert _upload(campaign.api, "Mobile|Plan|Kind\n+79161234568|gold|b\n", query=place).status == 201
    campaign.simulation.run_for(30)
    assert {number: one["tag"] for number, one in _clients(campaign.api).items()} == {
        "+79161234567": "золото",
        "+79161234568": "gold",
    }
    reply = _upload(campaign.api, text, query=[("column", "name:Plan")])
    assert (reply.status, list(reply.errors)) == (422, ["column"])


def test_a_held_import_waits_until_it_is_started(campaign: Campaign) -> None:
    """Expects nothing to be written before, what would change to be reported, and opt-outs meanwhile to stay."""
    for number in ("+79160000001", "+79160000002", "+79160000003"):
        assert campaign.api.post("/api/clients", ClientBodyFactory(phone_number=number, tag="vip")).status == 201
    campaign.simulation.run_for(5)
    text = (
        "phone_number,tag,opted_out\n+79160000001,vip,false\n+79160000002,gold,yes\n+79160000004,vip,\n"
        "+79160000003,vip,\n+79160000003,vip,yes\n12,,\n"
    )
    query = {"hold": "true", "allow_opt_in": "true"}
    held = _upload(campaign.api, text, query=query).json
    assert held["status"] == "checked"
    expected = {"created": 1, "changed": 2, "unchanged": 1, "opted_out": 2, "opted_in_again": 0, "opt_outs_kept": 0}
    assert held["expected"] == expected
    before = _clients(campaign.api)
    campaign.simulation.run_for(300)
    assert _clients(campaign.api) == before
    client = before["+79160000001"]
    assert campaign.api.request("PATCH", f"/api/clients/{client['id']}", {"opted_out": True}).status == 200
    started = campaign.api.post(f"/api/clients/imports/{held['id']}/start", {})
    assert (started.status, started.json["status"]) == (200, "running")
    campaign.simulation.run_for(30)
    found = campaign.api.get(f"/api/clients/imports/{held['id']}").json
    assert (found["status"], found["opt_outs_kept"], found["done"]) == ("finished", 1, 4)
    assert [one["opted_out"] for _, one in sorted(_clients(campaign.api).items())] == [True, True, True, False]
    assert campaign.api.post(f"/api/clients/imports/{held['id']}/start", {}).json["status"] == "finished"


@pytest.mark.parametrize("stop_at", range(1, 6))
def test_an_interrupted_start_can_be_repeated(campaign: Campaign, stop_at: int) -> None:
    """Expects every part to be imported, wherever the start was cut off."""
    first = _upload(campaign.api, "phone_number\n+79160000001\n", query={"hold": "true", "parts": "3"}).json["id"]
    for number in (2, 3):
        place = {"part_of": first, "row_offset": str(number - 1)}
        assert _upload(campaign.api, f"phone_number\n+7916000000{number}\n", query=place).status == 201
    usual, calls = campaign.simulation.aws.before, []

    def crash(call: object) -> None:
        if call.operation.endswith(("TransactWriteItems", "SendMessageBatch")):
            calls.append(call)
            if len(calls) == stop_at:
                raise RuntimeError("the process died")
        usual(call)

    campaign.simulation.aws.before = crash
    assert campaign.api.post(f"/api/clients/imports/{first}/start", {}).status == 500
    campaign.simulation.aws.before = usual
    campaign.api.post(f"/api/clients/imports/{first}/start", {})
    campaign.simulation.run_for(300)
    assert campaign.api.get(f"/api/clients/imports/{first}").json["status"] == "finished"
    assert campaign.api.get("/api/clients").json["total"] == 3


def test_rejected_rows_keep_the_value_of_their_cell(campaign: Campaign) -> None:
    """So that whoever corrects the rows finds them."""
    found = _imported(campaign, "phone_number,tag\n12,a\n")
    (row,) = campaign.api.get(f"/api/clients/imports/{found['id']}/rejected").json["rows"]
    assert (row["row"], row["field"], row["value"]) == (2, "phone_number", "12")


def test_imports_are_listed_with_user_time_and_file_name(campaign: Campaign) -> None:
    """Expects the latest first, in pages; a file of several parts is one entry, with the number of parts so far."""
    for number in range(3):
        _imported(campaign, f"phone_number\n+7916123456{number}\n", {"file_name": f"{number}.csv"})
    first = _upload(campaign.api, "phone_number\n+79160000001\n", query={"file_name": "large.csv", "parts": "3"}).json
    place = {"part_of": first["id"], "row_offset": "1"}
    assert _upload(campaign.api, "phone_number\n+79160000002\n", query=place).status == 201
    campaign.simulation.run_for(30)
    seen: list[dict] = []
    query: dict[str, str] = {"limit": "3"}
    while True:
        page = campaign.api.get("/api/clients/imports", query=query).json
        seen += page["rows"]
        if not page["next"]:
            break
        query["cursor"] = page["next"]
    assert [one["file_name"] for one in seen] == ["large.csv", "2.csv", "1.csv", "0.csv"]
    assert {one["created_by"] for one in seen} == {"admin"}
    large = seen[0]
    counts = ("rows", "created", "parts", "parts_received", "status")
    assert [large[name] for name in counts] == [2, 2, 3, 2, "incomplete"]


def test_rejected_rows_can_be_corrected_and_imported_again(campaign: Campaign) -> None:
    """Expects each as in the file, with its number and its errors, over parts and pages."""
    text = 'Name;Mobile;Tag\r\n"Ann;a";12;=1+1\r\nBob;+79160000001;vip\r\n;;\r\nCid;+79160000001;vip\r\n'
    query = {"parts": "2", "file_name": "x.csv"}
    first = _upload(campaign.api, text, query=query).json["id"]
    part = 'Name;Mobile;Tag\r\nDan;+79160000001;late\r\nEve;13;\r\nFay;+79160000009;"open\r\nnot read;1;2\r\n'
    assert _upload(campaign.api, part, query={"part_of": first, "row_offset": "4"}).status == 201
    campaign.simulation.run_for(30)
    path = f"/api/clients/imports/{first}/rejected/export/"
    rows = _exported(campaign.api, path, limit=2)
    assert rows == _exported(campaign.api, path)
    assert [[row[name] for name in ("rejected_row", "Name", "Mobile", "Tag")] for row in rows] == [
        ["2", "Ann;a", "12", "'=1+1"],
        ["5", "Cid", "+79160000001", "vip"],
        ["6", "", "+79160000001", "late"],
        ["7", "Eve", "13", ""],
        ["8", "", "", ""],
    ]
    assert rows[0]["problem"].startswith("phone_number ")
    assert "quotation mark" in rows[4]["problem"]
    corrected = campaign.api.get(path).text.replace(",12,", ",+79160000002,").replace(",13,", ",+79160000003,")
    found = _imported(campaign, corrected)
    assert [found[name] for name in ("rows", "created", "rejected", "left_out")] == [4, 2, 1, ["Name"]]
    assert _clients(campaign.api)["+79160000002"]["tag"] == "=1+1"
    (again,) = _exported(campaign.api, f"/api/clients/imports/{found['id']}/rejected/export")
    assert list(again) == ["rejected_row", "problem", "Name", "Mobile", "Tag"]
    assert campaign.api.get("/api/clients/imports/nothing/rejected/export").status == 404
    assert campaign.api.get(path, query={"cursor": "x"}).status == 400


def test_many_wide_rejected_rows_fit_their_items(campaign: Campaign) -> None:
    """Expects them all to be kept: cells are cut, and an item gets as many rows as it can hold."""
    header = "phone_number," + ",".join(f"c{n}" for n in range(40))
    lines = [f"{n}," + ",".join(f"{n * 7919 + cell}" * 20 for cell in range(40)) for n in range(200)]
    lines.append("1," + "x" * 100_000)
    found = _upload(campaign.api, "\n".join([header, *lines])).json
    rows = _exported(campaign.api, f"/api/clients/imports/{found['id']}/rejected/export")
    assert [row["phone_number"] for row in rows] == [*map(str, range(200)), "1"]
    assert rows[7]["c39"] == lines[7].split(",")[-1]
    assert rows[-1]["c0"] == "x" * 500


# -- exporting


def _exported(api: Api, path: str, **query: object) -> list[dict]:
    """All pages, put together as a caller does who follows the links."""
    text, pages = "", 0
    reply = api.get(path, query=query)
    while True:
        assert reply.status == 200, reply.text
        assert reply.headers["content-type"] == "text/csv; charset=utf-8"
        text += reply.text
        pages += 1
        link = reply.headers.get("link")
        if not link:
            return list(csv.DictReader(io.StringIO(text)))
        target, _, relation = link.partition(">; ")
        assert relation == 'rel="next"'
        path, _, parameters = target[1:].partition("?")
        reply = api.request("GET", path, query=dict(part.split("=") for part in parameters.split("&")))


def test_clients_are_exported_page_by_page(api: Api) -> None:
    """Expects one header, everybody once, and the filters on every page."""
    made = [api.post("/api/clients", ClientBodyFactory()).json for _ in range(25)]
    api.post("/api/clients", ClientBodyFactory(tag="other"))
    rows = _exported(api, "/api/clients/export", limit=10, tag="vip")
    assert sorted(row["phone_number"] for row in rows) == sorted(client["phone_number"] for client in made)
    assert len(_exported(api, "/api/clients/export/")) == 26


def test_an_export_can_be_imported_again(campaign: Campaign) -> None:
    """Expects no change, whatever the tags look like."""
    tags = ("=1+1", "+7", "-x", "@sum", "'quoted", "''=x", 'a"b;c,d', "", "привет")
    for tag in tags:
        campaign.add_clients(1, tag=tag)
    text = campaign.api.get("/api/clients/export").text
    campaign.simulation.run_for(1)
    before = _clients(campaign.api)
    assert _numbers(_imported(campaign, text)) == [9, 9, 0, 9, 0, 0, 9]
    assert _clients(campaign.api) == before


def test_no_cell_is_run_as_a_formula(api: Api) -> None:
    """Expects an apostrophe before what a spreadsheet would run; a phone number keeps its plus and stays a number."""
    for tag in ("=cmd|' /C calc'!A0", "+1+1", "-1", "@x", "plain"):
        api.post("/api/clients", ClientBodyFactory(tag=tag))
    rows = _exported(api, "/api/clients/export")
    assert {row["tag"] for row in rows} == {"'=cmd|' /C calc'!A0", "'+1+1", "'-1", "'@x", "plain"}
    cells = [cell for row in rows for name, cell in row.items() if name != "phone_number"]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert all(row["phone_number"][1:].isdecimal() for row in rows)


def test_a_mailings_messages_are_exported(campaign: Campaign) -> None:
    """Expects every message once with its result, or only those of one status."""
    refused, accepted = Answer(Outcome.REFUSED, Cause.http(400), 400), Answer(Outcome.ACCEPTED)
    campaign.simulation.gateway.script = in_turn([refused, accepted, accepted])
    mailing_id = campaign.send(30, text="=1+1")
    counts = campaign.api.get(f"/api/mailing/{mailing_id}").json["counts"]
    rows = _exported(campaign.api, "/api/messages/export", mailing=mailing_id, limit=7)
    assert len({row["id"] for row in rows}) == len(rows) == 30
    failed = [row for row in rows if row["status"] == "failed"]
    assert len(failed) == counts["failed"] == 10
    assert {row["mailing"] for row in rows} == {"'=1+1"}
    assert {(row["reason"], row["attempts"], row["sent_at"]) for row in failed} == {("HTTP 400", "1", "")}
    only = _exported(campaign.api, "/api/messages/export", mailing=mailing_id, status="failed", limit=2)
    assert sorted(row["id"] for row in only) == sorted(row["id"] for row in failed)


def test_an_export_of_messages_needs_a_mailing(api: Api) -> None:
    """Expects 422 without one, and for a page larger than an answer can be."""
    assert api.get("/api/messages/export").errors == {"mailing": "is required"}
    assert list(api.get("/api/clients/export", query={"limit": 5001}).errors) == ["limit"]
    assert json.loads(api.get("/api/clients/export", query={"cursor": "x"}).text)["status"] == 400


# -- who said stop


def test_a_list_of_numbers_changes_no_other_field_and_opts_nobody_in(campaign: Campaign) -> None:
    """A missing column changes nothing: tag, time zone, operator and opt-out stay."""
    api = campaign.api
    body = {"phone_number": "+79161234567", "tag": "vip", "timezone": "Europe/Moscow", "opted_out": True}
    client = api.post("/api/clients", body).json
    _imported(campaign, "phone_number\n+79161234567\n+79161234568\n")
    after = api.get(f"/api/clients/{client['id']}").json
    assert {name: after[name] for name in body} == body
    assert after["updated_at"] == client["updated_at"]


@pytest.mark.parametrize(("query", "opted_out", "kept"), [({}, True, 1), ({"allow_opt_in": "true"}, False, 0)])
def test_only_an_explicit_false_with_permission_opts_in(
    campaign: Campaign, query: dict[str, str], opted_out: bool, kept: int
) -> None:
    """Expects an empty cell never to do it."""
    api = campaign.api
    ids = [
        api.post("/api/clients", {"phone_number": number, "tag": "a", "opted_out": True}).json["id"]
        for number in ("+79161234567", "+79161234568")
    ]
    done = _imported(campaign, "phone_number,tag,opted_out\n+79161234567,b,false\n+79161234568,,\n", query)
    first, second = (api.get(f"/api/clients/{client_id}").json for client_id in ids)
    assert (first["opted_out"], first["tag"], done["opt_outs_kept"]) == (opted_out, "b", kept)
    assert (second["opted_out"], second["tag"]) == (True, "a")


@pytest.mark.parametrize("rows", ["false\n+79161234567,true", "true\n+79161234567,false", "\n8 916 123-45-67,yes"])
def test_an_opt_out_counts_in_any_row(campaign: Campaign, rows: str) -> None:
    """If two rows have the same number, however written, and although the second is rejected as a repeat."""
    _imported(campaign, f"phone_number,opted_out\n+79161234567,{rows}\n", {"allow_opt_in": "true"})
    (client,) = campaign.api.get("/api/clients").json["rows"]
    assert client["opted_out"] is True
