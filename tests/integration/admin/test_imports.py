"""/admin/clients/import and /export: clients from CSV, with progress and what was rejected, and as CSV."""

from __future__ import annotations

import re

from tests.factories import ClientBodyFactory
from tests.support.api import Api, Reply
from tests.support.browsing import Browser, text_of
from tests.support.campaign import Campaign

HEADER = "phone_number,tag\n"


def begun(browser: Browser, text: str, query: str = "") -> str:
    """Upload a file, or a part of one; the path of the page that follows it."""
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


def test_a_file_is_followed_until_it_is_in(campaign: Campaign, on_call: Browser) -> None:
    """Expects the part that refreshes to ask again until all is written, and then not any more."""
    path = begun(on_call, HEADER + "+79161234567,vip\n+79161234568,vip\n")
    page = on_call.get(path)
    assert "0 of 2 correct rows imported." in text_of(page)
    assert f'hx-get="{path}/progress"' in page.text
    campaign.world.run_for(30)
    part = on_call.get(f"{path}/progress", headers={"HX-Request": "true"})
    assert "2 of 2 correct rows imported." in re.sub(r"<[^>]*>", "", part.text)
    assert "hx-get" not in part.text
    assert "<html" not in part.text
    assert "All rows are correct." in text_of(on_call.get(path))
    assert "2 clients" in text_of(on_call.get("/admin/clients"))


def test_what_is_wrong_is_told_row_by_row(browser: Browser) -> None:
    """Expects row, column and reason, as a spreadsheet counts rows, on pages of their own."""
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
    """Expects sums over the parts, and rows numbered as in the whole file, over pages that cross parts."""
    first = begun(browser, HEADER + "12,x\n+79161234567,x\n", "parts=2")
    begun(browser, HEADER + "13,x\n14,x\n", f"part_of={first.rpartition('/')[2]}&row_offset=2")
    path = f"{first}?"
    page = browser.get(path)
    assert "4 rows in the file" in text_of(page)
    assert "3 rejected" in text_of(page)
    assert [row[0] for row in rows_of(page)[1:]] == ["2", "4", "5"]
    assert f'hx-get="{first}/progress"' in page.text
    found: list[str] = []
    path += "&limit=2"
    while path:
        page = browser.get(path)
        found += [row[0] for row in rows_of(page)[1:]]
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = following[1].replace("&amp;", "&") + "&limit=2" if following else ""
    assert found == ["2", "4", "5"]


def test_a_file_that_says_nothing_of_clients_is_refused(browser: Browser, api: Api) -> None:
    """Expects the reason at the field of the file, in the language of the page."""
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


def test_a_file_comes_from_our_own_page_only(browser: Browser, api: Api) -> None:
    """Expects 403 without the session's token, and nothing imported."""
    assert browser.upload("/admin/clients/import", HEADER + "+79161234567,x\n", csrf="0" * 64).status == 403
    assert api.queued_units() == []


def test_an_import_that_is_none_is_not_found(browser: Browser) -> None:
    """Expects 404, also for a part of it."""
    browser.get("/admin/clients/import")
    assert browser.get("/admin/clients/imports/nothing").status == 404
    part = "/admin/clients/import?part_of=01ARZ3NDEKTSV4RRFFQ69G5FAV&row_offset=5"
    assert browser.upload(part, HEADER + "12,x\n").status == 404


def test_an_export_leads_from_page_to_page(browser: Browser, api: Api) -> None:
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
    """Expects the form to sign in, and no client."""
    assert "/admin/login" in stranger.get("/admin/clients/export", follow=False).headers["location"]
