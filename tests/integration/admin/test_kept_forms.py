"""Input in a form when the session ends: kept, explained, shown again after signing in, and never sent by itself."""

from __future__ import annotations

import pytest

from chalicelib.domain.users import Role
from tests.integration.admin.test_mailings import NEW, entered
from tests.support.api import PASSWORD, Api, Reply
from tests.support.browsing import Browser, carried, text_of

ME = {"sign-in-username": "admin", "sign-in-password": PASSWORD}


@pytest.fixture
def asked(browser: Browser) -> Reply:
    """The answer to a form that is sent after the session has ended."""
    browser.get(NEW)
    browser.cookies.pop("session")
    return browser.post(NEW, entered(text="Keep <this>", rate_limit="77"), follow=False)


def made(api: Api) -> int:
    """How many mailings there are."""
    return int(api.get("/api/mailing").json["total"])


def test_input_is_kept_and_shown_again(browser: Browser, api: Api, asked: Reply) -> None:
    """Expects a page that says why, the sign-in, and then the form with all input and nothing done."""
    assert asked.status == 401
    assert "location" not in asked.headers
    assert "Your session has ended. Sign in again: what you wrote is kept" in text_of(asked)
    again = browser.post(NEW, carried(asked) | ME, follow=False)
    assert again.status == 200
    assert "You are signed in again. Nothing was saved or sent yet." in text_of(again)
    assert "Keep &lt;this&gt;</textarea>" in again.text
    assert 'value="77"' in again.text
    assert PASSWORD not in again.text
    assert made(api) == 0
    assert browser.post(NEW, entered(text="Keep <this>"), follow=False).status == 303
    assert made(api) == 1


def test_a_wrong_password_loses_nothing(browser: Browser, api: Api, asked: Reply) -> None:
    """Expects the sign-in form again, with the input kept."""
    page = browser.post(NEW, carried(asked) | ME | {"sign-in-password": "wrong"}, follow=False)
    assert page.status == 401
    assert "the username or password is wrong" in text_of(page)
    assert carried(page)["text"] == "Keep <this>"
    assert "session" not in browser.cookies
    assert made(api) == 0


def test_passwords_are_not_kept(browser: Browser) -> None:
    """Expects no password in the page that asks to sign in."""
    browser.get("/admin/users")
    browser.cookies.pop("session")
    fields = {"username": "vera", "password": "a long secret phrase", "role": "operator"}
    page = browser.post("/admin/users", fields, follow=False)
    assert page.status == 401
    assert "a long secret phrase" not in page.text
    assert carried(page) == {"username": "vera", "role": "operator"}


def test_nobody_sends_a_form_for_another_user(browser: Browser, api: Api, asked: Reply) -> None:
    """Expects a form from another site to be refused, and nothing to be shown to a user who may not open the page."""
    reply = browser.post(NEW, entered() | ME, headers={"Origin": "https://evil.example"}, follow=False)
    assert reply.status == 403
    assert "session" not in browser.cookies
    api.services.users.create("vera", PASSWORD, Role.OPERATOR)
    reply = browser.post("/admin/users", {"username": "eve", **ME, "sign-in-username": "vera"}, follow=False)
    assert reply.status == 403
    assert "eve" not in reply.text
    assert made(api) == 0


def test_a_form_of_an_earlier_session_is_shown_again(browser: Browser, api: Api) -> None:
    """Expects people who signed in in another tab to see what they wrote, with nothing done."""
    browser.get(NEW)
    page = browser.post(NEW, entered(text="Keep <this>"), csrf="0" * 64, follow=False)
    assert page.status == 403
    assert "You signed in again after this page was opened." in text_of(page)
    assert "Keep &lt;this&gt;</textarea>" in page.text
    assert made(api) == 0
    assert browser.post(NEW, entered(text="Keep <this>"), follow=False).status == 303
