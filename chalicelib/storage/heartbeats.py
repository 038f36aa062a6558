"""Heartbeats: an item in the settings table for each kind of worker, written by all its processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pynamodb.exceptions import UpdateError
from pynamodb.expressions.update import Action

from ..domain.heartbeats import Heartbeat, Worker
from .dynamodb import Item, translated, was_refused
from .models import SettingModel
from .tables import Tables

SCOPE = "heartbeats"


class HeartbeatRepository:
    """Written at most every ten seconds; read to find out how the service is."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.settings

    def write(self, beat: Heartbeat) -> None:
        """Save a heartbeat. Without `worked_at`, the stored one stays."""
        model = self._model
        until = model.lease_until
        actions: list[Action] = [until.set(beat.until) if beat.until else until.remove()]
        if beat.at:
            actions.append(model.changed_at.set(beat.at))
        if beat.worked_at:
            actions.append(model.began_at.set(beat.worked_at))
        with translated("settings"):
            model(SCOPE, str(beat.worker)).update(actions=actions)

    def expect(self, worker: Worker, silent_since: datetime, until: datetime) -> None:
        """Expect a worker by `until`, unless it was seen after `silent_since`, or is expected already."""
        model = self._model
        quiet = model.changed_at.does_not_exist() | (model.changed_at < silent_since)
        with translated("settings"):
            try:
                model(SCOPE, str(worker)).update(
                    actions=[model.lease_until.set(until)], condition=model.lease_until.does_not_exist() & quiet
                )
            except UpdateError as error:
                if not was_refused(error):
                    raise

    def read(self) -> Sequence[Heartbeat]:
        """The last heartbeat of each kind of worker."""
        with translated("settings"):
            return heartbeats_of(self._model.query(SCOPE))


def heartbeat_places() -> list[Item]:
    """The keys of the heartbeats' items."""
    return [{"scope": {"S": SCOPE}, "name": {"S": str(worker)}} for worker in Worker]


def heartbeats_of(rows: Iterable[SettingModel]) -> list[Heartbeat]:
    """The heartbeats of items."""
    return [
        Heartbeat(Worker(row.name), row.changed_at, row.lease_until, row.began_at)
        for row in rows
        if row.scope == SCOPE and row.name in set(Worker)
    ]
