"""/admin/users: accounts, for admins; a password is shown once."""

from __future__ import annotations

import re

import pytest

from chalicelib.domain.users import Role
from tests.support.api import PASSWORD, Api, Reply
from tests.support.browsing import Browser, text_of


def shown_password(page: Reply) -> str:
    """The password on the page that shows it."""
    found = re.search(r"<code>([^<]+)</code>", page.text)
    assert found, text_of(page)
    return found[1]


def signs_in(api: Api, username: str, password: str) -> bool:
    return api.post("/auth-token", {"username": username, "password": password}, token="").status == 200


def test_a_new_user_gets_a_password_that_is_shown_once(browser: Browser, api: Api) -> None:
    """Expects it to work, and to be on no page afterwards."""
    page = browser.post("/admin/users", {"username": "maria", "role": "operator"})
    password = shown_password(page)
    assert page.headers["cache-control"] == "no-store"
    assert signs_in(api, "maria", password)
    for path in ("/admin/users", "/admin/users/maria"):
        assert password not in browser.get(path).text
    assert api.services.users.get("maria").role is Role.OPERATOR


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"username": "x", "role": "operator"}, "must have 2 to 64 letters"),
        ({"username": "maria", "role": "owner"}, "must be one of the choices"),
        ({"username": "operator", "role": "operator"}, "this username is taken; choose another one"),
    ],
)
def test_an_invalid_user_is_reported_beside_the_field(browser: Browser, fields: dict, told: str) -> None:
    """Expects the input to be kept, the list below it, and no new user."""
    page = browser.post("/admin/users", fields)
    assert page.status in (409, 422)
    assert told in text_of(page)
    assert f'value="{fields["username"]}"' in page.text
    assert "2 users" in text_of(page)


def test_a_role_is_changed(browser: Browser, api: Api) -> None:
    """Expects the new role, and the user to be signed out."""
    page = browser.post("/admin/users/operator/role", {"role": "admin"})
    assert "Changes saved." in text_of(page)
    assert api.services.users.get("operator").role is Role.ADMIN
    assert api.get("/api/users/me", token=api.secrets[Role.OPERATOR]).status == 401


def test_a_password_is_reset_after_a_question(browser: Browser, api: Api) -> None:
    """Expects the question to change nothing, then a new password instead of the old one, and the user to be signed
    out."""
    assert "Reset the password of operator?" in text_of(browser.get("/admin/users/operator/password"))
    assert signs_in(api, "operator", PASSWORD)
    password = shown_password(browser.post("/admin/users/operator/password"))
    assert signs_in(api, "operator", password)
    assert not signs_in(api, "operator", PASSWORD)
    assert api.get("/api/users/me", token=api.secrets[Role.OPERATOR]).status == 401


def test_a_user_is_signed_out_everywhere_after_a_question(browser: Browser, api: Api) -> None:
    """Expects the tokens to be listed before, to be gone afterwards, and the password to stay valid."""
    assert "There are no valid tokens" not in text_of(browser.get("/admin/users/operator"))
    assert "out everywhere?" in text_of(browser.get("/admin/users/operator/sign-out"))
    page = browser.post("/admin/users/operator/sign-out")
    assert "operator was signed out everywhere." in text_of(page)
    assert "There are no valid tokens" in text_of(page)
    assert api.get("/api/users/me", token=api.secrets[Role.OPERATOR]).status == 401
    assert signs_in(api, "operator", PASSWORD)


def test_a_user_is_removed_after_a_question(browser: Browser) -> None:
    """Expects a question, and then a list without the user."""
    assert "Delete the user operator?" in text_of(browser.get("/admin/users/operator/delete"))
    page = browser.post("/admin/users/operator/delete")
    assert "The user operator was deleted." in text_of(page)
    assert "1 user" in text_of(page)
    assert browser.get("/admin/users/operator").status == 404


def test_the_last_admin_cannot_be_removed(browser: Browser, api: Api) -> None:
    """Expects the question again with the reason, and the role unchanged."""
    for path, fields in (("/admin/users/admin/delete", {}), ("/admin/users/admin/role", {"role": "operator"})):
        page = browser.post(path, fields)
        assert page.status == 409
        assert "the last admin cannot be deleted or made an operator; make another user an admin first" in text_of(page)
    assert api.services.users.get("admin").role is Role.ADMIN


def test_the_list_has_pages(browser: Browser, api: Api) -> None:
    """Expects all users, each once."""
    for number in range(60):
        api.services.users.create(f"user{number:02d}", PASSWORD, Role.OPERATOR)
    seen, path = [], "/admin/users"
    while path:
        page = browser.get(path)
        seen += re.findall(r'href="/admin/users/([^"/]+)"', page.text)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = following[1] if following else ""
    assert len(seen) == len(set(seen)) == 62


def test_an_operator_cannot_see_users(operators_browser: Browser) -> None:
    """Expects no link to the page, and every request to it to be refused."""
    assert 'href="/admin/users"' not in operators_browser.get("/admin").text
    for path in ("/admin/users", "/admin/users/admin", "/admin/users/admin/delete"):
        assert operators_browser.get(path).status == 403
    for path in ("/admin/users", "/admin/users/admin/role", "/admin/users/admin/password", "/admin/users/admin/delete"):
        assert operators_browser.post(path, {"username": "maria", "role": "admin"}).status == 403
