"""/api/users/ and tokens."""

from __future__ import annotations

import pytest

from chalicelib.domain.users import Role
from tests.factories import UserBodyFactory
from tests.support.api import PASSWORD, Api


def _created(api: Api, **fields: object) -> dict:
    body = UserBodyFactory(**fields)
    reply = api.post("/api/users/", body)
    assert reply.status == 201, reply.text
    return body


def _token(api: Api, user: dict) -> str:
    credentials = {"username": user["username"], "password": user["password"]}
    reply = api.post("/auth-token/", credentials, token="")
    assert reply.status == 200, reply.text
    return str(reply.json["token"])


def test_a_created_user_signs_in(api: Api) -> None:
    """Expects 201 without the password, the user's address, and a token that works."""
    body = UserBodyFactory(role="operator")
    reply = api.post("/api/users/", body)
    assert reply.status == 201
    assert set(reply.json) == {"username", "role", "created_at", "updated_at"}
    assert api.get(reply.headers["location"]).json == reply.json
    token = _token(api, body)
    assert api.get("/api/users/me", token=token).json == reply.json


@pytest.mark.parametrize("scheme", ["Token", "Bearer", "bearer", "TOKEN"])
def test_both_schemes_of_the_header_work(api: Api, scheme: str) -> None:
    """Expects the same token to be taken with either."""
    assert api.get("/api/clients", headers={"Authorization": f"{scheme} {api.token}"}).status == 200


def test_a_name_can_be_used_once(api: Api) -> None:
    """Expects 409 for the second user with a name."""
    body = _created(api)
    assert api.post("/api/users", body).status == 409


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"username": "x"}, "username"),
        ({"username": "me"}, "username"),
        ({"username": "a b"}, "username"),
        ({"username": "a/b"}, "username"),
        ({"username": 12}, "username"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"role": "owner"}, "role"),
        ({"is_admin": True}, "is_admin"),
    ],
)
def test_a_wrong_field_is_named(api: Api, fields: dict, field: str) -> None:
    """Expects 422 with the field, and no user."""
    reply = api.post("/api/users", UserBodyFactory(**fields))
    assert reply.status == 422
    assert list(reply.errors) == [field]
    assert api.get("/api/users").json["total"] == 2


def test_a_role_is_changed_by_put_and_patch(api: Api) -> None:
    """Expects the user's tokens to be revoked, since they had the other role."""
    user = _created(api)
    token = _token(api, user)
    assert api.patch(f"/api/users/{user['username']}", {"role": "admin"}).json["role"] == "admin"
    assert api.get("/api/users/me", token=token).status == 401
    assert api.put(f"/api/users/{user['username']}", {"role": "operator"}).json["role"] == "operator"
    assert api.put(f"/api/users/{user['username']}", {}).errors == {"role": "is required"}


def test_a_new_password_replaces_the_old_one(api: Api) -> None:
    """Expects the old password and the user's tokens to be refused."""
    user = _created(api)
    token = _token(api, user)
    api.pass_time(seconds=1)
    assert api.patch(f"/api/users/{user['username']}", {"password": "another long one"}).status == 200
    assert api.get("/api/users/me", token=token).status == 401
    old = {"username": user["username"], "password": user["password"]}
    assert api.post("/auth-token", old, token="").status == 401
    assert _token(api, old | {"password": "another long one"})


def test_people_change_their_own_password(api: Api) -> None:
    """Expects the present password to be required, and an operator to need no admin."""
    user = _created(api)
    token = _token(api, user)
    wrong = {"current_password": "no", "password": "another long one"}
    assert list(api.patch("/api/users/me", wrong, token=token).errors) == ["current_password"]
    right = {"current_password": user["password"], "password": "another long one"}
    assert api.patch("/api/users/me", right, token=token).status == 200
    assert api.get("/api/users/me", token=token).status == 401


def test_a_deleted_user_is_signed_out(api: Api) -> None:
    """Expects 204 once, then 404, and the user's token to be refused."""
    user = _created(api)
    token = _token(api, user)
    assert api.delete(f"/api/users/{user['username']}").status == 204
    assert api.delete(f"/api/users/{user['username']}").status == 404
    assert api.get("/api/users/me", token=token).status == 401
    again = _created(api, username=user["username"])
    assert api.get("/api/users/me", token=token).status == 401
    assert _token(api, again)


def test_there_is_always_an_admin(api: Api) -> None:
    """Expects 409 for deleting or demoting the last one, without any effect."""
    assert api.delete("/api/users/admin").status == 409
    assert api.patch("/api/users/admin", {"role": "operator"}).status == 409
    assert api.get("/api/users/me").json["role"] == "admin"


def test_only_an_admin_manages_users(api: Api) -> None:
    """Expects 403 for an operator on every route except those about themselves."""
    api.sign_in_as(Role.OPERATOR)
    body = UserBodyFactory()
    replies = [
        api.get("/api/users"),
        api.post("/api/users", body),
        api.get("/api/users/admin"),
        api.put("/api/users/operator", {"role": "admin"}),
        api.patch("/api/users/operator", {"role": "admin"}),
        api.delete("/api/users/admin"),
    ]
    assert {reply.status for reply in replies} == {403}
    assert api.get("/api/users/me").json["role"] == "operator"
    assert api.get("/api/users/me/tokens").status == 200


def test_the_list_has_all_users_by_name(api: Api) -> None:
    """Expects pages in the order of names, with the total."""
    for name in ("maria", "anna", "zoe"):
        _created(api, username=name)
    rows, query = [], {"limit": 2}
    while True:
        page = api.get("/api/users", query=query).json
        assert page["total"] == 5
        rows += [row["username"] for row in page["rows"]]
        if not page["next"]:
            break
        query = {"limit": 2, "cursor": page["next"]}
    assert rows == ["admin", "anna", "maria", "operator", "zoe"]


@pytest.mark.parametrize("username", ["nobody", "%00", "x" * 3000, "a%20b"])
def test_an_unknown_user_is_not_found(api: Api, username: str) -> None:
    """Expects 404 for every method."""
    path = f"/api/users/{username}"
    replies = [api.get(path), api.delete(path), api.put(path, {"role": "admin"}), api.patch(path, {})]
    assert {reply.status for reply in replies} == {404}


def test_tokens_are_listed_and_revoked_one_by_one(api: Api) -> None:
    """Expects a user's own tokens without secrets, the current one marked, and a revoked one to be refused at once."""
    credentials = {"username": "admin", "password": PASSWORD, "name": "laptop"}
    api.pass_time(seconds=1)
    other = api.post("/auth-token", credentials, token="").json
    listed = api.get("/api/users/me/tokens").json
    assert listed["total"] == 2
    assert [(row["name"], row["current"]) for row in listed["rows"]] == [("laptop", False), ("", True)]
    assert other["token"] not in str(listed)
    assert api.get("/api/clients", token=other["token"]).status == 200
    assert api.delete(f"/api/users/me/tokens/{other['token_id']}").status == 204
    assert api.get("/api/clients", token=other["token"]).status == 401
    assert api.delete(f"/api/users/me/tokens/{other['token_id']}").status == 404


def test_nobody_can_revoke_another_users_token(api: Api) -> None:
    """Expects 404, and the token to go on working."""
    token_id = api.get("/api/users/me/tokens").json["rows"][0]["token_id"]
    operator = api.secrets[Role.OPERATOR]
    assert api.delete(f"/api/users/me/tokens/{token_id}", token=operator).status == 404
    assert api.get("/api/clients").status == 200


def test_signing_out_revokes_the_token(api: Api) -> None:
    """Expects the token of the request to be refused afterwards."""
    assert api.delete("/auth-token").status == 204
    assert api.get("/api/clients").status == 401


def test_a_token_expires(api: Api) -> None:
    """Expects it to be refused after the time that the answer names."""
    issued = api.post("/auth-token", {"username": "admin", "password": PASSWORD}, token="").json
    assert issued["expires_at"] == "2026-04-01T09:00:00.000Z"
    api.pass_time(days=30)
    assert api.get("/api/clients", token=issued["token"]).status == 401


def test_an_admin_signs_a_user_out_everywhere(api: Api) -> None:
    """Expects all tokens of that user to be refused, but nobody else's, and the password to work."""
    user = _created(api)
    tokens = [_token(api, user) for _ in range(2)]
    assert api.delete(f"/api/users/{user['username']}/tokens").status == 204
    assert {api.get("/api/users/me", token=token).status for token in tokens} == {401}
    assert api.get("/api/users/me").status == 200
    assert api.get("/api/users/me", token=_token(api, user)).status == 200
    assert api.delete("/api/users/nobody/tokens").status == 404


def test_people_sign_out_everywhere(api: Api) -> None:
    """Expects the token of the request to be refused, too."""
    user = _created(api)
    token, other = _token(api, user), _token(api, user)
    assert api.delete("/api/users/me/tokens", token=token).status == 204
    assert {api.get("/api/users/me", token=one).status for one in (token, other)} == {401}
