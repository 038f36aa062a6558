"""What holds for every page: readable with a screen reader, in light and dark; never wider than a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, StorageState

from chalicelib import admin
from tests.browser.conftest import PHONE, Window
from tests.browser.extremes import Extremes, fill
from tests.support.local_run import ApiCaller, LocalRun

PATTERNS = [
    route.path
    for pages in admin.PAGES
    for route in pages.routes
    if route.method == "GET" and not route.path.startswith(("/admin/static/", "/admin/{proxy+}"))
]
# The whole form, with the longest values in it.
PATTERNS += [
    "/admin/mailings/new?like={mailing_id}",
    "/admin/mailings/new?template={template_id}&segment={segment_id}",
    "/admin/mailings/new?segment={levels_id}",
]
# What everybody may see, and what stands in front of signing in.
OUTSIDE = ["/admin/login"]
# What reaches over the edge, but for what scrolls in a frame of its own or is there for screen readers only.
_TOO_WIDE = """
width => [...document.querySelectorAll("header *, main *, footer *")]
  .filter((one) => one.getBoundingClientRect().right > width + 1 && !one.closest(".table, .unseen, .skip"))
  .map((one) => one.outerHTML.slice(0, 80))
"""


@pytest.fixture(scope="session")
def extremes(run: LocalRun, api: ApiCaller) -> Extremes:
    """The longest values of everything."""
    return fill(run, api)


@pytest.fixture(scope="session")
def axe() -> Axe:
    """The accessibility checker."""
    return Axe()


@pytest.fixture
def opened(window: Window, session: StorageState, extremes: Extremes) -> Callable[..., Page | None]:
    """Opens a page by its path pattern, in a browser with these options; None if it is a file or only part
    of a page."""

    def open_page(pattern: str, **options: object) -> Page | None:
        page = window.open(storage_state=None if pattern in OUTSIDE else session, **options)
        path = extremes.path(pattern)
        if "<html" not in page.request.get(path).text()[:1000]:
            return None
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, f"{path}: {answer.status}"
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        return page

    return open_page


def findings(axe: Axe, page: Page) -> list[str]:
    """The moderate, serious and critical findings, with the rule and the elements."""
    found = axe.run(page).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in ("moderate", "serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_page_can_be_read_by_everybody(pattern: str, opened: Callable[..., Page | None], axe: Axe) -> None:
    """Expects axe to find nothing moderate or worse in light and dark: contrast, names of fields, landmarks."""
    page = opened(pattern, color_scheme="light")
    if page is None:
        return
    assert findings(axe, page) == []
    page.emulate_media(color_scheme="dark")
    assert findings(axe, page) == []


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_page_is_not_wider_than_a_phone(pattern: str, opened: Callable[..., Page | None]) -> None:
    """Expects every page to fit the screen with the longest values; a table may scroll within its frame."""
    for language in ("en-US", "ru-RU"):
        page = opened(pattern, viewport=PHONE, language=language)
        if page is None:
            return
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert (wide, page.evaluate(_TOO_WIDE, PHONE["width"])) == (PHONE["width"], [])
