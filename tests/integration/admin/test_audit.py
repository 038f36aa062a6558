"""The audit log, and histories that say who did what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode

from tests.support.api import Api, Reply
from tests.support.browsing import Browser, text_of


def change_a_mailing(api: Api) -> str:
    """A mailing whose text was changed a second later."""
    start = api.clock.now() + timedelta(days=1)
    body = {"text": "Hello", "clients": {}, "start_time": start.isoformat()}
    mailing_id: str = api.post("/api/mailing/", {**body, "end_time": (start + timedelta(days=1)).isoformat()}).json[
        "id"
    ]
    api.pass_time(seconds=1)
    assert api.patch(f"/api/mailing/{mailing_id}/", {"text": "Hello again"}).status == 200
    return mailing_id


def look(browser: Browser, query: Mapping[str, str]) -> Reply:
    """The log as the form of filters requests it."""
    return browser.get(f"/admin/audit?{urlencode(query)}")


def test_the_log_says_who_changed_what(api: Api, browser: Browser) -> None:
    """Expects the user, the action, the mailing by its text, and the old and new text."""
    mailing_id = change_a_mailing(api)
    told = text_of(browser.get("/admin/audit"))
    assert "admin changed Mailing Hello again Text: Hello → Hello again" in told
    page = look(browser, {"object": "mailing", "action": "created", "id": mailing_id})
    assert f'href="/admin/mailings/{mailing_id}"' in page.text
    assert "Hello again" not in text_of(page)
    assert "object=mailing" in page.text.partition("/admin/audit/export?")[2].partition('"')[0]


def test_days_are_those_of_the_reader(api: Api, browser: Browser) -> None:
    """Expects both days to be included, in the reader's own time zone."""
    change_a_mailing(api)
    today = f"{api.clock.now():%Y-%m-%d}"
    assert "Hello again" in text_of(look(browser, {"first": today, "last": today}))
    assert "Hello again" not in text_of(look(browser, {"last": "2026-03-01"}))
    assert "Hello again" not in text_of(look(browser, {"first": "9999-12-31", "last": "9999-12-31"}))
    empty = {"user": "", "action": "", "object": "", "id": "", "first": "", "last": ""}
    assert "Hello again" in text_of(look(browser, empty))
    assert look(browser, {"first": "soon"}).status == 422


def test_the_history_of_a_mailing_has_only_its_own_events(api: Api, browser: Browser) -> None:
    """Expects them with who did them, and those of its messages only if asked for."""
    mailing_id = change_a_mailing(api)
    page = browser.get(f"/admin/history/{mailing_id}")
    assert "Mailing created" in text_of(page)
    assert "Mailing changed" in text_of(page)
    assert "by admin Text: Hello → Hello again" in text_of(page)
    assert f'href="/admin/history/{mailing_id}?messages=true"' in page.text
    assert browser.get(f"/admin/history/{mailing_id}?messages=true").status == 200


def test_an_operator_cannot_read_the_log(operators_browser: Browser) -> None:
    """Expects the page to be for admins."""
    assert operators_browser.get("/admin/audit").status == 403
    assert operators_browser.get("/admin/audit/export").status == 403
