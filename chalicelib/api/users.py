"""/api/users/: accounts, and your own account and tokens at /api/users/me/."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictStr

from ..domain.errors import Conflict, FieldError, Invalid, NotFound, TooManyRequests
from ..domain.users import (
    MAX_PASSWORD_LENGTH,
    MAX_USERNAME_LENGTH,
    MIN_PASSWORD_LENGTH,
    MIN_USERNAME_LENGTH,
    Role,
    Token,
    User,
    check_password,
    check_username,
)
from ..web.fields import Body, MomentOut, View, by_rule, example
from ..web.paging import PageQuery
from ..web.request import ADMINS, Request
from .routing import Created, Routes

routes = Routes("users")


def _raising(errors: list[FieldError], value: str) -> str:
    if errors:
        raise Invalid(*errors)
    return value


Username = Annotated[
    StrictStr,
    by_rule(lambda text: _raising(check_username(text), text)),
    Field(min_length=MIN_USERNAME_LENGTH, max_length=MAX_USERNAME_LENGTH, examples=["maria"]),
]
Password = Annotated[
    StrictStr,
    by_rule(lambda text: _raising(check_password(text), text)),
    Field(min_length=MIN_PASSWORD_LENGTH, max_length=MAX_PASSWORD_LENGTH, examples=["correct horse battery staple"]),
]


class UserBody(Body):
    """A new user."""

    model_config = example({"username": "maria", "password": "correct horse battery staple", "role": "operator"})

    username: Username
    password: Password
    role: Role = Role.OPERATOR


class UserReplacement(Body):
    """A user's role and, if given, a new password."""

    model_config = example({"role": "operator"})

    role: Role
    password: Password = ""


class UserPatch(Body):
    """The fields of a user to change. Changing either one revokes all their tokens."""

    model_config = example({"role": "operator"})

    role: Role = Role.OPERATOR
    password: Password = ""


class OwnPatch(Body):
    """A new password for yourself, with your current one. It revokes all your tokens."""

    model_config = example(
        {"current_password": "correct horse battery staple", "password": "a better password than before"}
    )

    current_password: StrictStr = Field(max_length=1024, examples=["correct horse battery staple"])
    password: Password


class UserView(View):
    """A user in an answer."""

    username: str
    role: Role
    created_at: MomentOut
    updated_at: MomentOut

    @classmethod
    def of(cls, user: User) -> UserView:
        return cls(username=user.username, role=user.role, created_at=user.created_at, updated_at=user.updated_at)


class UserPage(View):
    """A page of users, by name; `next` is the cursor of the next page."""

    total: int
    rows: list[UserView]
    next: str | None


class TokenView(View):
    """A token without its secret. `current` is true for the token of this request."""

    token_id: str
    name: str
    created_at: MomentOut
    expires_at: MomentOut
    current: bool

    @classmethod
    def of(cls, token: Token, current: str) -> TokenView:
        return cls(
            token_id=token.token_id,
            name=token.name,
            created_at=token.created_at,
            expires_at=token.expires_at,
            current=token.token_id == current,
        )


class TokenPage(View):
    """Your valid tokens, the newest first."""

    total: int
    rows: list[TokenView]
    next: str | None = None  # all are on one page


@routes.route("GET", "/api/users", roles=ADMINS)
def list_users(request: Request, query: PageQuery) -> UserPage:
    """List users."""
    users, after = request.services.users.list(query.place(), query.limit)
    return UserPage(
        total=request.services.users.count(),
        rows=[UserView.of(user) for user in users],
        next=query.following(after),
    )


@routes.route("POST", "/api/users", roles=ADMINS, errors=(Conflict,))
def create_user(request: Request, body: UserBody) -> Created[UserView]:
    """Add a user."""
    user = request.services.users.create(body.username, body.password, body.role)
    return Created(UserView.of(user), f"/api/users/{user.username}")


@routes.route("GET", "/api/users/me")
def read_own_user(request: Request) -> UserView:
    """Read your own account."""
    return UserView.of(request.services.users.get(request.principal.username))


@routes.route("PATCH", "/api/users/me", errors=(Conflict, TooManyRequests))
def change_own_user(request: Request, body: OwnPatch) -> UserView:
    """Change your own password."""
    users = request.services.users
    users.confirm_password(request.principal.username, body.current_password, request.address)
    return UserView.of(users.change(request.principal.username, password=body.password))


@routes.route("GET", "/api/users/me/tokens")
def list_own_tokens(request: Request) -> TokenPage:
    """List your own tokens."""
    tokens = request.services.users.tokens(request.principal.username)
    rows = [TokenView.of(token, request.principal.token_id) for token in tokens]
    return TokenPage(total=len(rows), rows=rows)


@routes.route("DELETE", "/api/users/me/tokens/{token_id}", errors=(NotFound,))
def revoke_own_token(request: Request, token_id: str) -> None:
    """Revoke one of your own tokens. It is refused from the next request on."""
    request.services.users.revoke_token(request.principal.username, token_id)


@routes.route("DELETE", "/api/users/me/tokens", errors=(Conflict,))
def revoke_own_tokens(request: Request) -> None:
    """Sign out everywhere: revoke all your tokens, including the one of this request."""
    request.services.users.revoke_all_tokens(request.principal.username)


@routes.route("DELETE", "/api/users/{username}/tokens", roles=ADMINS, errors=(NotFound, Conflict))
def revoke_users_tokens(request: Request, username: str) -> None:
    """Sign a user out everywhere: revoke all their tokens."""
    request.services.users.revoke_all_tokens(username)


@routes.route("GET", "/api/users/{username}", roles=ADMINS, errors=(NotFound,))
def read_user(request: Request, username: str) -> UserView:
    """Read one user."""
    return UserView.of(request.services.users.get(username))


@routes.route("PUT", "/api/users/{username}", roles=ADMINS, errors=(NotFound, Conflict))
def replace_user(request: Request, username: str, body: UserReplacement) -> UserView:
    """Set a user's role, and their password if one is given. A change revokes all their tokens."""
    return UserView.of(request.services.users.change(username, role=body.role, password=body.password or None))


@routes.route("PATCH", "/api/users/{username}", roles=ADMINS, errors=(NotFound, Conflict))
def change_user(request: Request, username: str, body: UserPatch) -> UserView:
    """Change a user's role or password. A change revokes all their tokens."""
    given = body.model_fields_set
    role = body.role if "role" in given else None
    password = body.password if "password" in given else None
    return UserView.of(request.services.users.change(username, role=role, password=password))


@routes.route("DELETE", "/api/users/{username}", roles=ADMINS, errors=(NotFound, Conflict))
def delete_user(request: Request, username: str) -> None:
    """Delete a user and all their tokens."""
    request.services.users.delete(username)
