"""The daily report in a real browser, as a mail program with HTML shows it."""

from __future__ import annotations

import pytest

from infra.local.data_directory import DataDirectory
from tests.browser.campaigns import add_clients, finish, order, refusing
from tests.browser.conftest import Window
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, LocalRun
from tests.support.mailbox import html, read_emails


@pytest.fixture(scope="module")
def report(run: LocalRun, api: ApiCaller, gateway: FaultyGateway) -> str:
    """The HTML of today's report, after mailings whose text has no space to break a line at."""
    phones = add_clients(api, "reported", 2)
    with refusing(gateway, phones[:1]):
        finish(api, order(api, "reported", text="W" * 200))
    api.call("POST", "/api/reports/daily", {"day": None})
    made = html(read_emails(DataDirectory(run.data_dir).reports)[-1])
    assert "WWWWW" in made
    return made


@pytest.mark.parametrize("width", [600, 360])
def test_the_report_fits_mail_programs_and_phones(window: Window, report: str, width: int) -> None:
    """Expects nothing to be wider than a mail program's column or a phone."""
    page = window.open(viewport={"width": width, "height": 800})
    page.set_content(report)
    assert page.evaluate("document.documentElement.scrollWidth") == width
