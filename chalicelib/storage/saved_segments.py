"""Saved segments, in the settings table: an item for each."""

from __future__ import annotations

import json
from typing import Any

from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.audit_acts import segment_act
from ..domain.errors import Conflict, NotFound
from ..domain.faults import Fault
from ..domain.filters import Filter
from ..domain.saved_segments import MOST_SEGMENTS, SavedSegment
from ..domain.segments import Segment
from .audit import AuditLog
from .dynamodb import transact, translated
from .models import SettingModel
from .tables import Tables

_SCOPE = "segments"


class SavedSegmentRepository:
    """Stores segments by their ids, which are made from their names."""

    def __init__(self, tables: Tables, backoff: Backoff) -> None:
        self._model: type[SettingModel] = tables.settings
        self._connection = tables.connection
        self._backoff = backoff
        self._audit = AuditLog(tables, backoff)

    def all(self) -> list[SavedSegment]:
        """All saved segments, ordered by name."""
        with translated("segments"):
            rows: Any = list(self._model.query(_SCOPE, limit=MOST_SEGMENTS, consistent_read=True))
        return sorted(map(_segment, rows), key=lambda one: one.name.casefold())

    def get(self, segment_id: str) -> SavedSegment:
        """The segment with this id. Raises NotFound if there is none."""
        with translated("segments"):
            rows: Any = list(self._model.query(_SCOPE, self._model.name == segment_id, consistent_read=True))
        if not rows:
            raise NotFound(Fault.NO_SUCH_SEGMENT, name=repr(segment_id[:80]))
        return _segment(rows[0])

    def put(self, saved: SavedSegment, old: SavedSegment | None) -> None:
        """Save a segment, replacing `old`.

        Raises Conflict if `old` is None and the name is taken, and NotFound if `old` does not exist any more.
        """
        there = self._model.scope.exists()

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                transaction.save(self._row(saved), condition=there if old else ~there)
                self._audit.note(transaction, segment_act(old, saved), saved.changed_at)

        with translated("segments"):
            if not transact(self._backoff, run):
                return
        if old:
            raise NotFound(Fault.NO_SUCH_SEGMENT, name=saved.segment_id)
        if self.get(saved.segment_id) != saved:  # or the answer to the first try was lost
            raise Conflict(Fault.SEGMENT_NAME_TAKEN)

    def delete(self, saved: SavedSegment) -> None:
        """Remove a segment, if it exists."""

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                transaction.delete(self._model(_SCOPE, saved.segment_id))
                self._audit.note(transaction, segment_act(saved, None))

        with translated("segments"):
            transact(self._backoff, run)

    def _row(self, saved: SavedSegment) -> SettingModel:
        segment = saved.segment
        body = {
            "name": saved.name,
            "tags": segment.tags,
            "operators": segment.operators,
            "filter": segment.filter.text if segment.filter else "",
        }
        return self._model(
            _SCOPE,
            saved.segment_id,
            body=json.dumps(body, ensure_ascii=False),
            changed_by=saved.changed_by,
            changed_at=saved.changed_at,
        )


def _segment(row: SettingModel) -> SavedSegment:
    assert row.changed_at  # noqa: S101 - each has one
    body = json.loads(row.body or "{}")
    wanted = Filter(body["filter"]) if body["filter"] else None
    segment = Segment(tuple(body["tags"]), tuple(body["operators"]), wanted)
    return SavedSegment(body["name"], segment, row.changed_at, row.changed_by or "")
