"""Saved segments, in the table of settings: an item for each."""

from __future__ import annotations

import json
from typing import Any

from pynamodb.exceptions import PutError

from ..domain.errors import Conflict, NotFound
from ..domain.faults import Fault
from ..domain.filters import Filter
from ..domain.mailings import Segment
from ..domain.saved_segments import MOST_SEGMENTS, SavedSegment
from .dynamodb import translated, was_refused
from .models import SettingModel, Tables

_SCOPE = "segments"


class SavedSegments:
    """Keeps segments by their ids, which are made of their names."""

    def __init__(self, tables: Tables) -> None:
        self._model: type[SettingModel] = tables.settings

    def all(self) -> list[SavedSegment]:
        """All saved segments, by their names."""
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

    def put(self, saved: SavedSegment, *, new: bool) -> None:
        """Keep a segment. Raises Conflict if it is `new` and there is one of its name, or not and there is none."""
        there = self._model.scope.exists()
        with translated("segments"):
            try:
                self._row(saved).save(condition=~there if new else there)
                return
            except PutError as error:
                if not was_refused(error):
                    raise
        if not new:
            raise NotFound(Fault.NO_SUCH_SEGMENT, name=saved.segment_id)
        if self.get(saved.segment_id) != saved:  # or the answer to the first try was lost
            raise Conflict(Fault.SEGMENT_NAME_TAKEN)

    def delete(self, segment_id: str) -> None:
        """Remove a segment, if it is there."""
        with translated("segments"):
            self._model(_SCOPE, segment_id).delete()

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
