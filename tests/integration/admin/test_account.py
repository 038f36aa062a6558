"""/admin/account: a user's own password, tokens and sessions."""

from __future__ import annotations

import re

import pytest

from tests.support.api import PASSWORD, Api
from tests.support.browsing import Browser, text_of

NEW = "another long password"


def change(browser: Browser, **fields: str) -> str:
    given = {"current_password": PASSWORD, "password": NEW, "repeated": NEW, **fields}
    return text_of(browser.post("/admin/account/password", given))


def test_people_change_their_own_password(operators_browser: Browser, api: Api) -> None:
    """Expects an operator to need no admin, and to sign in with the new one."""
    page = change(operators_browser)
    assert "Your password was changed. Sign in with the new one." in page
    assert "session" not in operators_browser.cookies
    operators_browser.post("/admin/login", {"username": "operator", "password": PASSWORD})
    assert "session" not in operators_browser.cookies
    operators_browser.post("/admin/login", {"username": "operator", "password": NEW})
    assert "session" in operators_browser.cookies
    assert api.services.users.count() == 2


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"current_password": "not the password"}, "current_password", "is not correct"),
        ({"password": "short", "repeated": "short"}, "password", "must have 10 to 256 characters"),
        ({"repeated": "something else"}, "repeated", "is not the same as the new password"),
    ],
)
def test_an_invalid_password_is_reported_beside_its_field(
    browser: Browser, fields: dict, field: str, told: str
) -> None:
    """Expects the session to go on, the old password to stay valid, and no password on the page."""
    browser.get("/admin/account")
    page = browser.post(
        "/admin/account/password", {"current_password": PASSWORD, "password": NEW, "repeated": NEW, **fields}
    )
    assert page.status == 422
    assert re.search(rf'id="field-{field}-error">{told}', page.text)
    assert PASSWORD not in page.text
    assert NEW not in page.text
    assert browser.get("/admin/account", follow=False).status == 200
    assert browser.api.services.users.issue_token("admin", PASSWORD, "test")


def test_people_see_and_revoke_their_own_tokens(browser: Browser, api: Api) -> None:
    """Expects the session's own to be marked, and a revoked one to be refused at once."""
    credentials = {"username": "admin", "password": PASSWORD, "name": "deploy script"}
    issued = api.post("/auth-token", credentials, token="").json
    page = text_of(browser.get("/admin/account"))
    assert "deploy script" in page
    assert page.count("this session") == 1
    page = text_of(browser.post(f"/admin/account/tokens/{issued['token_id']}/revoke"))
    assert "The token was revoked." in page
    assert "deploy script" not in page
    assert api.get("/api/users/me", token=issued["token"]).status == 401


def test_another_users_token_cannot_be_revoked(browser: Browser, operators_browser: Browser, api: Api) -> None:
    """Expects 404, and the token to work on."""
    (token,) = [one for one in api.services.users.tokens("admin") if one.name == "admin UI"]
    operators_browser.get("/admin/account")
    assert operators_browser.post(f"/admin/account/tokens/{token.token_id}/revoke").status == 404
    assert browser.get("/admin/account", follow=False).status == 200


def test_people_sign_out_everywhere(browser: Browser, api: Api) -> None:
    """Expects this session and every token to be refused."""
    page = browser.post("/admin/account/sign-out")
    assert "You are signed out everywhere." in text_of(page)
    assert api.get("/api/users/me").status == 401
    assert browser.get("/admin/account", follow=False).status == 303
