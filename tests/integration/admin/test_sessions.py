"""Sessions of the admin UI: the cookie, what a change must carry, and who has to sign in."""

from __future__ import annotations

import pytest

from app import app
from chalicelib import admin
from chalicelib.admin.routing import Route
from tests.support.api import PASSWORD, Api
from tests.support.browsing import Browser, text_of

ROUTES = [route for pages in admin.PAGES for route in pages.routes]
GUARDED = [route for route in ROUTES if route.roles is not None]
CHANGES = [route for route in ROUTES if route.method == "POST"]


def _name(route: Route) -> str:
    return f"{route.method} {route.path}"


def _path(route: Route) -> str:
    import re

    return re.sub(r"{\w+}", "nobody", route.path)


def test_signing_in_leads_to_the_overview(stranger: Browser) -> None:
    """Expects the overview with the user's name, after the right password."""
    page = stranger.post("/admin/login", {"username": "admin", "password": PASSWORD})
    assert page.status == 200
    assert "Overview" in text_of(page)
    assert "Sign out" in text_of(page)


def test_signing_in_leads_back_to_the_page_that_was_opened(stranger: Browser) -> None:
    """Expects that page, and never one outside of the admin UI."""
    asked = stranger.get("/admin/preferences", follow=False)
    assert asked.status == 200
    sent_away = stranger.get("/admin", follow=False)
    assert sent_away.headers["location"] == "/admin/login?next=/admin"
    for place in ("//evil.example/", "https://evil.example/", "/admin//evil", "/api/users/", "/admin/../api"):
        answer = stranger.post(f"/admin/login?next={place}", {"username": "admin", "password": PASSWORD}, follow=False)
        assert answer.headers["location"] in ("/admin", "/admin//evil"), place


def test_the_session_cookie_is_hidden_from_scripts_and_other_paths(stranger: Browser) -> None:
    """Expects HttpOnly, SameSite and the path of the admin UI; Secure everywhere but on loopback."""
    answer = stranger.post("/admin/login", {"username": "admin", "password": PASSWORD}, follow=False)
    (cookie,) = answer.cookies
    assert cookie.startswith("session=")
    assert {"Path=/admin", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    elsewhere = Browser(stranger.api, host="messages.example")
    answer = elsewhere.post("/admin/login", {"username": "admin", "password": PASSWORD}, follow=False)
    assert answer.cookies[0].endswith("; Secure")


def test_a_wrong_password_is_reported_on_the_form(stranger: Browser) -> None:
    """Expects 401 without the browser's own dialog, the name kept, the password not, and no session."""
    page = stranger.post("/admin/login", {"username": "admin", "password": "not the password"})
    assert page.status == 401
    assert "www-authenticate" not in page.headers
    assert "the username or password is wrong" in text_of(page)
    assert 'value="admin"' in page.text
    assert "not the password" not in page.text
    assert "session" not in stranger.cookies


def test_too_many_wrong_passwords_are_reported_on_the_page(stranger: Browser) -> None:
    """Expects 429 with the reason on the page, and the form still there."""
    wrong = {"username": "admin", "password": "not the password"}
    pages = [stranger.post("/admin/login", wrong) for _ in range(7)]
    assert pages[-1].status == 429
    assert "too many failed sign-ins" in text_of(pages[-1])
    assert 'name="username"' in pages[-1].text


def test_signing_out_revokes_the_token(browser: Browser) -> None:
    """Expects the cookie to be gone, and its token to be refused."""
    secret = browser.cookies["session"]
    page = browser.post("/admin/logout")
    assert "You have signed out." in text_of(page)
    assert "session" not in browser.cookies
    browser.cookies["session"] = secret
    assert browser.get("/admin", follow=False).status == 303
    assert browser.api.get("/api/users/me", token=secret).status == 401


@pytest.mark.parametrize("route", GUARDED, ids=_name)
def test_pages_redirect_to_the_sign_in(route: Route, stranger: Browser) -> None:
    """Expects the sign-in form without a cookie, and with one that was never issued."""
    for secret in ("", "not-a-token", "\N{SNOWMAN}"):
        stranger.cookies["session"] = secret
        send = stranger.get if route.method == "GET" else stranger.post
        answer = send(_path(route), follow=False)
        assert (answer.status, answer.headers["location"].partition("?")[0]) == (303, "/admin/login")


def test_a_part_of_a_page_says_that_the_session_has_ended(stranger: Browser) -> None:
    """Expects the page to learn it, but not to be left: somebody may be writing on it."""
    answer = stranger.get("/admin", headers={"HX-Request": "true"}, follow=False)
    assert (answer.status, answer.headers["hx-trigger"]) == (401, "session-ended")
    assert "hx-redirect" not in answer.headers


@pytest.mark.parametrize("route", [one for one in CHANGES if one.roles is not None], ids=_name)
def test_a_change_without_the_forms_token_is_refused(route: Route, browser: Browser) -> None:
    """Expects 403 with no token, a wrong one and that of another session, and the session to go on."""
    other = Browser(browser.api)
    other.sign_in()
    for token in ("", "0" * 64, other.csrf):
        answer = browser.post(_path(route), {"csrf": token}, csrf="", headers=_type(route))
        assert answer.status == 403, token
        assert "reload the page" in text_of(answer)
    assert browser.get("/admin", follow=False).status == 200


@pytest.mark.parametrize("route", CHANGES, ids=_name)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_a_change_from_another_site_is_refused(route: Route, headers: dict[str, str], browser: Browser) -> None:
    """Expects 403 even with the right token, also for signing in."""
    answer = browser.post(_path(route), headers={**_type(route), **headers})
    assert answer.status == 403
    assert "another site" in text_of(answer)


def test_every_change_is_a_post() -> None:
    """Expects pages to have two methods, one of which changes nothing."""
    methods = {method for path, entries in app.routes.items() if path.startswith("/admin") for method in entries}
    assert methods == {"GET", "POST"}


def test_cookies_links_and_redirects_have_the_prefix_of_the_stage(api: Api) -> None:
    """Expects the prefix that a proxy names, in all of them."""
    browser = Browser(api)
    stage = {"X-Forwarded-Prefix": "/dev"}
    answer = browser.post("/admin/login", {"username": "admin", "password": PASSWORD}, headers=stage, follow=False)
    assert answer.headers["location"] == "/dev/admin"
    assert "Path=/dev/admin;" in answer.cookies[0] + ";"
    page = browser.get("/admin", headers=stage)
    assert 'href="/dev/admin/static/admin.css?v=' in page.text
    assert 'href="/admin' not in page.text


def _type(route: Route) -> dict[str, str]:
    return {"Content-Type": route.consumes}
