"""Users and their access tokens."""

from __future__ import annotations

import builtins
import hashlib
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..clock import SystemClock
from ..domain.deadlines import is_over
from ..domain.errors import Invalid, Malformed, NotFound, TooManyRequests, Unauthenticated
from ..domain.faults import Fault
from ..domain.users import Principal, Role, Token, User, check_account, check_password, check_username
from ..storage.users import FailedSignIns, UserRepository
from .passwords import hash_password, invented_password, verify

TOKEN_LIFETIME = timedelta(days=30)
# Failed sign-ins delay the next one: the first ones do not, then the delay doubles. An office shares one address.
FREE_TRIES = {"account": 5, "address": 20}
TRIES_KEPT = timedelta(hours=1)
LONGEST_WAIT = 300  # seconds
_RACES = 8
# The form of secrets before they began with the username; the last of these expire after TOKEN_LIFETIME.
_WITHOUT_NAME = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token with its secret, which is shown only once."""

    secret: str
    token: Token


class UserService:
    """Sign-in, tokens and user management."""

    def __init__(self, users: UserRepository, clock: SystemClock) -> None:
        self._users = users
        self._clock = clock

    # -- signing in

    def issue_token(self, username: str, password: str, address: str, name: str = "") -> IssuedToken:
        """Returns a new token if the password is right.

        Raises Unauthenticated if the password is wrong or the user is unknown (both take the same time), and
        TooManyRequests if the account or the address has failed too often.
        """
        user = self._signed_in(username, password, address)
        if user is None:
            raise Unauthenticated(Fault.WRONG_CREDENTIALS)
        now = max(self._clock.now(), user.tokens_since)
        # The secret begins with the username, so that token and user are read at once. The random part has no dot.
        secret = f"{user.username}.{secrets.token_urlsafe(32)}"
        token = Token(
            token_id=secrets.token_hex(8),
            token_hash=_hash(secret),
            username=user.username,
            created_at=now,
            expires_at=now + TOKEN_LIFETIME,
            name=name[:64],
        )
        self._users.add_token(token)
        return IssuedToken(secret, token)

    def confirm_password(self, username: str, password: str, address: str) -> None:
        """Raises Invalid if it is not the user's password, and TooManyRequests as `issue_token` does."""
        if self._signed_in(username, password, address) is None:
            raise Invalid.of("current_password", Fault.WRONG_PASSWORD)

    def _signed_in(self, username: str, password: str, address: str) -> User | None:
        account, place = f"account#{username[:64]}", f"address#{address[:64]}"
        # Counted before the password is checked, so that many tries at once are as slow as one after the other.
        self._count_try([account, place])
        try:
            user: User | None = self._users.get(username)
        except NotFound:
            user = None
        if not verify(user.password_hash if user else None, password):
            return None
        self._users.forget_tries(account)
        self._users.forgive_try(place)
        return user

    def _count_try(self, subjects: builtins.list[str]) -> None:
        now = self._clock.now()
        seen = {subject: self._users.tries(subject, now) for subject in subjects}
        for subject in subjects:
            _check_wait(subject, seen[subject], now)
        for subject in subjects:
            for _ in range(_RACES):
                if self._users.count_try(subject, seen[subject], now, TRIES_KEPT):
                    break
                seen[subject] = self._users.tries(subject, now)
                _check_wait(subject, seen[subject], now)
            else:
                raise TooManyRequests(Fault.TOO_MANY_SIGN_INS, 1)

    # -- tokens

    def authenticate(self, secret: str) -> Principal:
        """Returns the user and the token of a secret. Raises Unauthenticated if it is unknown, revoked or expired.

        Nothing is cached, so that a revoked token or a new role counts from the next request on. It takes one read.
        """
        token, user = self._holder(secret)
        now = self._clock.now()
        if token is None or user is None or token.expires_at <= now or token.created_at < user.tokens_since:
            raise Unauthenticated(Fault.NO_VALID_TOKEN)
        return Principal(user.username, user.role, token.token_id)

    def _holder(self, secret: str) -> tuple[Token | None, User | None]:
        username, _, _ = secret.rpartition(".")
        if not check_username(username):
            return self._users.holder(username, _hash(secret))
        if not _WITHOUT_NAME.fullmatch(secret):
            return None, None
        token = self._users.token(_hash(secret))
        return self._users.holder(token.username, token.token_hash) if token else (None, None)

    def tokens(self, username: str) -> builtins.list[Token]:
        """A user's valid tokens, the newest first."""
        now = self._clock.now()
        tokens = [token for token in self._users.tokens(username) if token.expires_at > now]
        return sorted(tokens, key=lambda token: token.created_at, reverse=True)

    def revoke_token(self, username: str, token_id: str) -> None:
        """Revoke a token. Raises NotFound if the user has no token with that id."""
        for token in self._users.tokens(username):
            if token.token_id == token_id:
                self._users.sign_out(username, token.token_hash, token.name)
                return
        raise NotFound(Fault.NO_SUCH_TOKEN)

    def revoke_all_tokens(self, username: str) -> None:
        """Sign a user out everywhere by revoking all their tokens."""
        user = self.get(username)
        now = self._after(user)
        self._users.change(user, replace(user, updated_at=now, tokens_since=now))
        self._remove_tokens(username)

    def revoke_secret(self, secret: str) -> None:
        """Revoke the token of a secret."""
        self._users.sign_out(secret.rpartition(".")[0], _hash(secret))

    # -- users

    def get(self, username: str) -> User:
        """The user with this name. Raises NotFound if there is none."""
        if check_username(username):
            raise NotFound(Fault.NO_SUCH_USER, name=repr(username[:80]))
        return self._users.get(username)

    def list(self, cursor: str, limit: int) -> tuple[builtins.list[User], str]:
        """Up to `limit` users by name, and the next cursor, "" at the end. Raises Malformed for a bad cursor."""
        if cursor and check_username(cursor):
            raise Malformed(Fault.CURSOR_OF_ANOTHER_LIST)
        return self._users.list(cursor, limit)

    def count(self) -> int:
        """How many users there are."""
        return self._users.count()

    def create(self, username: str, password: str, role: Role) -> User:
        """Add a user. Raises Invalid for a bad name or password, Conflict if the name is taken."""
        check_account(username, password)
        now = self._clock.now()
        user = User(
            username=username,
            role=role,
            password_hash=hash_password(password),
            created_at=now,
            updated_at=now,
            tokens_since=now,
        )
        self._users.create(user)
        return user

    def change(self, username: str, *, password: str | None = None, role: Role | None = None) -> User:
        """Set a user's password or role, which revokes all their tokens. Raises Conflict if the last admin would lose
        the role.
        """
        user = self.get(username)
        if password is not None and (errors := check_password(password)):
            raise Invalid(*errors)
        new_role = role or user.role
        if password is None and new_role is user.role:
            return user
        now = self._after(user)
        new = replace(
            user,
            role=new_role,
            password_hash=hash_password(password) if password is not None else user.password_hash,
            updated_at=now,
            tokens_since=now,
        )
        self._users.change(user, new)
        self._remove_tokens(username)
        return new

    def reset_password(self, username: str) -> str:
        """Give a user a generated password and return it. All their tokens are revoked."""
        password = invented_password()
        self.change(username, password=password)
        return password

    def delete(self, username: str) -> None:
        """Delete a user and all their tokens. Raises Conflict if it is the last admin."""
        self._users.delete(self.get(username))
        self._remove_tokens(username)

    def _after(self, user: User) -> datetime:
        """Now, or the first moment after the user's last change: the order of changes and tokens follows from their
        times.
        """
        return max(self._clock.now(), user.updated_at + timedelta(milliseconds=1))

    def _remove_tokens(self, username: str) -> None:
        for token in self._users.tokens(username):
            self._users.revoke(token.token_hash)

    def ensure_first_user(self, username: str, password: str | None) -> str | None:
        """Create the first admin, unless the user exists. Returns the password if one was generated, else None."""
        try:
            self._users.get(username)
        except NotFound:
            invented = None if password else invented_password()
            try:
                self.create(username, password or invented or "", Role.ADMIN)
            except Invalid as error:
                raise Invalid(*(replace(e, field=f"ADMIN_{e.field.upper()}") for e in error.errors)) from error
            return invented
        return None


def _check_wait(subject: str, tries: FailedSignIns, now: datetime) -> None:
    over = tries.count - FREE_TRIES[subject.partition("#")[0]]
    if over < 0 or tries.last_at is None:
        return
    free_at = tries.last_at + timedelta(seconds=min(LONGEST_WAIT, 2 ** min(over, 30)))
    if not is_over(free_at, now, timedelta(seconds=LONGEST_WAIT)):
        raise TooManyRequests(Fault.TOO_MANY_FAILED_SIGN_INS, -((now - free_at) // timedelta(seconds=1)))


def _hash(secret: str) -> str:
    # The secret has 256 random bits, so a fast hash is enough.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
