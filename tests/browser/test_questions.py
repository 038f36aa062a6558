"""The question before a mailing is sent, in a real browser: by keyboard alone, without a script, narrow, in Russian."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, StorageState, expect

from tests.browser.conftest import LAPTOP, Window, most_stops
from tests.browser.test_manners import findings
from tests.support.local_run import ApiCaller, LocalRun
from tests.support.orders import add_clients

TAG = "browser-questions"
NARROW = {"width": 390, "height": 844}
MOSCOW = ZoneInfo("Europe/Moscow")


@pytest.fixture(scope="module", autouse=True)
def clients(run: LocalRun) -> None:
    """A hundred people to write to."""
    add_clients(run, 100, tag=TAG, first=700_000)


def local(later: timedelta) -> str:
    """A time from now as it is entered in Moscow."""
    return f"{datetime.now(MOSCOW) + later:%Y-%m-%dT%H:%M}"


def fill_in(page: Page, text: str) -> None:
    """Fill in a mailing that starts at once, in any language."""
    page.goto("/admin/mailings/new")
    page.locator("[name=text]").fill(text)
    page.locator("[name='clients.tag']").fill(TAG)
    page.locator("[name=start_time]").fill(local(timedelta(hours=-1)))
    page.locator("[name=end_time]").fill(local(timedelta(hours=3)))


def texts(api: ApiCaller) -> set[str]:
    """The texts of all mailings."""
    return {row["text"] for row in api.rows("/api/mailing")}


def step_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press Tab until the element has the focus, at most as often as needed to go through the whole page."""
    expect(target).to_be_visible()
    for _ in range(most_stops(page)):
        if target.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError("the keyboard does not reach it")


@pytest.mark.parametrize("script", [True, False])
def test_enter_in_a_field_sends_nothing(window: Window, session: StorageState, api: ApiCaller, script: bool) -> None:
    """Expects Enter in any single-line field to leave the form as it is, with a script and without."""
    page = window.open(storage_state=session, java_script_enabled=script)
    fill_in(page, f"Enter sends nothing {script}")
    fields = page.locator("#mailing input:not([type=hidden]):visible")
    assert fields.count() >= 5
    for number in range(fields.count()):
        fields.nth(number).press("Enter")
        expect(page.locator("#mailing")).to_be_visible()
    expect(page.locator("[name=text]")).to_have_value(f"Enter sends nothing {script}")
    assert f"Enter sends nothing {script}" not in texts(api)


@pytest.mark.parametrize("script", [True, False])
def test_a_mailing_is_sent_by_keyboard_alone(
    window: Window, session: StorageState, api: ApiCaller, script: bool
) -> None:
    """Expects the button back to have the focus and to keep all input, and the other button to send the mailing."""
    text = f"By keyboard {script}"
    page = window.open(storage_state=session, java_script_enabled=script)
    fill_in(page, text)
    for _ in "ab":  # it leads back as often as it is asked
        step_to(page, page.get_by_role("button", name="Save and check"))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Send this mailing now?")).to_be_visible()
        expect(page.locator("main")).to_contain_text("100 people will get it")
        expect(page.get_by_role("link", name="Back to the form")).to_be_focused()
        assert {row["status"] for row in api.rows("/api/mailing") if row["text"] == text} == {"draft"}
        page.keyboard.press("Enter")
        expect(page.locator("[name=text]")).to_have_value(text)
        expect(page.locator("[name='clients.tag']")).to_have_value(TAG)
    step_to(page, page.get_by_role("button", name="Save and check"))
    page.keyboard.press("Enter")
    step_to(page, page.get_by_role("button", name="Send now to 100 people"), "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".flash")).to_have_text("The mailing is starting now.")
    assert "draft" not in {row["status"] for row in api.rows("/api/mailing") if row["text"] == text}


@pytest.mark.parametrize(("language", "button"), [("en-US", "Send now to 100 people"), ("ru-RU", "Отправить сейчас")])
@pytest.mark.parametrize("viewport", [LAPTOP, NARROW])
def test_the_question_fits_every_screen(
    window: Window, session: StorageState, viewport: dict[str, int], language: str, button: str
) -> None:
    """Expects nothing to be cut off, nothing that axe calls moderate or worse, and both buttons in sight."""
    cookies = [one for one in session["cookies"] if one["name"] != "language"]
    page = window.open(storage_state={**session, "cookies": cookies}, viewport=viewport, language=language)
    fill_in(page, "The same for everybody, on a phone and on a laptop")
    page.locator(".beside > .actions button").click()
    for one in (page.get_by_role("button", name=re.compile(button)), page.locator("#back")):
        expect(one).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    assert findings(Axe(), page) == []


def test_the_focus_of_a_question_is_on_the_way_back(page: Page, api: ApiCaller) -> None:
    """Expects Enter to close the question and do nothing else."""
    times = {"start_time": "2098-01-01T00:00:00Z", "end_time": "2099-01-01T00:00:00Z"}
    mailing = api.call("POST", "/api/mailing", {"text": "Asked in front", "clients": {"tag": TAG}, **times})["id"]
    page.goto(f"/admin/mailings/{mailing}")
    page.get_by_role("link", name="Pause").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("link", name="Back")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    assert api.call("GET", f"/api/mailing/{mailing}")["status"] == "scheduled"
    api.call("DELETE", f"/api/mailing/{mailing}")
