"""Pages as they are seldom seen: with a question in front, with errors in a form, empty, not found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.browser.conftest import PHONE, Window, most_stops, session_of
from tests.browser.test_manners import findings
from tests.support.local_run import ApiCaller, LocalRun, local_runs

# What has the focus: None for the page itself, before the first and after the last step.
_FOCUSED = """
() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const box = one.getBoundingClientRect();
  const style = getComputedStyle(one);
  const inside = box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight && box.right > 0;
  return { html: one.outerHTML.slice(0, 100), seen: inside && style.outlineStyle !== "none" };
}
"""


@pytest.fixture(scope="module")
def axe() -> Axe:
    """The accessibility checker."""
    return Axe()


@pytest.fixture(scope="module")
def empty_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRun]:
    """A service that nobody has used yet."""
    with local_runs(tmp_path_factory.mktemp("empty")) as start:
        yield start().ready()


@pytest.fixture(scope="module")
def empty_session(engine: Browser, empty_run: LocalRun) -> StorageState:
    """The cookies of its first user."""
    return session_of(engine, empty_run)


def legible(axe: Axe, page: Page) -> None:
    """Fails if axe finds something moderate or worse in light or in dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert findings(axe, page) == []


def test_a_question_in_front_of_the_page_can_be_read_by_everybody(page: Page, api: ApiCaller, axe: Axe) -> None:
    """Expects the dialog to be named by its question, to keep the keyboard inside, and to give the focus back."""
    client = api.call("POST", "/api/clients", {"phone_number": "+79950000001", "tag": "asked"})
    page.goto(f"/admin/clients/{client['id']}")
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_role("dialog", name="Delete this client?")).to_be_visible()
    legible(axe, page)
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.get_by_role("dialog").get_by_role("link", name="Back").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("link", name="Delete")).to_be_focused()


def test_a_form_with_errors_can_be_read_by_everybody(page: Page, axe: Axe) -> None:
    """Expects the list of errors to have the focus and links to the fields, each of which says what is wrong
    with it."""
    page.goto("/admin/clients/new")
    page.get_by_role("textbox", name="Phone number").fill("12")
    page.get_by_role("textbox", name="Operator").fill("x")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("Operator: must be a 3-digit code")
    legible(axe, page)
    page.get_by_role("alert").get_by_role("link", name="Operator").click()
    operator = page.get_by_role("textbox", name="Operator")
    expect(operator).to_be_focused()
    expect(operator).to_have_accessible_description(  # the hint, then the error
        "3 digits. If empty, it is taken from a +7 number. must be a 3-digit code, such as 916"
    )


@pytest.mark.parametrize("path", ["/admin/clients/aaaaaaaaaaaaaaaa", "/admin/nothing", "/admin/mailings/a/b/c"])
def test_an_unknown_address_is_answered_with_a_page(page: Page, axe: Axe, path: str) -> None:
    """Expects a page with a link to go on, not a bare error, for any address below /admin."""
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("alert")).to_be_visible()
    legible(axe, page)
    page.get_by_role("link", name="Go to the overview").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


@pytest.mark.parametrize("path", ["/admin", "/admin/clients", "/admin/clients/new", "/admin/queues", "/admin/settings"])
def test_everything_is_reached_by_keyboard_and_the_focus_is_visible(page: Page, path: str) -> None:
    """Expects each Tab to reach something visible with a ring around it, and the page to have an end."""
    page.goto(path)
    page.evaluate("document.querySelectorAll('[autofocus]').forEach((one) => one.blur())")
    seen: list[str] = []
    for _ in range(most_stops(page)):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        if focused is None:
            break
        assert focused["seen"], focused["html"]
        seen.append(focused["html"])
    else:
        raise AssertionError("the steps do not come to an end")
    assert len(seen) > 10
    assert "content" in seen[0]  # the way past the navigation comes first


@pytest.mark.parametrize(
    ("path", "told", "next_step"),
    [
        ("/admin", "There is nothing here yet.", "Add clients"),
        ("/admin/clients", "There are no clients yet.", "Import a file"),
        ("/admin/queues", "There are no failed messages.", ""),
        ("/admin/settings", "Nobody changed the rate or paused sending", ""),
    ],
)
def test_an_empty_service_says_what_to_do_next(
    window: Window, empty_run: LocalRun, empty_session: StorageState, axe: Axe, path: str, told: str, next_step: str
) -> None:
    """Expects a sentence on each page and, if there is something to do, a link to it."""
    page = window.open(base_url=empty_run.url, viewport=PHONE, storage_state=empty_session)
    page.goto(path)
    expect(page.locator(".empty").first).to_contain_text(told)
    if next_step:
        expect(page.locator(".empty").get_by_role("link", name=next_step)).to_be_visible()
    legible(axe, page)
