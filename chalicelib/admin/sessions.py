"""Sessions: the cookie with an access token, and protection of changes against other sites."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..domain.errors import Forbidden, Unauthenticated
from ..domain.faults import Fault
from ..domain.users import Principal
from ..web.request import Request

COOKIE = "session"
CSRF_HEADER = "x-csrf-token"
_TOKEN_NAME = "admin UI"  # noqa: S105 - how the token is called in lists
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in user."""

    principal: Principal
    secret: str

    @property
    def csrf(self) -> str:
        """The CSRF token of this session's forms, made from the access token, which no other site can read."""
        return hmac.new(self.secret.encode(), b"csrf", hashlib.sha256).hexdigest()


def cookies(request: Request) -> dict[str, str]:
    """The request's cookies. (The standard library's parser drops all of them if one is malformed.)"""
    pairs = (part.partition("=") for part in (request.header("cookie") or "").split(";"))
    return {name.strip(): value.strip().strip('"') for name, _, value in pairs}


def begin(request: Request, username: str, password: str) -> tuple[Session, str]:
    """A new session, and its Set-Cookie header. Raises Unauthenticated, or TooManyRequests after many failures."""
    users = request.services.users
    secret = users.issue_token(username[:256], password[:1024], request.address, _TOKEN_NAME).secret
    return Session(users.authenticate(secret), secret), cookie(request, COOKIE, secret)


def find(request: Request, secret: str) -> Session | None:
    """The session of a cookie's secret, or None if it is no longer valid."""
    if not secret:
        return None
    try:
        return Session(request.services.users.authenticate(secret), secret)
    except Unauthenticated:
        return None


def cookie(request: Request, name: str, value: str, *, http_only: bool = True, max_age: int | None = None) -> str:
    """A Set-Cookie header for the pages of the admin UI, and nothing else."""
    parts = [f"{name}={value}", f"Path={request.link('/admin')}", "SameSite=Lax"]
    if max_age is not None:
        parts.append(f"Max-Age={max_age}")
    if http_only:
        parts.append("HttpOnly")
    if not _on_loopback(request):
        parts.append("Secure")
    return "; ".join(parts)


def check_origin(request: Request) -> None:
    """Raises Forbidden if a browser says that another site made the request."""
    site = request.header("sec-fetch-site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise Forbidden(Fault.OTHER_SITE)
        return
    origin = request.header("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != (request.header("host") or "").lower():
        raise Forbidden(Fault.OTHER_SITE)


def check_csrf(session: Session, token: str) -> None:
    """Raises Forbidden if the request does not carry the session's token."""
    if not hmac.compare_digest(session.csrf.encode(), token.encode("utf-8", "replace")):
        raise Forbidden(Fault.FORM_TOO_OLD)


def _on_loopback(request: Request) -> bool:
    host = (request.header("host") or "").lower()
    return host.rpartition(":")[0] in _LOOPBACK or host in _LOOPBACK
