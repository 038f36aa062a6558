"""The names of mailings that have got something to feed, for a feeder that is running already."""

from __future__ import annotations

from collections.abc import Iterable

from .dynamodb import translated
from .tables import Tables

_SCOPE = "to-feed"


class FeedingList:
    """One item for each name. Who takes a name looks at its mailing afterwards, so nothing is lost in between."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.settings

    def add(self, names: Iterable[str]) -> None:
        """Name mailings to whoever feeds."""
        with translated("settings"), self._model.batch_write() as batch:
            for name in dict.fromkeys(names):
                batch.save(self._model(_SCOPE, name))

    def take(self) -> list[str]:
        """The names that were added since the last time."""
        with translated("settings"):
            names = [row.name for row in self._model.query(_SCOPE, consistent_read=True)]
            if names:
                with self._model.batch_write() as batch:
                    for name in names:
                        batch.delete(self._model(_SCOPE, name))
        return names
