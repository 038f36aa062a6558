"""Clients in a real browser: found, changed, imported with progress, exported."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Window
from tests.support.local_run import ApiCaller, wait_until


def heading(page: Page) -> str:
    return page.get_by_role("heading", level=1).inner_text()


def test_a_client_is_added_changed_and_removed(page: Page) -> None:
    """Expects an error beside its field with the input kept, then the client, and a question before it is removed."""
    page.goto("/admin/clients")
    page.get_by_role("link", name="Add a client").first.click()
    page.get_by_role("textbox", name="Phone number").fill("8 999 000-11-2")
    page.get_by_role("textbox", name="Tags").fill("regulars, guests")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".problems")).to_be_focused()
    expect(page.get_by_role("textbox", name="Phone number")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("textbox", name="Tags")).to_have_value("regulars, guests")
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Moscow")
    page.get_by_role("textbox", name="Phone number").fill("8 999 000-11-22")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".flash")).to_have_text("The client was added.")
    assert heading(page) == "+79990001122"
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_role("textbox", name="Tags")).to_have_value("regulars, guests")
    page.get_by_role("textbox", name="Tags").fill("friends")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("dl")).to_contain_text("friends")
    page.get_by_role("button", name="Opt out").click()
    expect(page.locator("main")).to_contain_text("This client gets no mailings.")
    page.get_by_role("button", name="Opt in again").click()
    expect(page.get_by_role("button", name="Opt out")).to_be_visible()
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text("Messages already sent are kept.")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Delete")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".flash")).to_contain_text("The client was deleted.")


def test_a_client_is_found_by_number_and_their_page_shows_what_was_sent(page: Page, api: ApiCaller) -> None:
    """Expects no phone number in any address, and a link from the client to the message."""
    client = api.call("POST", "/api/clients", {"phone_number": "+79990002233", "tag": "found"})
    times = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2099-01-01T00:00:00Z"}
    order = {"text": "A word to the found", "clients": {"tag": "found"}, **times}
    mailing = api.call("POST", "/api/mailing", order)["id"]
    wait_until(lambda: api.call("GET", f"/api/mailing/{mailing}")["status"] == "finished")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/admin/clients")
    page.get_by_role("textbox", name="Phone number").fill("8 (999) 000-22-33")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/admin/clients/{client['id']}")
    expect(page.get_by_role("row").filter(has_text="A word to the found")).to_contain_text("sent")
    page.get_by_role("link", name="Full history").click()
    expect(page.get_by_role("table")).to_contain_text("Gateway call 1")
    assert not any("9990002233" in url or "000-22-33" in url for url in asked)
    page.goto("/admin/clients")
    page.get_by_role("textbox", name="Phone number").fill("+79990009999")
    page.keyboard.press("Enter")
    expect(page.locator("#field-sought-error")).to_be_visible()
    expect(page.get_by_role("textbox", name="Phone number")).to_have_value("+79990009999")


def test_the_list_is_filtered_and_paged(page: Page, api: ApiCaller) -> None:
    """Expects the filter to stay from page to page, and a way back from a tag that no client has."""
    for number in range(60):
        body = {"phone_number": f"+7998000{number:04d}", "tag": "paged", "operator": "998"}
        assert api.call("POST", "/api/clients", body)
    page.goto("/admin/clients")
    page.locator("#field-tag").fill("paged")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("main")).to_contain_text("60 clients")
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Next page").click()
    expect(page.locator("tbody tr")).to_have_count(10)
    expect(page.locator("#field-tag")).to_have_value("paged")
    page.locator("#field-tag").fill("nobody has it")
    page.keyboard.press("Enter")
    expect(page.locator(".empty")).to_contain_text("No clients match these filters.")
    page.locator(".empty").get_by_role("link", name="Show all").click()
    expect(page.locator("tbody tr").first).to_be_visible()


def test_the_directory_can_be_used_on_a_phone(window: Window, sign_in: Callable[..., Page], api: ApiCaller) -> None:
    """Expects every control to be large enough for a thumb, and the list to be within reach."""
    api.call("POST", "/api/clients", {"phone_number": "+79990003344", "tag": "thumb"})
    page = sign_in(window.open(viewport=PHONE, has_touch=True, language="ru-RU"))
    page.get_by_role("link", name="Клиенты").tap()
    page.locator("#field-tag").fill("thumb")
    page.get_by_role("button", name="Отобрать").tap()
    page.get_by_role("link", name="+79990003344").tap()
    expect(page.get_by_role("heading", level=1)).to_have_text("+79990003344")
    small = page.locator("main button, main a.button, header a, header button").evaluate_all(
        "all => all.filter((one) => one.getBoundingClientRect().height < 24).map((one) => one.outerHTML)"
    )
    assert small == []


def test_clients_are_selected_by_keyboard_on_a_phone_and_the_buttons_say_how_many(
    window: Window, page: Page, api: ApiCaller
) -> None:
    """Expects one box to select the whole page, a question whose button back has the focus, and then the list again."""
    ids = [
        api.call("POST", "/api/clients", {"phone_number": f"+7999000445{n}", "tag": "chosen"})["id"] for n in range(3)
    ]
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/admin/clients?tag=chosen")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    everybody = page.get_by_role("checkbox", name="Select all on this page")
    everybody.focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Delete 3 people")).to_be_visible()
    page.get_by_role("checkbox", name="Select +79990004451").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Opt out 2 people")).to_be_visible()
    expect(everybody).not_to_be_checked()
    page.locator("fieldset").get_by_role("textbox", name="Tag").fill("regulars")
    page.keyboard.press("Enter")  # which presses no button
    page.get_by_role("button", name="Add the tag to 2 people").click()
    expect(page.locator(".flash")).to_have_text("2 clients got the tag.")
    for n in (0, 2):
        page.get_by_role("checkbox", name=f"Select +7999000445{n}").check()
    page.get_by_role("button", name="Delete 2 people").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Delete 2 people?")
    expect(page.get_by_role("link", name="Back")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Delete 2 people")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".flash")).to_have_text("2 clients were deleted.")
    expect(page).to_have_url(re.compile(r"/admin/clients\?tag=chosen$"))
    assert [row["id"] for row in api.call("GET", "/api/clients?tag=chosen")["rows"]] == [ids[1]]
