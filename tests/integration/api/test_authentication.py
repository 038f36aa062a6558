"""A request is authenticated in the function that serves it, with one read, and one answer to whatever fails."""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import timedelta

import pytest

from chalicelib.domain.users import Role, Token
from tests.support.api import PASSWORD, Api, Reply
from tests.support.aws import Call
from tests.support.browsing import Browser

READ = "dynamodb.BatchGetItem"
NOBODYS = "0123456789-" * 4  # of the form of what is random in a secret


def _calls(api: Api, token: str) -> list[str]:
    """The calls of AWS for a request that makes none of its own: it is refused as invalid after its authentication."""
    api.aws.calls.clear()
    assert api.get("/api/clients", query={"nothing": 1}, token=token).status in (401, 422)
    return list(api.aws.calls)


def _refused(api: Api, header: str) -> Reply:
    reply = api.get("/api/clients", headers={"Authorization": header}, token="")
    assert reply.status == 401, header
    return reply


def test_a_request_is_authenticated_by_one_consistent_read(api: Api) -> None:
    """Expects token and user to be read together: the token names its user."""
    bodies: list[bytes] = []

    def note(call: Call) -> None:
        bodies.append(call.body)

    api.aws.before = note
    assert _calls(api, api.token) == [READ]
    (table,) = json.loads(bodies[0])["RequestItems"].values()
    assert table["ConsistentRead"] is True
    assert {key["key"]["S"].partition("#")[0] for key in table["Keys"]} == {"token", "user"}


def test_a_page_of_the_admin_ui_is_authenticated_by_the_same_read(api: Api) -> None:
    """Expects one read for the session of a page; two more tell whether anything is being sent, as on every page."""
    browser = Browser(api)
    browser.sign_in()
    api.aws.calls.clear()
    assert browser.get("/admin/clients/import").status == 200
    assert api.aws.calls == [READ, "dynamodb.BatchGetItem", "dynamodb.BatchGetItem"]


def test_an_unknown_user_takes_the_same_calls_as_a_known_one(api: Api) -> None:
    """Expects nobody to find out with made-up tokens which user names exist."""
    known, unknown = (_calls(api, f"{name}.{NOBODYS}") for name in ("admin", "nobody"))
    assert known == unknown == [READ]


@pytest.mark.parametrize(
    "secret", ["nonsense", ".", "admin.", f".{NOBODYS}", f"a/b.{NOBODYS}", f"{'x' * 65}.{NOBODYS}", "\xff" * 43, "me.x"]
)
def test_an_invalid_token_is_refused(api: Api, secret: str) -> None:
    """Expects 401, and no read if its form shows that it was never issued."""
    assert _refused(api, f"Token {secret}").headers["www-authenticate"] == "Bearer"
    assert len(_calls(api, secret)) == (secret == "admin.")


def test_a_secret_with_another_users_name_is_refused(api: Api) -> None:
    """Expects the name to be part of the secret: an operator's token is not an admin's."""
    operators = api.secrets[Role.OPERATOR]
    random = operators.rpartition(".")[2]
    assert operators == f"operator.{random}"
    assert len(random) >= 43
    assert {_refused(api, f"Token {name}{random}").status for name in ("admin.", "")} == {401}


def test_every_failure_has_the_same_answer(api: Api) -> None:
    """Expects a problem that tells how to get a token, but neither whether the user exists nor why the token is
    invalid."""
    credentials = {"username": "operator", "password": PASSWORD}
    revoked = api.post("/auth-token", credentials).json["token"]
    assert api.delete("/auth-token", token=revoked).status == 204
    headers = ["", "Token", "Basic YTpi", f"Basic {api.token}", f"Token nobody.{NOBODYS}", f"Bearer {revoked}"]
    replies = [_refused(api, header) for header in headers]
    assert {reply.text for reply in replies} == {replies[0].text}
    assert replies[0].json == {
        "type": "/problems/unauthenticated",
        "title": "You are not signed in",
        "status": 401,
        "detail": "a valid token is needed; get one from /auth-token/",
        "code": "no_valid_token",
    }
    for reply in replies:
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.headers["www-authenticate"] == "Bearer"
        assert reply.headers["cache-control"] == "no-store"


def test_nothing_about_a_request_is_checked_before_its_token(api: Api) -> None:
    """Expects 401 before the body, the query or the resource is looked at."""
    replies = [
        api.post("/api/clients", raw=b"{", token=""),
        api.get("/api/clients", query={"nothing": 1}, token=""),
        api.get("/api/mailing/nobody", token=""),
    ]
    assert {reply.status for reply in replies} == {401}


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_an_unknown_route_is_unknown_with_and_without_a_token(api: Api, token: str) -> None:
    """Expects 404 and 405 in both cases."""
    assert api.get("/api/nothing", token=token).status == api.get("/api/nothing").status == 404
    assert api.delete("/api/clients", token=token).status == api.delete("/api/clients").status == 405


def test_a_token_without_its_users_name_still_works(api: Api) -> None:
    """Expects tokens of an earlier release to be valid until they expire, are revoked or their user changes."""
    now = api.clock.now()
    olds = [secrets.token_urlsafe(32) for _ in range(2)]
    for number, old in enumerate(olds):
        digest = hashlib.sha256(old.encode()).hexdigest()
        token = Token(f"old{number}", digest, "operator", now, now + timedelta(days=30))
        api.services.users._users.add_token(token)
    assert {api.get("/api/users/me", token=old).json["username"] for old in olds} == {"operator"}
    assert api.delete("/auth-token", token=olds[0]).status == 204
    assert [api.get("/api/users/me", token=old).status for old in olds] == [401, 200]
    api.patch("/api/users/operator", {"role": "admin"})
    assert api.get("/api/users/me", token=olds[1]).status == 401


def test_a_changed_password_or_role_counts_from_the_next_request(api: Api) -> None:
    """Expects nothing to be remembered about a token that was valid a moment ago."""
    for change in ({"password": "another long one"}, {"role": "admin"}):
        password = change.get("password", "another long one") if "role" in change else PASSWORD
        token = api.post("/auth-token", {"username": "operator", "password": password}).json["token"]
        assert api.get("/api/users/me", token=token).status == 200
        assert api.patch("/api/users/operator", change).status == 200
        assert api.get("/api/users/me", token=token).status == 401
