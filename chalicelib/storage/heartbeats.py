"""Heartbeats: one item of the settings for each kind of worker, whichever of its processes was heard of last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..domain.heartbeats import Heartbeat, Worker
from .dynamodb import translated
from .models import SettingModel, Tables

SCOPE = "heartbeats"


class HeartbeatRepository:
    """Written every ten seconds at most, and read by whoever asks how the service is."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.settings

    def write(self, beat: Heartbeat) -> None:
        """Note that a worker was heard of."""
        model = self._model
        with translated("settings"):
            model(SCOPE, str(beat.worker)).update(
                actions=[model.changed_at.set(beat.at), model.lease_until.set(beat.until)]
            )

    def read(self) -> Sequence[Heartbeat]:
        """The last one of each kind of worker."""
        with translated("settings"):
            return heartbeats_of(self._model.query(SCOPE))


def heartbeats_of(rows: Iterable[SettingModel]) -> list[Heartbeat]:
    """The heartbeats that stand in items of this scope."""
    return [
        Heartbeat(Worker(row.name), row.changed_at, row.lease_until)
        for row in rows
        if row.scope == SCOPE and row.changed_at and row.lease_until and row.name in set(Worker)
    ]
