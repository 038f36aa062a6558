"""What holds for every page of the admin UI: its headers, its escaping, its languages, its files."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

import pytest

from chalicelib import admin
from chalicelib.admin import assets
from tests.factories import MailingBodyFactory
from tests.support.api import Api
from tests.support.browsing import Browser, text_of

PLAIN = [
    route.path
    for pages in admin.PAGES
    for route in pages.routes
    if route.method == "GET" and "{" not in route.path and not route.path.endswith("/export")
]


@pytest.mark.parametrize("path", PLAIN)
def test_a_page_allows_only_what_is_its_own(path: str, browser: Browser) -> None:
    """Expects the strict policy, and no script or style inside the page, which it would have to allow."""
    page = browser.get(path)
    assert page.status == 200
    policy = dict(one.strip().split(" ", 1) for one in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "same-origin"
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|hx-on|javascript:", page.text)
    assert not re.search(r'(src|href|action)="(https?:)?//', page.text)


@pytest.mark.parametrize("path", PLAIN)
def test_every_form_that_changes_something_carries_the_token(path: str, browser: Browser) -> None:
    """Expects the session's token in each form with method post."""
    page = browser.get(path)
    forms = re.findall(r"<form[^>]*method=\"post\".*?</form>", page.text, re.DOTALL)
    assert forms or "<html" not in page.text
    assert all(f'value="{browser.csrf}"' in form for form in forms if "/admin/login" not in form)


def test_what_was_entered_is_shown_as_text(stranger: Browser) -> None:
    """Expects markup in an input to come back escaped."""
    hostile = "\"><script>alert('1')</script>{{ 7*7 }}"
    page = stranger.post("/admin/login", {"username": hostile, "password": "not the password"})
    assert "<script>alert" not in page.text
    assert escape("<script>alert") in page.text
    assert "{{ 7*7 }}" in page.text


def test_a_form_that_is_not_text_or_too_long_is_refused(browser: Browser) -> None:
    """Expects a page that says so, each with its own status."""
    assert browser.post("/admin/preferences", {"zone": "x" * 200_000}).status == 413
    assert browser.post("/admin/preferences", headers={"Content-Type": "application/json"}).status == 415
    assert browser.post("/admin/preferences", {"zone": b"\xff\xfe"}).status == 400


def test_the_language_is_that_of_the_browser_until_one_is_chosen(stranger: Browser) -> None:
    """Expects Russian if the browser asks for it, and English if it asks for another language."""
    russian = {"Accept-Language": "de-DE, ru;q=0.8, en;q=0.5"}
    assert "Вход" in text_of(stranger.get("/admin/login", headers=russian))
    assert "Sign in" in text_of(stranger.get("/admin/login", headers={"Accept-Language": "de-DE"}))
    page = stranger.post("/admin/preferences", {"language": "ru", "back": "/admin/login"})
    assert '<html lang="ru">' in page.text
    assert "Вход" in text_of(page)
    assert '<html lang="en">' in stranger.post("/admin/preferences", {"language": "en"}).text


def test_an_invalid_time_zone_is_reported_beside_its_field(stranger: Browser) -> None:
    """Expects the input kept, the field marked, and the zone unchanged."""
    page = stranger.post("/admin/preferences", {"zone": "Mars/Olympus"})
    assert page.status == 422
    assert 'value="Mars/Olympus"' in page.text
    assert 'aria-invalid="true"' in page.text
    assert "is not a time zone" in text_of(page)
    assert "Times are in UTC." in text_of(page)
    page = stranger.post("/admin/preferences", {"zone": "Asia/Tokyo", "back": "/admin/login"})
    assert "Times are in Asia/Tokyo." in text_of(page)


@pytest.mark.parametrize("name", sorted(assets.MEDIA_TYPES))
def test_files_are_cached_by_the_browser_until_they_change(name: str, browser: Browser) -> None:
    """Expects a version in the file's path, and the file to be kept for a year."""
    mailing = browser.api.post("/api/mailing", MailingBodyFactory(draft=True)).json["id"]
    pages = {"import.js": "/admin/clients/import", "following.js": f"/admin/mailings/{mailing}"}
    page = pages.get(name, "/admin/clients")
    path = re.search(rf'"(/admin/static/{re.escape(name)}\?v=\w+)"', browser.get(page).text)
    assert path
    answer = browser.get(path[1])
    assert answer.status == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/")
    assert len(answer.text) > 500


def test_a_file_that_does_not_exist_is_not_found(stranger: Browser) -> None:
    """Expects 404, whatever the name."""
    for name in ("secrets.txt", "..%2Frouting.py", "admin.css.py"):
        assert stranger.get(f"/admin/static/{name}").status == 404


@pytest.mark.parametrize(
    "path",
    ["/admin/nothing", "/admin/nothing/at/all/", "/admin/mailings/x/y/z", "/admin/settings/hold", "/admin/../etc"],
)
def test_an_unknown_address_is_answered_with_a_page(path: str, browser: Browser, api: Api) -> None:
    """Expects a page rather than a document for programs, with the navigation if a user is signed in."""
    for one, navigation in ((browser, True), (Browser(api), False)):
        page = one.get(path)
        assert page.status == 404
        assert page.headers["content-type"].startswith("text/html")
        assert "there is no page at this address" in text_of(page).lower()
        assert ("<nav" in page.text) == navigation
        assert 'href="/admin/static/admin.css' in page.text
