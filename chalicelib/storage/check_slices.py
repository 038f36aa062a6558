"""Slices of mailings that nobody has checked yet in the current round of the tick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .dynamodb import translated
from .models import SettingModel
from .tables import Tables

_SCOPE = "unchecked"


@dataclass(frozen=True, slots=True)
class Slice:
    """The mailings with ids from `first` to `last`; there were `count` of them when the round began."""

    first: str
    last: str
    count: int
    began_at: datetime

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


class CheckSlices:
    """One item for each slice, removed after it was checked."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.settings

    def add(self, slices: Sequence[Slice]) -> None:
        """Add slices to check."""
        with translated("settings"), self._model.batch_write() as batch:
            for one in slices:
                batch.save(self._model(_SCOPE, one.name, amount=one.count, began_at=one.began_at))

    def left(self, limit: int | None = None) -> list[Slice]:
        """The slices that were not checked yet, in the order of ids."""
        with translated("settings"):
            return [_slice_of(row) for row in self._model.query(_SCOPE, limit=limit, consistent_read=True)]

    def find(self, name: str) -> Slice | None:
        """The slice with this name, None if it was checked already."""
        with translated("settings"):
            rows = list(self._model.query(_SCOPE, self._model.name == name, consistent_read=True))
        return _slice_of(rows[0]) if rows else None

    def remove(self, slices: Sequence[Slice]) -> None:
        """Remove slices that were checked."""
        with translated("settings"), self._model.batch_write() as batch:
            for one in slices:
                batch.delete(self._model(_SCOPE, one.name))


def _slice_of(row: SettingModel) -> Slice:
    first, _, last = row.name.partition(" ")
    assert row.began_at  # noqa: S101 - every slice has it; the model marks it optional because other settings have not
    return Slice(first, last, int(row.amount or 0), row.began_at)
