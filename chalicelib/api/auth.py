"""Signing in and out: tokens."""

from __future__ import annotations

from pydantic import Field, StrictStr

from ..domain.errors import TooManyRequests, Unauthenticated
from ..services.users import IssuedToken
from ..web.fields import Body, MomentOut, View, example
from ..web.request import Request
from .authentication import secret_of
from .routing import Routes

routes = Routes("auth")


class Credentials(Body):
    """Who signs in. `name` helps you tell your tokens apart later."""

    model_config = example({"username": "admin", "password": "correct horse battery staple", "name": "deploy script"})

    username: StrictStr = Field(max_length=256, examples=["admin"])
    password: StrictStr = Field(max_length=1024, examples=["correct horse battery staple"])
    name: StrictStr = Field(default="", max_length=64, examples=["deploy script"])


class NewToken(View):
    """A token with its secret, which is shown only once. Send it as `Authorization: Token …` or `Bearer …`."""

    token: str
    token_id: str
    username: str
    expires_at: MomentOut

    @classmethod
    def of(cls, issued: IssuedToken) -> NewToken:
        token = issued.token
        return cls(token=issued.secret, token_id=token.token_id, username=token.username, expires_at=token.expires_at)


@routes.route("POST", "/auth-token", roles=None, errors=(Unauthenticated, TooManyRequests))
def issue_token(request: Request, body: Credentials) -> NewToken:
    """Get a token for a username and password."""
    return NewToken.of(request.services.users.issue_token(body.username, body.password, request.address, body.name))


@routes.route("DELETE", "/auth-token")
def revoke_this_token(request: Request) -> None:
    """Sign out: revoke the token that the request was made with."""
    request.services.users.revoke_secret(secret_of(request))
