"""Users and their access tokens."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..clock import SystemClock
from ..domain.errors import Conflict, FieldError, Invalid, NotFound, TooManyRequests, Unauthenticated
from ..domain.users import Principal, Role, Token, User, check_account, check_password, check_username
from ..storage.users import UserRepository

TOKEN_LIFETIME = timedelta(days=30)
# Failed logins slow down the next: free at first, then doubling, for the account and for the address.
FREE_FAILURES = 5
FAILURES_KEPT = timedelta(hours=1)
LONGEST_WAIT = 300  # seconds


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token with its secret, which is shown this once."""

    secret: str
    token: Token


class AccountService:
    """Sign-in, tokens and user management."""

    def __init__(self, users: UserRepository, clock: SystemClock) -> None:
        self._users = users
        self._clock = clock

    # -- tokens

    def issue_token(self, username: str, password: str, address: str, name: str = "") -> IssuedToken:
        """A new token for the right password.

        Raises Unauthenticated for a wrong one or an unknown user, after the same work, and TooManyRequests where an
        account or an address has failed too often.
        """
        now = self._clock.now()
        subjects = [f"account#{username[:64]}", f"address#{address[:64]}"]
        self._check_rate(subjects, now)
        try:
            user: User | None = self._users.get(username) if not check_username(username) else None
        except NotFound:
            user = None
        if not _verify(user.password_hash if user else None, password) or user is None:
            for subject in subjects:
                self._users.add_failure(subject, now, FAILURES_KEPT)
            raise Unauthenticated("the username or the password is wrong")
        self._users.clear_failures(subjects[0])
        secret = secrets.token_urlsafe(32)
        token = Token(
            secrets.token_hex(8), _hash(secret), user.username, user.role, now, now + TOKEN_LIFETIME, name[:64]
        )
        self._users.add_token(token)
        return IssuedToken(secret, token)

    def _check_rate(self, subjects: list[str], now: datetime) -> None:
        for subject in subjects:
            failures, last = self._users.failures(subject, now)
            if failures < FREE_FAILURES or last is None:
                continue
            wait = timedelta(seconds=min(LONGEST_WAIT, 2 ** (failures - FREE_FAILURES)))
            if now < last + wait:
                left = int((last + wait - now).total_seconds()) + 1
                raise TooManyRequests("too many failed sign-ins", left)

    def authenticate(self, secret: str) -> Principal:
        """Who the secret of a token belongs to; Unauthenticated where it is unknown, revoked or has run out."""
        token = self._users.token(_hash(secret))
        if token is None or token.expires_at <= self._clock.now():
            raise Unauthenticated("the token is not valid")
        return Principal(token.username, token.role, token.token_id)

    def tokens(self, username: str) -> list[Token]:
        """A user's tokens that have not run out, the newest first."""
        now = self._clock.now()
        tokens = [token for token in self._users.tokens(username) if token.expires_at > now]
        return sorted(tokens, key=lambda token: token.created_at, reverse=True)

    def revoke_token(self, username: str, token_id: str) -> None:
        """Take a token back; NotFound where the user has none of that id."""
        for token in self._users.tokens(username):
            if token.token_id == token_id:
                self._users.revoke(token)
                return
        raise NotFound("there is no such token")

    # -- users

    def get(self, username: str) -> User:
        """The user of that name; NotFound where there is none."""
        if check_username(username):
            raise NotFound(f"there is no user {username[:80]!r}")
        return self._users.get(username)

    def list(self, cursor: str, limit: int) -> tuple[list[User], str]:
        """Up to `limit` users by name, and the next cursor, "" at the end."""
        return self._users.list(cursor, limit)

    def count(self) -> int:
        """How many users there are."""
        return self._users.count()

    def create(self, username: str, password: str, role: Role) -> User:
        """Add a user; Invalid for a bad name or password, Conflict where the name is taken."""
        check_account(username, password)
        now = self._clock.now()
        user = User(username, role, _hash_password(password), now, now)
        self._users.create(user)
        return user

    def change(self, username: str, *, password: str | None = None, role: Role | None = None) -> User:
        """Set a user's password or role. All tokens of the user are revoked by either."""
        user = self.get(username)
        if password is not None and (errors := check_password(password)):
            raise Invalid(*errors)
        if role is not None and role is not user.role:
            self._keep_an_admin(user)
        new = replace(
            user,
            role=role or user.role,
            password_hash=_hash_password(password) if password is not None else user.password_hash,
            updated_at=max(self._clock.now(), user.updated_at + timedelta(milliseconds=1)),
        )
        self._users.change(user, new)
        if password is not None or new.role is not user.role:
            self._users.revoke_all(username)
        return new

    def delete(self, username: str) -> None:
        """Remove a user with all tokens; Conflict for the last admin."""
        self._keep_an_admin(self.get(username))
        self._users.delete(username)

    def _keep_an_admin(self, user: User) -> None:
        if user.role is not Role.ADMIN:
            return
        cursor = ""
        while True:
            users, cursor = self._users.list(cursor, 100)
            if any(other.role is Role.ADMIN and other.username != user.username for other in users):
                return
            if not cursor:
                raise Conflict("the last admin cannot be removed or become an operator")

    def ensure_first_user(self, username: str, password: str | None) -> str | None:
        """Make the first admin where there is none of that name; answers the password if it had to invent one."""
        try:
            self._users.get(username)
        except NotFound:
            invented = None if password else secrets.token_urlsafe(12)
            try:
                self.create(username, password or invented or "", Role.ADMIN)
            except Invalid as error:
                raise Invalid(*(FieldError(f"ADMIN_{e.field.upper()}", e.message) for e in error.errors)) from error
            return invented
        return None


def _hash(secret: str) -> str:
    # The secret has 256 random bits, so a fast hash is enough.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _hash_password(password: str) -> str:
    from argon2 import PasswordHasher  # only the API needs it; the sender starts without

    return PasswordHasher().hash(password)


# Verified in the place of an unknown user's, so that both take the same time; no password belongs to it.
_NOBODY: list[str] = []


def _verify(password_hash: str | None, password: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    if not _NOBODY:
        _NOBODY.append(_hash_password(secrets.token_urlsafe(16)))
    try:
        return PasswordHasher().verify(password_hash or _NOBODY[0], password[:1024]) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False
