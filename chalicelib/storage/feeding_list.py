"""The ids of mailings with something to feed, for a feeder that is running already."""

from __future__ import annotations

from collections.abc import Iterable

from .dynamodb import translated
from .tables import Tables

_SCOPE = "to-feed"


class FeedingList:
    """An item for each mailing. A feeder takes an id before it reads the mailing, so nothing is lost in between."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.settings

    def add(self, names: Iterable[str]) -> None:
        """Add mailings for the running feeder."""
        with translated("settings"), self._model.batch_write() as batch:
            for name in dict.fromkeys(names):
                batch.save(self._model(_SCOPE, name))

    def take(self) -> list[str]:
        """Take the ids that were added since the last call."""
        with translated("settings"):
            names = [row.name for row in self._model.query(_SCOPE, consistent_read=True)]
            if names:
                with self._model.batch_write() as batch:
                    for name in names:
                        batch.delete(self._model(_SCOPE, name))
        return names
