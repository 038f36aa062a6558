"""Finding a message and reading its history, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.campaigns import add_clients, finish, order, refusing
from tests.browser.conftest import Window
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller


def test_it_can_be_found_out_why_somebody_got_nothing(page: Page, api: ApiCaller, gateway: FaultyGateway) -> None:
    """Expects links from a phone number to the call of the gateway and its answer; secrets stay hidden."""
    (phone,) = add_clients(api, "asked", 1)
    with refusing(gateway, [phone]):
        finish(api, order(api, "asked", text="Your parcel is here"))
    page.goto("/admin/messages")
    page.get_by_label("Phone number or ID").fill(phone)
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("Only the client")).to_be_visible()
    assert phone[1:] not in page.url
    page.locator("tbody a.phone").click()
    expect(page.locator("#history + ol li")).to_have_count(3)
    expect(page.locator("#history + ol li").nth(1)).to_contain_text("Gateway call 1 refused")
    expect(page.locator("#history + ol li").nth(1)).to_contain_text("Answer: HTTP 400 after")
    request = page.locator(".request")
    expect(request).to_contain_text("POST /v1/send/")
    expect(request).to_contain_text("Authorization: Bearer ***")
    expect(request).to_contain_text("Your parcel is here")
    expect(request).not_to_contain_text(phone[1:])
    page.get_by_role("link", name="Full history").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Full history")


def test_messages_are_filtered_by_status(page: Page, api: ApiCaller, gateway: FaultyGateway) -> None:
    """Expects only failed messages, and the chosen status to be shown."""
    phones = add_clients(api, "narrowed", 2)
    with refusing(gateway, phones[:1]):
        finish(api, order(api, "narrowed"))
    page.goto("/admin/messages")
    page.get_by_label("Status", exact=True).select_option("failed")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr").first).to_contain_text("To narrowed")
    expect(page.locator("tbody .status-sent")).to_have_count(0)
    expect(page.get_by_label("Status", exact=True)).to_have_value("failed")


def test_a_history_is_shown_in_russian(window: Window, sign_in: Callable[..., Page], api: ApiCaller) -> None:
    """Expects every part of the page in the browser's language."""
    add_clients(api, "russian", 1)
    mailing_id = order(api, "russian")
    finish(api, mailing_id)
    page = sign_in(window.open(language="ru-RU"))
    page.goto(f"/admin/mailings/{mailing_id}")
    expect(page.get_by_role("heading", name="Получатели")).to_be_visible()
    page.locator("tbody a.phone").click()
    expect(page.locator("#history + ol")).to_contain_text("Вызов шлюза №")
    expect(page.locator("#history + ol")).to_contain_text("Ответ: HTTP 200")
