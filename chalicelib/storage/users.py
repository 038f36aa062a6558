"""Users, their tokens and failed logins."""

from __future__ import annotations

import builtins
from datetime import datetime, timedelta

from pynamodb.exceptions import DeleteError, PutError, UpdateError

from ..domain.errors import Conflict, NotFound
from ..domain.users import Role, Token, User
from .models import Tables, UserModel, from_ms, to_ms
from .retries import translated

_REFUSED = "ConditionalCheckFailedException"


class UserRepository:
    """Accounts and tokens in DynamoDB. Of a token only the hash of its secret is kept."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.users

    def get(self, username: str) -> User:
        """The user of that name; NotFound where there is none."""
        with translated("users"):
            rows = list(self._model.query(f"user#{username}", consistent_read=True))
        if not rows:
            raise NotFound(f"there is no user {username[:80]!r}")
        return _user(rows[0])

    def create(self, user: User) -> None:
        """Add a user; Conflict where the name is taken."""
        with translated("users"):
            try:
                self._row(user).save(self._model.key.does_not_exist())
            except PutError as error:
                if error.cause_response_code != _REFUSED:
                    raise
                raise Conflict("a user with this name exists already") from error

    def change(self, old: User, new: User) -> None:
        """Put `new` in the place of `old`; Conflict where somebody changed it meanwhile."""
        with translated("users"):
            try:
                self._row(new).save(self._model.updated_at == old.updated_at)
            except PutError as error:
                if error.cause_response_code != _REFUSED:
                    raise
                raise Conflict("the user was changed by somebody else meanwhile; read it again") from error

    def delete(self, username: str) -> None:
        """Remove a user and the user's tokens; NotFound where there is none."""
        with translated("users"):
            try:
                self._model(f"user#{username}").delete(self._model.key.exists())
            except DeleteError as error:
                if error.cause_response_code != _REFUSED:
                    raise
                raise NotFound(f"there is no user {username[:80]!r}") from error
        self.revoke_all(username)

    def list(self, after: str, limit: int) -> tuple[list[User], str]:
        """Up to `limit` users by name after a name, and the last name, "" at the end."""
        start = {"group": {"S": "users"}, "key": {"S": f"user#{after}"}} if after else None
        with translated("users"):
            rows = self._model.query(
                "users", index_name="by_group", limit=limit, page_size=limit, last_evaluated_key=start
            )
            users = [_user(row) for row in rows]
            left = rows.last_evaluated_key
        return users, left["key"]["S"].removeprefix("user#") if left else ""

    def count(self) -> int:
        """How many users there are."""
        with translated("users"):
            return self._model.count("users", index_name="by_group")

    # -- tokens

    def add_token(self, token: Token) -> None:
        """Keep a new token."""
        with translated("users"):
            self._model(
                f"token#{token.token_hash}",
                group=f"tokens#{token.username}",
                username=token.username,
                role=str(token.role),
                token_id=token.token_id,
                token_name=token.name,
                created_at=token.created_at,
                expires_at=to_ms(token.expires_at) // 1000,
            ).save()

    def token(self, token_hash: str) -> Token | None:
        """The token of that hash, if it is there. One that has run out may be there still."""
        with translated("users"):
            rows = list(self._model.query(f"token#{token_hash}", consistent_read=True))
        return _token(rows[0]) if rows else None

    def tokens(self, username: str) -> builtins.list[Token]:
        """A user's tokens."""
        with translated("users"):
            return [_token(row) for row in self._model.query(f"tokens#{username}", index_name="by_group")]

    def revoke(self, token: Token) -> None:
        """Forget a token."""
        with translated("users"):
            self._model(f"token#{token.token_hash}").delete()

    def revoke_all(self, username: str) -> None:
        """Forget all tokens of a user."""
        for token in self.tokens(username):
            self.revoke(token)

    # -- failed logins

    def failures(self, subject: str, now: datetime) -> tuple[int, datetime | None]:
        """How many logins failed for an account or an address, and when the last one did."""
        with translated("users"):
            rows = list(self._model.query(f"login#{subject}", consistent_read=True))
        if not rows or int(rows[0].expires_at or 0) <= to_ms(now) // 1000:
            return 0, None
        return int(rows[0].failures or 0), rows[0].updated_at

    def add_failure(self, subject: str, now: datetime, keep: timedelta) -> None:
        """Count a failed login, forgotten after `keep` without another."""
        model = self._model
        until = to_ms(now + keep) // 1000
        with translated("users"):
            row = model(f"login#{subject}")
            fresh = [model.updated_at.set(now), model.expires_at.set(until)]
            try:
                row.update(actions=[model.failures.add(1), *fresh], condition=model.expires_at > to_ms(now) // 1000)
            except UpdateError as error:
                if error.cause_response_code != _REFUSED:
                    raise
                row.update(actions=[model.failures.set(1), *fresh])

    def clear_failures(self, subject: str) -> None:
        """Forget the failed logins of an account or an address."""
        with translated("users"):
            self._model(f"login#{subject}").delete()

    def _row(self, user: User) -> UserModel:
        return self._model(
            f"user#{user.username}",
            group="users",
            username=user.username,
            role=str(user.role),
            password_hash=user.password_hash,
            created_at=user.created_at,
            updated_at=user.updated_at,
        )


def _user(row: UserModel) -> User:
    assert row.created_at and row.updated_at  # noqa: S101 - every user has them
    return User(row.username or "", Role(row.role or ""), row.password_hash or "", row.created_at, row.updated_at)


def _token(row: UserModel) -> Token:
    assert row.created_at  # noqa: S101 - every token has it
    return Token(
        row.token_id or "",
        row.key.removeprefix("token#"),
        row.username or "",
        Role(row.role or ""),
        row.created_at,
        from_ms(float(row.expires_at or 0) * 1000),
        row.token_name or "",
    )
