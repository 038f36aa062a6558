"""The log of changed clients: whose fields that mailings depend on have changed in the last day, in order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pynamodb.transactions import TransactWrite

from ..clock import SystemClock
from ..domain.clients import Client
from .dynamodb import translated
from .models import SettingModel
from .moments import to_ms
from .segments import Change
from .tables import Tables

_LOGGED = ("tags", "operator", "phone_number", "timezone", "language", "attributes")
_SCOPE = "changed-clients"
_READERS = "changed-clients-read"
_KEPT_FOR = timedelta(days=1)
# A change has the time at which its transaction was last tried. It may appear this much later, and the clocks of writer
# and reader, and the indexes of clients, may be off by as much.
LAG = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Changed:
    """The clients that one transaction changed, and its place in the log."""

    place: str
    client_ids: tuple[str, ...]


class ClientChanges:
    """The log, in the settings table: one small item for each transaction that changes clients."""

    def __init__(self, tables: Tables, clock: SystemClock, rng: random.Random) -> None:
        self._model: type[SettingModel] = tables.settings
        self._clock = clock
        self._rng = rng

    def note(self, transaction: TransactWrite, changes: Sequence[Change]) -> None:
        """Add to a transaction that writes clients a note of those whose logged fields change."""
        client_ids = [new.client_id for old, new in changes if old and new and is_logged(old, new)]
        if client_ids:
            now = self._clock.now()
            transaction.save(
                self._model(
                    _SCOPE,
                    f"{place_of(now)}#{self._rng.getrandbits(32):08x}",
                    content=" ".join(client_ids),
                    expires_at=to_ms(now + _KEPT_FOR) // 1000,
                )
            )

    def page(self, after: str, limit: int) -> tuple[list[Changed], str]:
        """Up to `limit` changes after a place, the earliest first, and the place of the last one, "" at the end.

        Reads are consistent. To have all changes from a moment on, begin with `place_of` a moment that is `LAG`
        earlier.
        """
        with translated("clients"):
            rows: Any = self._model.query(
                _SCOPE, self._model.name > after, limit=limit, page_size=limit, consistent_read=True
            )
            found = [Changed(row.name, tuple((row.content or "").split())) for row in rows]
            return found, found[-1].place if found and rows.last_evaluated_key else ""

    def reached(self, reader: str) -> str:
        """The place that a reader has reached, "" if it has never read."""
        with translated("clients"):
            rows = list(self._model.query(_READERS, self._model.name == reader, consistent_read=True))
        return (rows[0].content or "") if rows else ""

    def reach(self, reader: str, place: str) -> None:
        """Save the place that a reader has reached."""
        with translated("clients"):
            self._model(_READERS, reader, content=place).save()


def is_logged(old: Client, new: Client) -> bool:
    """Whether a change is logged: only fields that indexes, filters, senders and local hours depend on are."""
    return any(getattr(old, name) != getattr(new, name) for name in _LOGGED)


def place_of(moment: datetime) -> str:
    """The place in the log before all changes at or after a moment."""
    return f"{to_ms(moment):013d}"
