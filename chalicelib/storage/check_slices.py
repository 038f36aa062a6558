"""Slices of mailings that are to be looked at, as long as nobody has: what is left of a round of the tick."""

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
    """The mailings with ids from `first` to `last`, which were `count` when the round began."""

    first: str
    last: str
    count: int
    began_at: datetime

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


class CheckSlices:
    """One item for each slice; who has looked at it removes it."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.settings

    def add(self, slices: Sequence[Slice]) -> None:
        """Note what is to be looked at."""
        with translated("settings"), self._model.batch_write() as batch:
            for one in slices:
                batch.save(self._model(_SCOPE, one.name, amount=one.count, began_at=one.began_at))

    def left(self, limit: int | None = None) -> list[Slice]:
        """What was not looked at yet, in the order of the ids."""
        with translated("settings"):
            return [_slice_of(row) for row in self._model.query(_SCOPE, limit=limit, consistent_read=True)]

    def find(self, name: str) -> Slice | None:
        """The slice with this name, None if it was looked at already."""
        with translated("settings"):
            rows = list(self._model.query(_SCOPE, self._model.name == name, consistent_read=True))
        return _slice_of(rows[0]) if rows else None

    def remove(self, slices: Sequence[Slice]) -> None:
        """Note that these were looked at."""
        with translated("settings"), self._model.batch_write() as batch:
            for one in slices:
                batch.delete(self._model(_SCOPE, one.name))


def _slice_of(row: SettingModel) -> Slice:
    first, _, last = row.name.partition(" ")
    assert row.began_at  # noqa: S101 - every slice has it; the model marks it optional because other settings have not
    return Slice(first, last, int(row.amount or 0), row.began_at)
