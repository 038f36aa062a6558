"""One `make run` and one Chromium for all browser tests of a process; each test has a page of its own.

The tests share the service, so each creates what it looks at, with tags and names of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState
from playwright.sync_api import Error as PlaywrightError

from tests.support.chromium import chromium
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, LocalRun, local_runs

PHONE = {"width": 360, "height": 740}
_LEFT = ("htmx:afterRequest", "htmx:sendAbort")  # who leaves a page ends its requests, of which htmx tells each twice
_REFUSED = re.compile(r"status of 4|Status Error Code 4")  # a refusal, as the browser and htmx tell it
LAPTOP = {"width": 1280, "height": 800}
_STOPS = "a, button, input, select, summary, textarea, [tabindex]"  # where the key Tab stops
_PARTS = 8  # of a field, at most: Chromium stops at each part of a date
_PATIENCE = 10_000  # milliseconds that a page may take for what a test waits for


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all tests of a file in the same xdist process: they share the service."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def gateway() -> Iterator[FaultyGateway]:
    """The gateway, which accepts everything unless a test says how it behaves."""
    made = FaultyGateway()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def run(gateway: FaultyGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRun]:
    """The service."""
    with local_runs(tmp_path_factory.mktemp("browser")) as start:
        yield start(GATEWAY_URL=gateway.url, GATEWAY_TOKEN="browser-test").ready()


@pytest.fixture(scope="session")
def api(run: LocalRun) -> Iterator[ApiCaller]:
    """The service's REST API, to create what a test looks at."""
    caller = ApiCaller(run)
    yield caller
    caller.close()


@pytest.fixture(scope="session")
def engine() -> Iterator[Browser]:
    """The browser."""
    with chromium() as browser:
        yield browser


@dataclass
class Window:
    """Opens pages of the admin UI, and remembers what went wrong on them."""

    engine: Browser
    url: str
    opened: list[BrowserContext]
    complaints: list[str]

    def open(self, *, language: str = "en-US", zone: str = "Europe/Moscow", **options: object) -> Page:
        """A page in a browser that is signed out."""
        context = self.engine.new_context(
            **{"base_url": self.url, "locale": language, "timezone_id": zone, "viewport": LAPTOP, **options}  # type: ignore[arg-type]
        )
        context.set_default_timeout(_PATIENCE)
        self.opened.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        # What the Content-Security-Policy stops is told on the console.
        page.on(
            "console",
            lambda line: (
                self.complaints.append(f"{page.url}: {line.text}")
                if line.type == "error" and not _REFUSED.search(line.text) and line.text not in _LEFT
                else None
            ),
        )
        return page

    def close(self) -> None:
        """Close all pages once they have finished loading: Chromium may never close a page that is on its way
        elsewhere."""
        for context in self.opened:
            for page in context.pages:
                _leave(page)
            context.close()


def _leave(page: Page) -> None:
    """Go to an empty page; again, if a page that was still loading replaces it."""
    for _ in range(5):
        try:
            page.goto("about:blank")
        except PlaywrightError as interrupted:
            if "interrupted by another navigation" not in str(interrupted):
                raise
        else:
            return
    raise AssertionError(f"{page.url} does not come to rest")


@pytest.fixture
def window(engine: Browser, run: LocalRun) -> Iterator[Window]:
    """Opens pages; a script's error or a violation of the content policy on any of them fails the test."""
    made = Window(engine, run.url, [], [])
    yield made
    made.close()
    assert made.complaints == []


def most_stops(page: Page) -> int:
    """How often Tab must be pressed at most to reach all of a page, whatever other tests have added to it."""
    return _PARTS * page.locator(_STOPS).count() + 1


def signed_in(page: Page, username: str, password: str) -> Page:
    """The page after the sign-in form was filled in and sent."""
    page.goto("/admin/login")
    page.get_by_label("Username").or_(page.get_by_label("Имя пользователя")).fill(username)
    page.locator("input[type=password]").fill(password)
    page.locator("main button").click()
    page.wait_for_url("**/admin")
    return page


@pytest.fixture
def sign_in(run: LocalRun) -> Callable[..., Page]:
    """Signs in with the form, as the first user unless another is given."""

    def sign_in(page: Page, username: str = "admin", password: str = "") -> Page:
        return signed_in(page, username, password or run.password)

    return sign_in


def session_of(engine: Browser, run: LocalRun) -> StorageState:
    """The cookies of the first user, signed in on a laptop in Moscow."""
    window = Window(engine, run.url, [], [])
    state = signed_in(window.open(), "admin", run.password).context.storage_state()
    window.close()
    return state


@pytest.fixture(scope="session")
def session(engine: Browser, run: LocalRun) -> StorageState:
    """The cookies of the first user, an admin: signed in once for all tests, since signing in is slow."""
    return session_of(engine, run)


@pytest.fixture
def page(window: Window, session: StorageState) -> Page:
    """The overview on a laptop, seen by the first user, an admin."""
    page = window.open(storage_state=session)
    page.goto("/admin")
    return page


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory for what a test uploads and downloads."""
    return tmp_path
