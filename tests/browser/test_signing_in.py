"""Signing in and out, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Window
from tests.support.local_run import LocalRun


def test_a_person_signs_in_and_out_by_keyboard(window: Window, run: LocalRun) -> None:
    """Expects the overview after the password, and the form again after signing out, all without a mouse."""
    page = window.open()
    page.goto("/admin")
    expect(page).to_have_title("Sign in · Message Service")
    page.get_by_label("Username").focus()
    page.keyboard.type("admin")
    page.keyboard.press("Tab")
    page.keyboard.type(run.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("You have signed out.")
    page.goto("/admin")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_scripts_cannot_read_the_session(page: Page) -> None:
    """Expects the cookie to exist, and scripts of the page not to see it."""
    assert "session" in {cookie["name"] for cookie in page.context.cookies()}
    assert "session" not in page.evaluate("document.cookie")


def test_times_are_in_the_browsers_own_zone_until_another_is_chosen(
    window: Window, sign_in: Callable[..., Page]
) -> None:
    """Expects the browser's zone after signing in, and the chosen one from then on."""
    page = sign_in(window.open(zone="Asia/Yekaterinburg"))
    expect(page.get_by_role("contentinfo")).to_contain_text("Times are in Asia/Yekaterinburg.")
    page.get_by_role("link", name="Change").click()
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("contentinfo")).to_contain_text("Times are in Asia/Tokyo.")


def test_the_language_is_the_browsers_and_can_be_switched(window: Window, sign_in: Callable[..., Page]) -> None:
    """Expects Russian for a Russian browser, and English after the switch in the footer."""
    page = sign_in(window.open(language="ru-RU"))
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    expect(page.get_by_role("heading", level=1)).to_have_text("Обзор")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
