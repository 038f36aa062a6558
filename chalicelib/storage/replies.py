"""Replies, in the settings table, where DynamoDB removes them as late as messages of their time.

A reply is up to three items, written in one transaction: a mark so that it is stored once, an entry in the list of all,
and one in the list of its client.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.replies import Keyword, Reply
from .dynamodb import transact, translated
from .models import SettingModel
from .moments import from_ms, to_ms
from .tables import Tables

_ALL = "replies"
_MINUTES = "replies-a-minute"
_ONCE = "reply"


class ReplyRepository:
    """Stores each reply once, for `retain`; for ever if that is zero."""

    def __init__(self, tables: Tables, backoff: Backoff, retain: timedelta) -> None:
        self._model = tables.settings
        self._connection = tables.connection
        self._backoff = backoff
        self._retain = retain

    def add(self, reply: Reply) -> bool:
        """Store a reply. Returns False if it exists already. Raises Unavailable."""
        expires_at = to_ms(reply.received_at + self._retain) // 1000 if self._retain else None
        lists = [_ALL, _scope(reply.client_id)] if reply.client_id else [_ALL]

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                transaction.save(
                    self._model(f"{_ONCE}#{reply.reply_id}", _ONCE, expires_at=expires_at),
                    condition=self._model.scope.does_not_exist(),
                )
                for scope in lists:
                    transaction.save(self._model(scope, _name(reply), body=_body(reply), expires_at=expires_at))

        with translated("replies"):
            return not transact(self._backoff, run)

    def admit(self, gateway: str, wanted: int, most: int, now: datetime) -> int:
        """How many of the `wanted` replies of a gateway may be kept, if `most` are allowed in this minute.

        All of them count, even those that may not be kept. Raises Unavailable.
        """
        expires_at = to_ms(now + timedelta(hours=1)) // 1000
        row = self._model(_MINUTES, f"{gateway}#{now:%Y-%m-%dT%H:%M}")
        with translated("replies"):
            row.update(actions=[self._model.amount.add(wanted), self._model.expires_at.set(expires_at)])
        before = int(row.amount or 0) - wanted
        return max(0, min(wanted, most - before))

    def page(self, client_id: str, before: str, limit: int, now: datetime) -> tuple[Sequence[Reply], str]:
        """Up to `limit` replies, the newest first, of one client if one is given; and the start of the next page.

        `before` is the start of this page, "" for the first.
        """
        model = self._model
        earlier = model.name < before if before else None
        scope = _scope(client_id) if client_id else _ALL
        with translated("replies"):
            rows = list(model.query(scope, earlier, limit=limit + 1, scan_index_forward=False))
        kept = [row for row in rows if not row.expires_at or row.expires_at > now.timestamp()]
        return [_reply(row) for row in kept[:limit]], kept[limit - 1].name if len(kept) > limit else ""


def _scope(client_id: str) -> str:
    return f"{_ALL}#{client_id}"


def _name(reply: Reply) -> str:
    return f"{to_ms(reply.received_at):013d}#{reply.reply_id}"


def _body(reply: Reply) -> str:
    facts = asdict(reply) | {"at": to_ms(reply.at), "received_at": to_ms(reply.received_at)}
    return json.dumps({name: value for name, value in facts.items() if value}, ensure_ascii=False)


def _reply(row: SettingModel) -> Reply:
    facts = {"text": "", "to": ""} | json.loads(row.body or "{}")
    keyword = Keyword(facts["keyword"]) if "keyword" in facts else None
    moments = {name: from_ms(facts[name]) for name in ("at", "received_at")}
    return Reply(**facts | moments | {"keyword": keyword})
