"""Mailings in a real browser: ordered with a live preview, changed, launched, paused, cancelled and copied."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Window
from tests.support.local_run import ApiCaller, LocalRun
from tests.support.orders import add_clients, order

TAG = "browser-mailings"
MOSCOW = ZoneInfo("Europe/Moscow")


@pytest.fixture(scope="module", autouse=True)
def clients(run: LocalRun) -> None:
    """Two hundred people to write to."""
    add_clients(run, 200, tag=TAG)


def local(later: timedelta) -> str:
    """A time from now as it is entered in Moscow."""
    return f"{datetime.now(MOSCOW) + later:%Y-%m-%dT%H:%M}"


def mailing_of(page: Page) -> str:
    """The id of the mailing whose page is open."""
    page.wait_for_url(re.compile(r"/admin/mailings/[0-9A-Z]{26}$"))
    return page.url.rpartition("/")[2]


def test_a_mailing_is_written_with_a_preview_and_ordered(page: Page, api: ApiCaller) -> None:
    """Expects the preview to follow every field, a click to add a tag, and the times to be Moscow's."""
    page.get_by_role("link", name="Mailings").click()
    page.get_by_role("link", name="Create a mailing").first.click()
    preview = page.get_by_role("complementary")
    page.get_by_label("Text", exact=True).fill("Hello")
    page.get_by_role("button", name=re.compile(TAG)).click()
    expect(preview).to_contain_text("200 people will get it")
    expect(preview.get_by_role("status").first).to_have_text("200 people will get it")  # for who does not see it
    expect(preview).to_contain_text("1 SMS each, 5 characters (GSM-7); 200 in total")
    page.get_by_label("Text", exact=True).fill("Привет " * 20)
    expect(preview).to_contain_text("3 SMS each, 140 characters (UCS-2)")
    page.get_by_label("Start (Europe/Moscow)").fill(local(timedelta(hours=2)))
    page.get_by_label("End (Europe/Moscow)").fill(local(timedelta(hours=3)))
    page.get_by_text("Rate and other options").click()
    page.get_by_label("Maximum messages per second").fill("1")
    expect(preview).to_contain_text(re.compile(r"Expected finish: .* before its end"))
    page.get_by_label("End (Europe/Moscow)").fill(local(timedelta(hours=2, minutes=2)))
    expect(preview).to_contain_text("It will not finish in time. At 1 per second it takes 3 min.")
    page.get_by_role("button", name="Save and check").click()
    expect(page.locator("main")).to_contain_text("200 people will get it")
    page.get_by_role("button", name="Schedule for 200 people").click()
    made = api.call("GET", f"/api/mailing/{mailing_of(page)}")
    assert made["status"] == "scheduled"
    expected = datetime.now(UTC) + timedelta(hours=2)
    assert abs(datetime.fromisoformat(made["start_time"]) - expected) < timedelta(minutes=2)
    assert (made["clients"]["tag"], made["rate_limit"]) == (TAG, 1)
    api.call("DELETE", f"/api/mailing/{made['id']}")


def test_errors_are_beside_their_fields_and_no_input_is_lost(page: Page) -> None:
    """Expects the focus on a list of errors with links to their fields, and all input to be kept."""
    page.goto("/admin/mailings/new")
    page.get_by_label("Text", exact=True).fill("Do not lose this")
    page.get_by_label("Operators").fill("916 12x")
    page.get_by_label("End (Europe/Moscow)").fill("2020-01-01T10:00")
    page.get_by_role("button", name="Save and check").click()
    problems = page.get_by_role("alert")
    expect(problems).to_be_focused()
    expect(problems).to_contain_text("Operators: 12x: must be a 3-digit code")
    problems.get_by_role("link", name=re.compile("Operators")).click()
    expect(page.get_by_label("Operators")).to_be_focused()
    expect(page.get_by_label("Operators")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("End (Europe/Moscow)")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Text", exact=True)).to_have_value("Do not lose this")


def test_an_hour_that_the_clocks_show_twice_is_chosen(window: Window, sign_in: Callable[..., Page]) -> None:
    """Expects a choice to appear with the error, and the answer to be kept."""
    page = sign_in(window.open(zone="America/New_York"))
    page.goto("/admin/mailings/new")
    page.get_by_label("Text", exact=True).fill("Halloween is over")
    page.get_by_label("Start (America/New_York)").fill("2035-11-04T01:30")
    page.get_by_label("End (America/New_York)").fill("2035-11-04T09:00")
    page.get_by_role("button", name="Save and check").click()
    expect(page.get_by_role("alert")).to_contain_text("comes twice in America/New_York")
    page.get_by_label("Which of the two?").select_option(label="the second time, UTC-0500")
    page.get_by_label("Text", exact=True).fill("Halloween is really over")
    page.get_by_role("button", name="Save and check").click()
    page.get_by_role("button", name=re.compile("Schedule for")).click()  # it goes to all
    expect(page.locator(".flash")).to_have_text("The mailing was scheduled.")
    mailing = mailing_of(page)
    page.goto(f"/admin/mailings/{mailing}/edit")
    expect(page.get_by_label("Which of the two?")).to_have_value("1")
    page.goto(f"/admin/mailings/{mailing}/delete")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".flash")).to_have_text("The mailing was deleted.")


def test_a_mailing_is_launched_paused_and_cancelled_after_questions(page: Page, api: ApiCaller) -> None:
    """Expects each question to count the people, and to do nothing unless its button is pressed."""
    mailing = order(api, TAG, starts_in=7200, lasts=7200, text="Steered by hand", rate_limit=5)

    def status() -> str:
        return str(api.call("GET", f"/api/mailing/{mailing}")["status"])

    def ask(name: str) -> Locator:
        page.get_by_role("link", name=name).click()
        return page.get_by_role("dialog")

    page.goto(f"/admin/mailings/{mailing}")
    page.get_by_role("link", name="Start now").click()
    expect(page.locator("main")).to_contain_text("200 people will get it")
    expect(page.get_by_role("link", name="Back")).to_be_focused()
    page.get_by_role("link", name="Back").click()
    assert status() == "scheduled"
    page.get_by_role("link", name="Start now").click()
    page.get_by_role("button", name="Send now to 200 people").click()
    expect(page.locator(".flash")).to_have_text("The mailing is starting now.")
    page.get_by_role("link", name="Overview").click()
    card = page.locator(".card", has_text="Steered by hand")
    expect(card).to_contain_text("of 200", timeout=20_000)
    card.get_by_role("link").click()
    question = ask("Pause")
    expect(question).to_contain_text("will wait until you resume it")
    question.get_by_role("button", name="Pause").click()
    expect(page.locator(".flash")).to_have_text("The mailing was paused.")
    assert status() == "paused"
    ask("Cancel mailing").get_by_role("button", name="Cancel mailing").click()
    expect(page.locator(".flash")).to_have_text("The mailing was cancelled.")
    assert status() == "cancelled"


def test_a_copy_of_a_mailing_is_made_and_changed(page: Page, api: ApiCaller) -> None:
    """Expects the copy to have the same text, and a change of it to be saved."""
    mailing = order(api, TAG, starts_in=7200, lasts=7200, text="To be copied")
    page.goto(f"/admin/mailings/{mailing}")
    page.get_by_role("link", name="Copy").click()
    expect(page.get_by_label("Text", exact=True)).to_have_value("To be copied")
    page.get_by_label("Start (Europe/Moscow)").fill(local(timedelta(hours=2)))
    page.get_by_label("End (Europe/Moscow)").fill(local(timedelta(hours=3)))
    page.get_by_role("button", name="Save and check").click()
    expect(page.locator(".flash")).to_have_text("Saved as a draft. Nothing has been sent yet.")
    page.get_by_role("link", name="Keep as a draft").click()
    copy = mailing_of(page)
    assert copy != mailing
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Text", exact=True).fill("A better text")
    page.get_by_role("button", name="Save and check").click()
    expect(page.locator(".bubbles")).to_have_text("A better text")
    assert api.call("GET", f"/api/mailing/{copy}")["text"] == "A better text"
    for one in (mailing, copy):
        api.call("DELETE", f"/api/mailing/{one}")


def test_a_mailing_is_written_with_a_saved_group_and_a_template(page: Page, api: ApiCaller) -> None:
    """Expects a group to be saved where its conditions are entered, and then a form that has both."""
    page.goto("/admin/templates/new")
    page.get_by_label("Name").fill("Browser greeting")
    page.get_by_label("Text", exact=True).fill("Hello {{first_name|friend}}")
    expect(page.get_by_role("complementary")).to_contain_text("Hello friend")
    page.get_by_role("button", name="Create template").click()
    expect(page.locator(".flash")).to_have_text("The template was created.")
    page.goto("/admin/mailings/new")
    page.get_by_label("Tags").fill(TAG)
    page.get_by_text("More conditions").click()
    condition = page.get_by_role("group", name="Condition 1")
    condition.get_by_label("What", exact=True).select_option("Tag")
    condition.get_by_label("How it is compared").select_option("is not")
    condition.get_by_label("With what").fill("blocked, bounced")
    page.get_by_label("Name of the group").fill("Browser friends")
    page.get_by_role("button", name="Save group").click()
    expect(page.locator("#segment-saved")).to_contain_text("Saved as Browser friends.")
    page.goto("/admin/mailings/new")
    page.get_by_label("Start with a saved group").select_option("Browser friends")
    page.get_by_label("Start from a template").select_option("Browser greeting")
    page.get_by_role("button", name="Use").click()
    expect(page.get_by_label("Text", exact=True)).to_have_value("Hello {{first_name|friend}}")
    expect(page.get_by_label("Tags")).to_have_value(TAG)
    expect(condition.get_by_label("With what")).to_have_value("blocked, bounced")
    expect(page.get_by_role("complementary")).to_contain_text("200 people will get it")
    page.goto("/admin/segments")
    page.get_by_role("link", name="Delete Browser friends").click()
    expect(page.get_by_role("dialog")).to_contain_text("Its clients stay, and so do mailings to it.")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Delete Browser friends")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".flash")).to_contain_text("The group was deleted.")
    assert "Browser friends" not in [row["name"] for row in api.call("GET", "/api/segments")["rows"]]
