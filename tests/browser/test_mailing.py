"""One mailing in a real browser: followed while it runs, its recipients, its export, and a retry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.campaigns import add_clients, finish, order, refusing
from tests.browser.conftest import Window
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, wait_until

_UNTIL_SENT = 25_000  # milliseconds


def tile(page: Page, name: str) -> str:
    """The number on the tile of that name."""
    return page.locator("#now .tiles li", has_text=name).locator("strong").inner_text().strip()


@pytest.fixture(scope="module")
def troubled(api: ApiCaller, gateway: FaultyGateway) -> tuple[str, list[str]]:
    """A finished mailing to eight people, two of whom were refused, and their numbers."""
    phones = add_clients(api, "troubled", 8)
    with refusing(gateway, phones[:2]):
        mailing_id = order(api, "troubled")
        finish(api, mailing_id)
    return mailing_id, phones


def test_a_mailing_is_followed_while_it_runs(page: Page, api: ApiCaller) -> None:
    """Expects counts, chart, history and buttons to change until it has ended, without a reload of the page."""
    add_clients(api, "live", 30)
    mailing_id = order(api, "live", rate_limit=3)
    page.goto(f"/admin/mailings/{mailing_id}")
    page.evaluate("window.same = true")
    now = page.locator("#now")
    expect(now.locator(".status")).to_have_text("running")
    expect(now.get_by_role("link", name="Pause")).to_be_visible()
    expect(page.locator("#history + ol")).not_to_contain_text("Finished")
    expect(now.locator(".status")).to_have_text("finished", timeout=_UNTIL_SENT)
    assert (tile(page, "Recipients"), tile(page, "sent")) == ("30", "30")
    expect(now.get_by_role("link", name="Pause")).to_have_count(0)
    expect(page.locator("#history + ol")).to_contain_text("Finished")
    expect(page.locator("#over-time-title")).to_have_text("Per minute")
    assert page.evaluate("window.same")
    assert page.locator("main [hx-get]").count() == 0


# A browser that allows notices and keeps what they say.
_NOTICES = """
window.noticed = [];
window.Notification = class {
  static permission = "default";
  static async requestPermission() { this.permission = "granted"; }
  constructor(title, { body }) { window.noticed.push([title, body]); }
};
"""


def test_the_tab_shows_progress_and_a_notice_when_the_mailing_ends(page: Page, api: ApiCaller) -> None:
    """Expects the percentage in the title, a notice if it was allowed by a click, and neither after the end."""
    page.add_init_script(_NOTICES)
    add_clients(api, "noticed", 30)
    mailing_id = order(api, "noticed", rate_limit=4)
    page.goto(f"/admin/mailings/{mailing_id}")
    expect(page).to_have_title(re.compile(r"^\d+ % · .+ · Message Service$"))
    page.get_by_role("button", name="Tell me when it has ended").click()
    expect(page.get_by_role("button", name="Tell me when it has ended")).to_be_hidden()
    assert page.evaluate("window.noticed") == []
    expect(page.locator("#now .status")).to_have_text("finished", timeout=_UNTIL_SENT)
    expect(page).not_to_have_title(re.compile("%"))
    (noticed,) = page.evaluate("window.noticed")
    assert noticed == [page.title(), "30 of 30 people got it."]


def test_what_is_open_stays_open_when_the_page_is_refreshed(page: Page, api: ApiCaller) -> None:
    """Expects the table below the chart to stay open and keep the focus when the part around it is replaced."""
    add_clients(api, "opened", 40)
    mailing_id = order(api, "opened", rate_limit=1)
    wait_until(lambda: api.call("GET", f"/api/mailing/{mailing_id}")["counts"]["sent"])  # there is a chart from then on
    page.goto(f"/admin/mailings/{mailing_id}")
    page.get_by_text("Show as a table").click()
    page.get_by_role("link", name="Pause").focus()
    with page.expect_response(lambda answer: "/now" in answer.url):
        page.evaluate("htmx.trigger('#now', 'refresh')")
    expect(page.locator("#over-time-numbers")).to_have_attribute("open", "")
    expect(page.get_by_role("link", name="Pause")).to_be_focused()
    api.call("POST", f"/api/mailing/{mailing_id}/cancel")


def test_recipients_are_filtered_and_one_is_found_by_number(page: Page, troubled: tuple[str, list[str]]) -> None:
    """Expects the rows of a status, and then a person's message, without their number in any address."""
    mailing_id, phones = troubled
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"/admin/mailings/{mailing_id}")
    page.get_by_label("Status", exact=True).select_option(label="failed (2)")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr:has(a.phone)", has_text="HTTP 400")).to_have_count(2)
    page.get_by_label("Phone number or client ID").fill(phones[0].replace("+7", "8 "))
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Message to {phones[0]}")
    assert not [url for url in asked if phones[0][2:] in url]


def test_a_number_that_is_not_found_is_reported_beside_the_field(page: Page, troubled: tuple[str, list[str]]) -> None:
    """Expects the number to stay in its field, with what is wrong."""
    page.goto(f"/admin/mailings/{troubled[0]}")
    page.get_by_label("Phone number or client ID").fill("+79990000001")
    page.get_by_role("button", name="Find").click()
    field = page.get_by_label("Phone number or client ID")
    expect(field).to_have_value("+79990000001")
    expect(field).to_have_accessible_description("does not belong to a recipient of this mailing")


def test_the_recipients_are_saved_as_one_file(page: Page, troubled: tuple[str, list[str]], directory: Path) -> None:
    """Expects a header and a row for each person."""
    mailing_id, phones = troubled
    page.goto(f"/admin/mailings/{mailing_id}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    saved = directory / download.value.suggested_filename
    download.value.save_as(saved)
    assert saved.name == f"mailing-{mailing_id}.csv"
    header, *rows = saved.read_text(encoding="utf-8").splitlines()
    assert header.startswith("id,client,phone_number,status,reason")
    assert sorted(row.split(",")[2] for row in rows) == sorted(phones)


def test_failed_messages_are_sent_again_after_a_question(page: Page, api: ApiCaller, gateway: FaultyGateway) -> None:
    """Expects a question in front of the page that says how many, and then everybody to get the message."""
    phones = add_clients(api, "again", 5)
    with refusing(gateway, phones[:3]):
        mailing_id = order(api, "again")
        finish(api, mailing_id)
    page.goto(f"/admin/mailings/{mailing_id}")
    assert tile(page, "failed") == "3"
    page.get_by_role("link", name="Retry").click()
    question = page.get_by_role("dialog")
    expect(question.get_by_role("heading")).to_have_text("Retry 3 messages?")
    question.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("status").filter(has_text="3 messages are being retried.")).to_be_visible()
    expect(page.locator("#now .status").first).to_have_text("finished", timeout=_UNTIL_SENT)
    expect(page.locator("#history + ol")).to_contain_text("Reopened to retry failed messages")
    assert (tile(page, "sent"), tile(page, "failed")) == ("5", "0")


def test_a_page_that_gets_no_answer_says_so_and_recovers(page: Page, api: ApiCaller, window: Window) -> None:
    """Expects a notice after five seconds with everything that moves in grey, and neither after the next answer."""
    add_clients(api, "unanswered", 5)
    mailing_id = order(api, "unanswered", rate_limit=1)
    api.call("POST", f"/api/mailing/{mailing_id}/pause")
    page.goto(f"/admin/mailings/{mailing_id}")
    note = page.get_by_text("These figures are out of date")
    page.route("**/now?*", lambda route: route.fulfill(status=403, body="no"))
    expect(note).to_be_visible(timeout=20_000)
    expect(page.locator("body")).to_have_class("out-of-date")
    page.unroute("**/now?*")
    expect(note).to_be_hidden(timeout=20_000)
    expect(page.locator("body")).not_to_have_class("out-of-date")
    window.complaints.clear()
    api.call("POST", f"/api/mailing/{mailing_id}/cancel")
