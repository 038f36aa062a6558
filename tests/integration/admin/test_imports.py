"""/admin/clients/import and /export: importing clients from CSV, with progress and rejected rows, and exporting
them."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from chalicelib.admin import imports
from tests.factories import ClientBodyFactory
from tests.integration.admin.test_mailings import entered
from tests.support.api import Api, Reply
from tests.support.browsing import Browser, carried, text_of
from tests.support.campaign import Campaign
from tests.support.workbooks import workbook

HEADER = "phone_number,tag\n"


def begun(browser: Browser, text: str, query: str = "") -> str:
    """Upload a file, or a part of one; returns the path of the page that follows the import."""
    browser.get("/admin/clients/import")
    answer = browser.upload(f"/admin/clients/import?{query}", text)
    assert answer.status == 200, text_of(answer)
    return answer.headers["hx-redirect"]


def rows_of(page: Reply) -> list[list[str]]:
    """The rows of the table on a page."""
    rows = re.findall(r"<tr>(.*?)</tr>", page.text, re.DOTALL)
    return [
        [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)] for row in rows
    ]


def start(browser: Browser, path: str) -> None:
    """Press the button that imports what was checked."""
    assert browser.post(f"{path}/start").status == 200


def test_a_file_is_checked_and_then_followed_until_it_is_in(campaign: Campaign, on_call: Browser) -> None:
    """Expects what would change and a button with the number first, and then a part that refreshes until the end."""
    campaign.api.post("/api/clients", ClientBodyFactory(phone_number="+79161234567", tag="vip"))
    path = begun(on_call, "Mobile,Tag,Plan\n+79161234567,vip,x\n+79161234568,vip,y\n12,,z\n", "file_name=June.csv")
    campaign.simulation.run_for(60)
    page = on_call.get(path)
    told = text_of(page)
    assert "June.csv" in told
    assert "Nothing is imported yet." in told
    assert "1 new 0 changed 1 unchanged 0 opted out 1 rejected" in told
    assert "Mobile Phone number" in told
    assert "Columns left out: Plan." in told
    assert "Import 2 clients" in told
    assert f'hx-get="{path}' not in page.text
    assert campaign.api.get("/api/clients").json["total"] == 1
    start(on_call, path)
    page = on_call.get(path)
    assert "0 of 2 correct rows imported." in text_of(page)
    assert f'hx-get="{path}/progress"' in page.text
    campaign.simulation.run_for(30)
    part = on_call.get(f"{path}/progress", headers={"HX-Request": "true"})
    assert "2 of 2 correct rows imported." in re.sub(r"<[^>]*>", "", part.text)
    assert "hx-get" not in part.text
    assert "<html" not in part.text
    assert "2 clients" in text_of(on_call.get("/admin/clients"))
    start(on_call, path)  # once more changes nothing
    assert "2 of 2 correct rows imported." in text_of(on_call.get(path))


def look(browser: Browser, raw: bytes, query: str = "") -> Reply:
    """What the page shows of the beginning of a file."""
    return browser.send_bytes(f"/admin/clients/import/look?{query}", raw)


def mapping(page: Reply) -> dict[str, tuple[str, str]]:
    """For each column, by name, the chosen field and the one that the column's name suggests."""
    selects = re.findall(r'data-column="([^"]*)" data-proposed="([^"]*)">(.*?)</select>', page.text, re.DOTALL)
    chosen = r'value="([^"]*)" selected'
    return {name: (re.findall(chosen, options)[0], by_name) for name, by_name, options in selects}


def test_an_external_id_that_was_taken_after_the_check_is_reported(campaign: Campaign, on_call: Browser) -> None:
    """Expects the progress to say that more rows are rejected now than the page shows, and to link to them."""
    path = begun(on_call, "phone_number,external_id\n+79161234567,crm-1\n+79161234568,crm-2\n")
    campaign.api.post("/api/clients", ClientBodyFactory(phone_number="+79161234569", external_id="crm-2"))
    start(on_call, path)
    campaign.simulation.run_for(30)
    part = on_call.get(f"{path}/progress")
    assert "1 row was rejected after the check, because another client has its external ID now." in part.text
    assert f'href="{path}"' in part.text
    page = on_call.get(path)
    assert "1 of 1 correct row imported." in text_of(page)
    assert rows_of(page)[1:] == [["3", "external_id", "crm-2", "belongs to another client"]]


def test_a_column_may_become_an_attribute(browser: Browser) -> None:
    """Expects this choice for every column, and the columns of our own export to be recognised."""
    page = look(browser, b"phone_number,First Name,attributes.age,1\n+79161234567,Anna,30,x\n").text
    assert '<option value="attributes.first_name">Attribute first_name</option>' in page
    assert '<option value="attributes.age" selected>Attribute age</option>' in page
    assert "attributes.1" not in page


def test_a_file_is_looked_at_first(browser: Browser) -> None:
    """Expects encoding, separator, first rows, and a field for each column; each can be changed."""
    browser.get("/admin/clients/import")
    raw = "Номер;Имя;Метка\n+79161234567;Анна;вип\n".encode("cp1251")
    page = look(browser, raw)
    assert page.status == 200
    assert '<option value="cp1251" selected>' in page.text
    assert '<option value=";" selected>' in page.text
    assert "Анна" in page.text
    assert mapping(page) == {
        "Номер": ("phone_number", "phone_number"),
        "Имя": ("", ""),
        "Метка": ("tag", "tag"),
    }
    page = look(browser, raw, "encoding=koi8-r&separator=,")
    assert '<option value="koi8-r" selected>' in page.text
    assert len(mapping(page)) == 1
    assert "Choose the column that has the phone numbers." in page.text
    assert look(browser, raw, "encoding=hex").status == 422


@pytest.mark.parametrize(
    ("raw", "told"), [(b"%PDF-1.7", "it is a PDF"), (b"phone_number\n" + b"\xff", "cp1252"), (b"", "")]
)
def test_the_beginning_of_a_file_may_be_too_little_to_read(browser: Browser, raw: bytes, told: str) -> None:
    """Expects files of another kind to be named; a piece that ends inside a letter, or is empty, is no error."""
    browser.get("/admin/clients/import")
    page = look(browser, raw)
    assert page.status == (422 if "PDF" in told else 200)
    assert told in page.text
    cut = "phone_number,tag\n+79161234567,мир".encode()[:-1]
    assert '<option value="utf-8" selected>' in look(browser, cut).text


def test_a_sample_is_small_and_comes_from_our_own_page(browser: Browser) -> None:
    """Expects a whole file to be refused, and 403 without the session's token."""
    browser.get("/admin/clients/import")
    assert look(browser, b"x" * 300_000).status == 413
    browser.csrf = "0" * 64
    assert look(browser, b"phone_number\n").status == 403


def test_a_workbook_becomes_csv_piece_by_piece(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects whole rows, each once, and nothing after the last; a file that is no workbook is named."""
    monkeypatch.setattr(imports, "PIECE", 50)
    browser.get("/admin/clients/import")
    raw = workbook([["phone_number", "tag"], *([79160000000 + n, "мир"] for n in range(9))])
    whole = ""
    for _ in range(20):
        answer = browser.send_bytes(f"/admin/clients/import/workbook?start={len(whole.encode())}", raw)
        assert answer.status == 200
        assert answer.text == "" or answer.text.endswith("\n")
        whole += answer.text
    assert whole.splitlines() == ["phone_number,tag", *(f"{79160000000 + n},мир" for n in range(9))]
    answer = browser.send_bytes("/admin/clients/import/workbook", b"PK\x03\x04")
    assert answer.status == 422
    assert "it is a ZIP archive" in answer.text


def test_the_sheets_of_a_workbook_are_offered(browser: Browser) -> None:
    """Expects their names beside the rows of the chosen sheet, and an error that lists them."""
    browser.get("/admin/clients/import")
    raw = workbook([["phone_number"]], more={"Март": [["tag"]]})
    answer = browser.send_bytes("/admin/clients/import/workbook", raw)
    assert (json.loads(answer.headers["x-sheets"]), answer.text.split()) == (["List", "Март"], ["phone_number"])
    place = urlencode({"sheet": "Март"})
    assert browser.send_bytes(f"/admin/clients/import/workbook?{place}", raw).text.split() == ["tag"]
    answer = browser.send_bytes("/admin/clients/import/workbook?sheet=x", raw)
    assert (answer.status, "List, Март" in answer.text) == (422, True)


def test_the_choice_of_columns_is_remembered(browser: Browser, operators_browser: Browser) -> None:
    """Expects it for that user's next file with the same columns, in any order, until they choose otherwise."""
    text = "Mobile,Plan,Kind\n+79161234567,gold,b\n"
    told = [("column", "tag:Plan")]
    assert "Plan Tag" in text_of(browser.get(begun(browser, text, urlencode(told))))
    again = b"Kind,Mobile,Plan\nb,+79161234567,gold\n"
    assert mapping(look(browser, again))["Plan"] == ("tag", "")
    operators_browser.get("/admin/clients/import")
    assert mapping(look(operators_browser, again))["Plan"] == ("", "")
    assert mapping(look(browser, b"Mobile,Plan\n+79161234567,gold\n"))["Plan"] == ("", "")
    begun(browser, text)
    assert mapping(look(browser, again))["Plan"] == ("", "")


def test_a_missing_part_is_reported_and_nothing_is_imported(campaign: Campaign, on_call: Browser) -> None:
    """Expects the file to be shown as interrupted, without a button, and the import not to start."""
    first = begun(on_call, HEADER + "+79161234567,x\n", "parts=2&file_name=half.csv")
    page = on_call.get(first)
    assert "1 of 2 parts have arrived. Send the missing parts" in text_of(page)
    again = on_call.get(f"/admin/clients/import?part_of={first.rpartition('/')[2]}")
    assert "Choose the file half.csv again." in text_of(again)
    assert f'data-begun="{first}" data-come="0" data-all="2"' in again.text
    assert 'name="country"' not in again.text
    assert f"{first}/start" not in page.text
    assert on_call.post(f"{first}/start").status == 409
    assert [row[:2] for row in rows_of(on_call.get("/admin/clients/imports"))[1:]] == [["half.csv", "interrupted"]]
    begun(on_call, HEADER + "+79161234568,x\n", f"part_of={first.rpartition('/')[2]}&row_offset=1")
    start(on_call, first)
    campaign.simulation.run_for(30)
    assert campaign.api.get("/api/clients").json["total"] == 2
    (row,) = rows_of(on_call.get("/admin/clients/imports"))[1:]
    assert [row[0], row[1], *row[3:]] == ["half.csv", "finished", "admin", "2", "2", "0"]


def test_rejected_rows_are_downloaded_in_the_language_of_the_page(browser: Browser) -> None:
    """Expects a button, and a file with what is wrong; there is none if nothing was rejected."""
    path = begun(browser, HEADER + "12,vip\n")
    assert f'href="{path}/rejected" data-download="rejected.csv"' in browser.get(path).text
    browser.post("/admin/preferences", {"language": "ru"})
    answer = browser.get(f"{path}/rejected")
    assert answer.headers["content-type"].startswith("text/csv")
    header, row = answer.text.splitlines()
    assert header == "rejected_row,problem,phone_number,tag"
    assert row.startswith('2,"phone_number должен')
    assert row.endswith(",12,vip")
    fine = begun(browser, HEADER + "+79161234567,vip\n")
    assert "/rejected" not in browser.get(fine).text


def test_an_empty_list_of_imports_says_what_to_do(browser: Browser) -> None:
    """Expects a link to the first import."""
    assert "Nothing was imported in the last week." in text_of(browser.get("/admin/clients/imports"))


def test_errors_are_listed_by_row(browser: Browser) -> None:
    """Expects row, column and reason, counted as a spreadsheet counts rows, with pages."""
    path = begun(browser, "phone_number,timezone\n12,UTC\n+79161234567,UTC\n13,Mars/Olympus\n")
    page = browser.get(path)
    assert [row[:2] for row in rows_of(page)[1:]] == [
        ["2", "phone_number"],
        ["4", "phone_number"],
        ["4", "timezone"],
    ]
    assert "must be an IANA time zone" in page.text
    page = browser.get(f"{path}?limit=2")
    following = re.search(r'rel="next" href="([^"]+)"', page.text)
    assert following
    assert [row[:2] for row in rows_of(browser.get(following[1].replace("&amp;", "&")))[1:]] == [["4", "timezone"]]


def test_the_parts_of_a_file_are_shown_as_one(browser: Browser) -> None:
    """Expects sums over the parts, and rows numbered as in the whole file, with pages that span parts."""
    first = begun(browser, HEADER + "12,x\n+79161234567,x\n", "parts=2")
    begun(browser, HEADER + "13,x\n14,x\n", f"part_of={first.rpartition('/')[2]}&row_offset=2")
    path = f"{first}?"
    page = browser.get(path)
    assert "4 rows in the file" in text_of(page)
    assert "3 rejected" in text_of(page)
    assert [row[0] for row in rows_of(page)[1:]] == ["2", "4", "5"]
    assert "Import 1 client" in text_of(page)
    start(browser, first)
    assert f'hx-get="{first}/progress"' in browser.get(path).text
    found: list[str] = []
    path += "&limit=2"
    while path:
        page = browser.get(path)
        found += [row[0] for row in rows_of(page)[1:]]
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = following[1].replace("&amp;", "&") + "&limit=2" if following else ""
    assert found == ["2", "4", "5"]


def test_a_file_without_clients_is_refused(browser: Browser, api: Api) -> None:
    """Expects the reason beside the file's field, in the language of the page."""
    browser.get("/admin/clients/import")
    answer = browser.upload("/admin/clients/import", "name,age\nx,1\n")
    assert answer.status == 422
    told = re.search(r'id="field-file-error">([^<]+)<', answer.text)
    assert told
    assert "must have a column phone_number" in told[1]
    assert browser.upload("/admin/clients/import", b"\xff\xfe\n").status == 422
    browser.post("/admin/preferences", {"language": "ru"})
    assert "заголовок" in browser.upload("/admin/clients/import", "").text
    assert api.get("/api/clients").json["total"] == 0


def test_a_file_is_accepted_only_from_our_own_page(browser: Browser, api: Api) -> None:
    """Expects 403 without the session's token, and nothing imported."""
    assert browser.upload("/admin/clients/import", HEADER + "+79161234567,x\n", csrf="0" * 64).status == 403
    assert api.queued_units() == []


def test_an_import_that_does_not_exist_is_not_found(browser: Browser) -> None:
    """Expects 404, for a part of it as well."""
    browser.get("/admin/clients/import")
    assert browser.get("/admin/clients/imports/nothing").status == 404
    part = "/admin/clients/import?part_of=01ARZ3NDEKTSV4RRFFQ69G5FAV&row_offset=5"
    assert browser.upload(part, HEADER + "12,x\n").status == 404


def test_an_export_has_pages(browser: Browser, api: Api) -> None:
    """Expects the clients of the filter once, one header, and links within the admin UI."""
    for tag in ("vip", "vip", "vip", "other"):
        api.post("/api/clients", ClientBodyFactory(tag=tag))
    text, path = "", "/admin/clients/export?tag=vip&limit=2"
    while path:
        answer = browser.get(path)
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["cache-control"] == "no-store"
        text += answer.text
        following = re.match(r'<([^>]+)>; rel="next"', answer.headers.get("link", ""))
        path = following[1] if following else ""
        assert path == "" or path.startswith("/admin/clients/export?")
    lines = text.splitlines()
    assert lines[0].startswith("id,phone_number")
    assert len(lines) == len(set(lines)) == 4


def test_nobody_exports_without_a_session(stranger: Browser) -> None:
    """Expects the sign-in form, and no client."""
    assert "/admin/login" in stranger.get("/admin/clients/export", follow=False).headers["location"]


def test_the_page_asks_for_the_country_and_what_to_do_with_other_values(campaign: Campaign, on_call: Browser) -> None:
    """Expects both to hold for the file, a country in small letters to be accepted, and an unknown one to be
    refused."""
    campaign.api.post("/api/clients", ClientBodyFactory(phone_number="+491701234567", tag="vip"))
    form = on_call.get("/admin/clients/import").text
    assert 'name="country"' in form
    assert '<option value="replace">' in form
    path = begun(on_call, "phone\n0170 1234567\n", "country=de&mode=replace")
    start(on_call, path)
    campaign.simulation.run_for(30)
    (client,) = campaign.api.get("/api/clients").json["rows"]
    assert (client["phone_number"], client["tag"]) == ("+491701234567", "")
    refused = on_call.upload("/admin/clients/import?country=XX", "phone\n0170 1234567\n")
    assert refused.status == 422
    assert "countr" in text_of(refused)


def test_numbers_for_one_mailing_lead_to_its_form(campaign: Campaign, on_call: Browser) -> None:
    """Expects no new client, the values that the text can use, exact counts, and a message to each number."""
    page = on_call.get("/admin/clients/import?for_mailing=true")
    assert "No client is added or changed." in text_of(page)
    assert 'data-always="for_mailing=true"' in page.text
    looked = look(on_call, b"phone,Code,Tag\n+79161234567,A-1,x\n", "for_mailing=true")
    assert mapping(looked) == {
        "phone": ("phone_number", "phone_number"),
        "Code": ("attributes.code", "attributes.code"),
        "Tag": ("attributes.tag", "attributes.tag"),
    }
    path = begun(
        on_call, "phone,Code\n+79161234567,A-1\n+79161234568,A-2\n12,x\n", "for_mailing=true&file_name=Codes.csv"
    )
    campaign.simulation.run_for(10)
    page = on_call.get(path)
    assert "2 numbers for the mailing 1 rejected" in text_of(page)
    assert "Write the mailing to 2 numbers" in text_of(page)
    form = on_call.get(f"/admin/mailings/new?recipients={path.split('/')[-1]}")
    assert "To 2 numbers of a file: Codes.csv" in text_of(form)
    assert "{{code}}" in text_of(form)
    assert campaign.api.get("/api/clients").json["total"] == 0
    file = {"clients.recipients": path.rpartition("/")[2], "clients.tag": ""}
    ordered = entered(text="{{code}}", **file)
    preview = on_call.post("/admin/mailings/preview", ordered).text
    assert "<strong>2</strong> people will get it" in preview
    assert "A-1" in preview
    made = on_call.post("/admin/mailings/new", ordered)
    assert "Clients a file of numbers" in text_of(made)
    (mailing,) = campaign.api.get("/api/mailing").json["rows"]
    on_call.post(f"/admin/mailings/{mailing['id']}/schedule", carried(made) | {"step": "send"})
    assert mailing["clients"]["recipients"] == file["clients.recipients"]
    assert "a file of numbers" in text_of(on_call.get("/admin/mailings"))
    assert "Codes.csv" in text_of(on_call.get(f"/admin/mailings/{mailing['id']}/edit"))
    assert "2 people" in text_of(on_call.get(f"/admin/mailings/{mailing['id']}/cancel"))
    campaign.simulation.clock.move_to(campaign.simulation.clock.now() + timedelta(hours=3))
    campaign.simulation.run_for(120)
    assert {call.phone_number: call.text for call in campaign.simulation.gateway.log} == {
        "+79161234567": "A-1",
        "+79161234568": "A-2",
    }
    later = {"start_time": "2026-03-03T15:00", "end_time": "2026-03-03T15:30"}
    assert f'href="/admin/mailings/{mailing["id"]}"' in on_call.get(path).text
    (row, *_) = campaign.api.get("/api/messages").json["rows"]
    assert f"/admin/clients/{row['client']}" not in on_call.get(f"/admin/messages/{row['id']}").text
    again = on_call.post("/admin/mailings/new", ordered | later)
    assert "upload it again for another mailing" in again.text
