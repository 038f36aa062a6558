"""Users, their tokens and failed sign-ins."""

from __future__ import annotations

import builtins
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pynamodb.exceptions import UpdateError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.audit import Act, AuditAction, AuditObject, Change
from ..domain.audit_acts import user_act
from ..domain.errors import Conflict, NotFound
from ..domain.faults import Fault
from ..domain.users import Role, Token, User
from .audit import AuditLog
from .counters import Counters
from .dynamodb import read_items, transact, translated, was_refused
from .models import UserModel
from .moments import from_ms, to_ms
from .tables import Tables

_REFUSED = "ConditionalCheckFailed"


@dataclass(frozen=True, slots=True)
class FailedSignIns:
    """How often signing in to an account, or from an address, failed, and when it last did."""

    count: int = 0
    last_at: datetime | None = None


class UserRepository:
    """Users and tokens in DynamoDB. Only the hash of a token's secret is stored. There is always an admin."""

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff) -> None:
        self._model = tables.users
        self._dynamodb = dynamodb
        self._counters = Counters(tables, "users")
        self._connection = tables.connection
        self._backoff = backoff
        self._audit = AuditLog(tables, backoff)

    # -- users

    def get(self, username: str) -> User:
        """The user with this name. Raises NotFound if there is none."""
        with translated("users"):
            rows = list(self._model.query(f"user#{username}", consistent_read=True))
        if not rows:
            raise NotFound(Fault.NO_SUCH_USER, name=repr(username[:80]))
        return _user(rows[0])

    def create(self, user: User) -> None:
        """Add a user. Raises Conflict if the name is taken."""
        if self._write(None, user):
            raise Conflict(Fault.USERNAME_TAKEN)

    def change(self, old: User, new: User) -> None:
        """Replace `old` by `new`.

        Raises Conflict if others changed the user meanwhile, or if no admin would be left.
        """
        self._explain(self._write(old, new))

    def delete(self, user: User) -> None:
        """Remove a user. Raises Conflict as `change` does."""
        self._explain(self._write(user, None))

    def _write(self, old: User | None, new: User | None) -> tuple[str | None, ...]:
        counts: Counter[str] = Counter()
        if old:
            counts[str(old.role)] -= 1
        if new:
            counts[str(new.role)] += 1
        unchanged = self._model.updated_at == old.updated_at if old else self._model.key.does_not_exist()

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                if new:
                    transaction.save(self._row(new), condition=unchanged)
                elif old:
                    transaction.delete(self._model(f"user#{old.username}"), condition=unchanged)
                self._counters.move(transaction, counts, keep=str(Role.ADMIN))
                self._audit.note(transaction, user_act(old, new))

        with translated("users"):
            return transact(self._backoff, run)

    def _explain(self, codes: tuple[str | None, ...]) -> None:
        if codes and codes[0] == _REFUSED:
            raise Conflict(Fault.USER_CHANGED)
        if codes:
            raise Conflict(Fault.LAST_ADMIN)

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
            return sum(amount for _, amount in self._counters.read())

    # -- tokens

    def add_token(self, token: Token) -> None:
        """Add a token."""
        row = self._model(
            f"token#{token.token_hash}",
            group=f"tokens#{token.username}",
            username=token.username,
            token_id=token.token_id,
            token_name=token.name,
            created_at=token.created_at,
            expires_at=to_ms(token.expires_at) // 1000,
        )
        called = (Change("token", None, token.name),) if token.name else ()
        act = Act(
            action=AuditAction.SIGNED_IN,
            object=AuditObject.USER,
            object_id=token.username,
            name=token.username,
            changes=called,
        )

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                transaction.save(row)
                self._audit.note(transaction, act, by=token.username)

        with translated("users"):
            transact(self._backoff, run)

    def token(self, token_hash: str) -> Token | None:
        """The token with this hash, if it exists. An expired one may still exist."""
        with translated("users"):
            rows = list(self._model.query(f"token#{token_hash}", consistent_read=True))
        return _token(rows[0]) if rows else None

    def holder(self, username: str, token_hash: str) -> tuple[Token | None, User | None]:
        """The token with this hash and the user with this name, in one read; None for one that does not exist."""
        keys = [f"token#{token_hash}", f"user#{username}"]
        name = self._model.Meta.table_name
        items = read_items(self._dynamodb, self._backoff, name, [{"key": {"S": key}} for key in keys], consistent=True)
        rows = {item["key"]["S"]: self._model.from_raw_data(item) for item in items}
        token, user = (rows.get(key) for key in keys)
        return _token(token) if token else None, _user(user) if user else None

    def tokens(self, username: str) -> builtins.list[Token]:
        """A user's tokens; one that is younger than a second may be missing."""
        with translated("users"):
            return [_token(row) for row in self._model.query(f"tokens#{username}", index_name="by_group")]

    def revoke(self, token_hash: str) -> None:
        """Remove a token, if it exists."""
        with translated("users"):
            self._model(f"token#{token_hash}").delete()

    def sign_out(self, username: str, token_hash: str, name: str = "") -> None:
        """Remove one of a user's tokens at their request. `name` is the token's name."""
        act = Act(AuditAction.SIGNED_OUT, AuditObject.USER, username, name)

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                transaction.delete(self._model(f"token#{token_hash}"))
                self._audit.note(transaction, act)

        with translated("users"):
            transact(self._backoff, run)

    # -- failed sign-ins

    def tries(self, subject: str, now: datetime) -> FailedSignIns:
        """The failed sign-ins of an account or an address that are not forgotten yet."""
        with translated("users"):
            rows = list(self._model.query(f"login#{subject}", consistent_read=True))
        if not rows or int(rows[0].expires_at or 0) <= to_ms(now) // 1000 or not rows[0].failures:
            return FailedSignIns()
        return FailedSignIns(int(rows[0].failures), rows[0].updated_at)

    def count_try(self, subject: str, seen: FailedSignIns, now: datetime, keep: timedelta) -> bool:
        """Count one more, forgotten after `keep` without another. Returns False if there was another since `seen`."""
        model = self._model
        if seen.count:
            condition = model.failures == seen.count
        else:
            condition = model.key.does_not_exist() | (model.expires_at <= to_ms(now) // 1000) | (model.failures == 0)
        actions: builtins.list[Action] = [
            model.failures.set(seen.count + 1),
            model.updated_at.set(now),
            model.expires_at.set(to_ms(now + keep) // 1000),
        ]
        with translated("users"):
            try:
                model(f"login#{subject}").update(actions=actions, condition=condition)
            except UpdateError as error:
                if not was_refused(error):
                    raise
                return False
        return True

    def forget_tries(self, subject: str) -> None:
        """Forget all failed sign-ins of an account."""
        with translated("users"):
            self._model(f"login#{subject}").delete()

    def forgive_try(self, subject: str) -> None:
        """Count one less, because a counted try succeeded."""
        with translated("users"):
            try:
                self._model(f"login#{subject}").update(
                    actions=[self._model.failures.add(-1)], condition=self._model.failures > 0
                )
            except UpdateError as error:
                if not was_refused(error):
                    raise

    def _row(self, user: User) -> UserModel:
        return self._model(
            f"user#{user.username}",
            group="users",
            username=user.username,
            role=str(user.role),
            password_hash=user.password_hash,
            created_at=user.created_at,
            updated_at=user.updated_at,
            tokens_since=user.tokens_since,
        )


def _user(row: UserModel) -> User:
    assert row.created_at  # noqa: S101 - every user has these three
    assert row.updated_at  # noqa: S101
    assert row.tokens_since  # noqa: S101
    return User(
        username=row.username or "",
        role=Role(row.role or ""),
        password_hash=row.password_hash or "",
        created_at=row.created_at,
        updated_at=row.updated_at,
        tokens_since=row.tokens_since,
    )


def _token(row: UserModel) -> Token:
    assert row.created_at  # noqa: S101 - every token has it
    return Token(
        token_id=row.token_id or "",
        token_hash=row.key.removeprefix("token#"),
        username=row.username or "",
        created_at=row.created_at,
        expires_at=from_ms(float(row.expires_at or 0) * 1000),
        name=row.token_name or "",
    )
