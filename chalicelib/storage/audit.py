"""The audit log, in the settings table: each entry is in the list of all, and in the list of its object.

The list of all is spread over several keys, because one key takes only a thousand writes a second. Only what a user
does is written; what the service does by itself costs nothing more.
"""

from __future__ import annotations

import heapq
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import datetime
from itertools import islice

from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.audit import KEPT_FOR, Act, AuditAction, AuditEntry, AuditFilter, AuditObject, Change
from ..observability import asking_user
from .dynamodb import transact, translated
from .models import SettingModel
from .moments import from_ms, to_ms
from .tables import Tables

_ALL = [f"audit-{number}" for number in range(4)]
_FIRST, _LAST = "0", ":"  # before and after all names, which begin with a number
_PAGE = 250  # entries that are read at once if some must be filtered out
_LOOK = 2000  # entries that are read for one page
_FACTS = tuple(one.name for one in fields(Act))


class AuditLog:
    """Keeps what users did for two years."""

    def __init__(self, tables: Tables, backoff: Backoff) -> None:
        self._model = tables.settings
        self._connection = tables.connection
        self._backoff = backoff

    def note(self, transaction: TransactWrite, act: Act | None, at: datetime | None = None, by: str = "") -> None:
        """Add an act to a transaction, if there is one and a user asked for it.

        `at` is now if it is not given. `by` is the user, if nobody has signed in yet.
        """
        for row in self._rows(act, at, by or asking_user()):
            transaction.save(row)

    def put(self, act: Act) -> None:
        """Add an act that does not change an item, after it succeeded, if a user asked for it."""
        rows = list(self._rows(act, None, asking_user()))

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                for row in rows:
                    transaction.save(row)

        if rows:
            with translated("audit"):
                transact(self._backoff, run)

    def _rows(self, act: Act | None, at: datetime | None, by: str) -> Iterator[SettingModel]:
        if act is None or not by:
            return
        at = at or self._backoff.clock.now()
        entry_id = f"{to_ms(at):013d}-{secrets.token_hex(4)}"
        about = [_scope(act.object, act.object_id)] if act.object_id else []
        body = json.dumps(_stored(act), ensure_ascii=False)
        for scope in (_ALL[int(entry_id[-1], 16) % len(_ALL)], *about):
            yield self._model(
                scope,
                entry_id,
                changed_by=by,
                changed_at=at,
                body=body,
                expires_at=to_ms(at + KEPT_FOR) // 1000,
            )

    def page(self, wanted: AuditFilter, before: str, limit: int, now: datetime) -> tuple[list[AuditEntry], str]:
        """Up to `limit` entries, the newest first, and the start of the next page, "" at the end.

        `before` is the start of this page, "" for the first. A page may be short, or empty, if few entries match.
        """
        one_object = wanted.object and wanted.object_id
        scopes = [_scope(wanted.object, wanted.object_id)] if wanted.object and wanted.object_id else _ALL
        narrow = wanted.by or wanted.action or (wanted.object and not one_object)
        found: list[AuditEntry] = []
        with translated("audit"):
            looked = 0
            for row in self._rows_before(scopes, wanted, before, _PAGE if narrow else limit + 1):
                if len(found) == limit or looked == _LOOK:
                    return found, before
                looked, before = looked + 1, row.name
                entry = _entry(row)
                if (row.expires_at or 0) > now.timestamp() and wanted.matches(entry):
                    found.append(entry)
        return found, ""

    def of(self, kind: AuditObject, object_id: str, limit: int) -> list[AuditEntry]:
        """The last entries about an object, the newest first."""
        everything = AuditFilter()
        with translated("audit"):
            rows = self._rows_before([_scope(kind, object_id)], everything, "", limit)
            return [_entry(row) for row in islice(rows, limit)]

    def _rows_before(
        self, scopes: Iterable[str], wanted: AuditFilter, before: str, size: int
    ) -> Iterator[SettingModel]:
        first = f"{to_ms(wanted.since):013d}" if wanted.since else _FIRST
        last = before or (f"{to_ms(wanted.until):013d}" if wanted.until else _LAST)
        if first > last:
            return
        inside = self._model.name.between(first, last)
        lists = [self._model.query(scope, inside, scan_index_forward=False, page_size=size) for scope in scopes]
        for row in heapq.merge(*lists, key=lambda one: one.name, reverse=True):
            if row.name != last:
                yield row


def _scope(kind: AuditObject, object_id: str) -> str:
    return f"audit-of#{kind}#{object_id}"


def _stored(act: Act) -> dict[str, object]:
    """The act without empty values."""
    facts = {name: getattr(act, name) for name in _FACTS}
    facts["changes"] = [[one.field, one.old, one.new] for one in act.changes]
    return {name: value for name, value in facts.items() if value not in ("", None, [])}


def _entry(row: SettingModel) -> AuditEntry:
    facts = json.loads(row.body or "{}")
    act = Act(
        action=AuditAction(facts["action"]),
        object=AuditObject(facts["object"]),
        object_id=facts.get("object_id", ""),
        name=facts.get("name", ""),
        changes=tuple(Change(*one) for one in facts.get("changes", [])),
        count=facts.get("count"),
    )
    return AuditEntry(row.name, row.changed_at or from_ms(0), row.changed_by or "", act)
