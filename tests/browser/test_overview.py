"""The overview in a real browser: it refreshes by itself, and does not disturb the person who uses it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Window
from tests.support.local_run import ApiCaller, LocalRun
from tests.support.orders import add_clients, order

TAG = "overview"
PATIENCE = 20_000  # milliseconds


@pytest.fixture
def running(run: LocalRun, api: ApiCaller) -> Iterator[str]:
    """The id of a mailing that is being sent throughout the test."""
    add_clients(run, 300, tag=TAG, first=1000)
    mailing = order(api, TAG, text="Seen on the overview", rate_limit=10)
    yield mailing
    api.request("POST", f"/api/mailing/{mailing}/cancel")


def test_a_running_mailing_is_refreshed_without_a_reload(page: Page, running: str) -> None:
    """Expects bar, rate and time left to appear and change without a reload, and the focus to stay where it is."""
    page.evaluate("window.untouched = true")
    card = page.locator(".card", has_text="Seen on the overview")
    expect(card).to_be_visible(timeout=PATIENCE)
    link = card.get_by_role("link")
    link.focus()
    bar = card.get_by_role("progressbar")
    expect(card).to_contain_text("of 300", timeout=PATIENCE)
    expect(card).to_contain_text("per second", timeout=PATIENCE)
    first = int(bar.get_attribute("aria-valuenow") or 0)
    page.wait_for_function(
        "([id, first]) => document.getElementById(id).closest('.card')"
        ".querySelector('[role=progressbar]').getAttribute('aria-valuenow') > first",
        arg=[f"open-{running}", first],
        timeout=PATIENCE,
    )
    expect(card).to_contain_text("left", timeout=PATIENCE)
    expect(link).to_be_focused()
    assert page.evaluate("window.untouched")


def test_what_is_open_stays_open_when_the_overview_is_refreshed(page: Page, running: str) -> None:
    """Expects the chart's table to stay open and have newer numbers after the next refresh."""
    page.get_by_text("Show as a table").click()
    page.evaluate("document.querySelector('#now figure').dataset.old = 'yes'")
    page.evaluate("htmx.trigger('#now', 'refresh')")
    expect(page.locator("#now figure[data-old]")).to_have_count(0, timeout=PATIENCE)
    expect(page.get_by_role("table", name="The last 24 hours")).to_be_visible()


def test_a_service_that_does_not_answer_is_reported(page: Page, window: Window) -> None:
    """Expects the figures to be marked as old while refreshing fails, and the mark to go with the next answer."""
    note = page.get_by_text("These figures are out of date")
    expect(note).to_be_hidden()
    page.route("**/admin/overview/now", lambda route: route.fulfill(status=403, body="no"))
    expect(note).to_be_visible(timeout=PATIENCE)
    page.unroute("**/admin/overview/now")
    expect(note).to_be_hidden(timeout=PATIENCE)
    assert all("/admin/overview/now" in complaint for complaint in window.complaints)
    window.complaints.clear()
