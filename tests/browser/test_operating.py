"""Operating the service in a real browser: roles, users, settings, dead letters, changes from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from chalicelib.domain.reasons import Cause
from tests.browser.conftest import Window
from tests.browser.extremes import give_up
from tests.support.local_run import PASSWORD, ApiCaller, LocalRun, wait_until


@pytest.fixture
def operator(api: ApiCaller) -> Iterator[str]:
    """The name of a user who is not an admin."""
    api.call("POST", "/api/users", {"username": "an-operator", "password": PASSWORD, "role": "operator"})
    yield "an-operator"
    api.request("DELETE", "/api/users/an-operator")


def test_an_operator_does_not_see_the_users(window: Window, sign_in: Callable[..., Page], operator: str) -> None:
    """Expects no link to them, a refusal if the address is opened, and everything else to be there."""
    page = sign_in(window.open(), operator, PASSWORD)
    expect(page.get_by_role("navigation", name="Main")).to_contain_text("Clients")
    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    answer = page.goto("/admin/users")
    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_role("alert")).to_have_text("Your role does not allow this.")
    for name in ("Clients", "Failed messages", "Settings"):
        page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_a_user_is_added_signs_in_and_is_removed(page: Page, window: Window, sign_in: Callable[..., Page]) -> None:
    """Expects the password to be shown once, the new role to count at once, and no session after the removal."""
    page.get_by_role("link", name="Users").click()
    page.get_by_label("Username").fill("new-colleague")
    page.get_by_role("button", name="Add and show password").click()
    password = page.locator(".secret").inner_text()
    theirs = sign_in(window.open(), "new-colleague", password)
    page.get_by_role("link", name="Done").click()
    page.get_by_role("combobox", name="Role").select_option("Admin")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".flash")).to_have_text("Changes saved.")
    theirs.reload()
    expect(theirs.get_by_role("heading", level=1)).to_have_text("Sign in")  # another role signs out
    theirs = sign_in(theirs, "new-colleague", password)
    expect(theirs.get_by_role("link", name="Users")).to_be_visible()
    page.get_by_role("link", name="Reset password").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset password").click()
    assert page.locator(".secret").inner_text() != password
    page.get_by_role("link", name="Done").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".flash")).to_have_text("The user new-colleague was deleted.")
    expect(page.get_by_role("table", name="Users")).not_to_contain_text("new-colleague")


def test_changes_of_the_rate_and_the_circuit_are_listed(page: Page, api: ApiCaller) -> None:
    """Expects an error beside the field, the new values, and who changed what."""
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Messages per second").fill("many")
    page.get_by_role("button", name="Set rate").click()
    expect(page.get_by_label("Messages per second")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Messages per second")).to_have_value("many")
    page.get_by_label("Messages per second").fill("123")
    page.get_by_role("button", name="Set rate").click()
    expect(page.locator("main")).to_contain_text("123 messages per second for all mailings together.")
    page.get_by_label("Reason").fill("works at the gateway")
    page.get_by_role("button", name="Pause sending").click()
    expect(page.locator("main")).to_contain_text("Somebody paused sending.")
    expect(page.locator("tbody tr").first).to_contain_text("works at the gateway")
    expect(page.locator("tbody tr").first).to_contain_text("admin")
    page.get_by_role("link", name="Resume sending").click()
    page.get_by_role("button", name=re.compile("Resume sending")).click()
    expect(page.locator(".flash")).to_contain_text("Sending was resumed.")
    page.get_by_label("Messages per second").fill("")
    page.get_by_role("button", name="Set rate").click()
    expect(page.locator("main")).to_contain_text("No limit.")
    assert api.call("GET", "/api/gateway")["rate"] is None


def test_dead_letters_are_put_back_one_by_one_and_all_together(page: Page, run: LocalRun, api: ApiCaller) -> None:
    """Expects one to be sent by its own button, the rest by the button for all, and a question before one is
    discarded."""
    mailing = _given_up(run, api, 3)
    page.goto("/admin/queues")
    group = page.get_by_role("table", name="By mailing and reason").get_by_role("row").filter(has_text="for nobody")
    group.get_by_role("link", name="3", exact=True).click()
    rows = page.get_by_role("table", name="Failed messages").get_by_role("row").filter(has_text="+7996000")
    expect(rows).to_have_count(3)
    assert (box := rows.last.bounding_box()) is not None
    assert box["height"] <= 30
    rows.first.get_by_role("link", name="Retry").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry 1 message").click()
    expect(page.locator(".flash")).to_have_text("1 message is being retried.")
    page.get_by_role("link", name="Refresh").click()
    expect(rows).to_have_count(2)
    rows.first.get_by_role("link", name="Discard").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    expect(page.locator(".flash")).to_have_text("1 failed message was discarded.")
    group.get_by_role("link", name="Retry 1 message").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry 1 message").click()
    expect(page.locator(".flash")).to_have_text("1 message is being retried.")
    wait_until(lambda: api.call("GET", f"/api/mailing/{mailing}")["counts"]["sent"] == 2)


def test_a_change_from_another_site_is_refused(page: Page, window: Window) -> None:
    """Expects nothing to change without the form's token or from another site, even with the cookie."""
    asked = page.request.post("/admin/settings/rate", form={"rate": "7"})
    assert asked.status == 403
    csrf = page.locator("input[name=csrf]").first.get_attribute("value")
    assert csrf
    foreign = page.request.post(
        "/admin/settings/rate", form={"rate": "7", "csrf": csrf}, headers={"Origin": "https://example.com"}
    )
    assert foreign.status == 403
    page.goto("/admin/settings")
    expect(page.locator("main")).to_contain_text("No limit.")


def _given_up(run: LocalRun, api: ApiCaller, count: int) -> str:
    """A finished mailing with so many failed messages, each a dead letter."""
    for number in range(count):
        api.call("POST", "/api/clients", {"phone_number": f"+7996000{number:04d}", "tag": "given up"})
    times = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2099-01-01T00:00:00Z"}
    order = {"text": "for nobody", "clients": {"tag": "given up"}, **times}
    mailing = str(api.call("POST", "/api/mailing", order)["id"])
    wait_until(lambda: api.call("GET", f"/api/mailing/{mailing}")["status"] == "finished")
    with run.services() as services:
        give_up(services, mailing, [Cause.http(500)] * count)
    return mailing
