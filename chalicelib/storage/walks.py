"""Walks through ledgers, in the mailings' table under `<mailing>#walks`, with a row for each shard.

They are not parts of the mailing itself, which senders read every second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pynamodb.exceptions import UpdateError

from ..domain.mailing_counters import MailingCounters
from ..domain.walks import Walk
from .dynamodb import translated, was_refused
from .leases import given_back, held, is_free
from .models import MailingModel
from .tables import Tables


class WalkRepository:
    """The owner of each shard's walk, its round, its place, and its counts so far."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.mailings

    def read(self, mailing_id: str) -> Mapping[str, Walk]:
        """The walks of a mailing by shard, of any round."""
        with translated("mailings"):
            rows = list(self._model.query(_key(mailing_id), consistent_read=True))
        return {row.part: _walk(row) for row in rows}

    def take(
        self, mailing_id: str, shard: str, name: str, lap: int, owner: str, now: datetime, until: datetime
    ) -> Walk | None:
        """Take a shard's walk for a round's lap until a time. Returns None if another owner has it, or nothing is left.

        A walk of another round or an earlier lap starts again, unless all of its rows were final.
        """
        model = self._model
        with translated("mailings"):
            rows = list(model.query(_key(mailing_id), model.part == shard, consistent_read=True))
        known = _walk(rows[0]) if rows else Walk(shard)
        if known.round == name and (known.clean or known.lap > lap or (known.lap == lap and known.done)):
            return None
        begun = known if known.round == name and known.lap == lap else Walk(shard, name, lap=lap)
        free = is_free(model, now, until, owner)
        taken = replace(begun, owner=owner, lease_until=until)
        return taken if self._write(mailing_id, taken, free) else None

    def save(self, mailing_id: str, walk: Walk) -> bool:
        """Save a walk and extend its lease, or end it if it has none. Returns False if another owner has it.

        May be repeated, because each invocation is another owner.
        """
        return self._write(mailing_id, walk, self._model.owner == walk.owner)

    def _write(self, mailing_id: str, walk: Walk, condition: Any) -> bool:
        model = self._model
        actions = [
            model.round.set(walk.round),
            model.lap.set(walk.lap),
            model.cursor.set(walk.cursor),
            model.done.set(walk.done),
            model.open.set(walk.open),
            model.late_rows.set(walk.late),
            model.counters.set(dict(walk.counters.by_name)),
            _set_or_remove(model.first_sent_at, walk.counters.first_sent_at),
            _set_or_remove(model.last_sent_at, walk.counters.last_sent_at),
        ]
        if walk.lease_until is None:
            actions += given_back(model)
        else:
            actions += held(model, walk.owner, walk.lease_until)
        with translated("mailings"):
            try:
                model(_key(mailing_id), walk.shard).update(actions=actions, condition=condition)
            except UpdateError as error:
                if not was_refused(error):
                    raise
                return False
        return True

    def clear(self, mailing_id: str) -> None:
        """Remove the walks of an ended mailing."""
        with translated("mailings"):
            for row in self._model.query(_key(mailing_id), consistent_read=True):
                row.delete()


def _key(mailing_id: str) -> str:
    return f"{mailing_id}#walks"


def _set_or_remove(attribute: Any, value: datetime | None) -> Any:
    return attribute.remove() if value is None else attribute.set(value)


def _walk(row: MailingModel) -> Walk:
    kept = row.counters.attribute_values if row.counters else {}
    counters = MailingCounters(
        Counter({name: int(count) for name, count in kept.items()}), row.first_sent_at, row.last_sent_at
    )
    return Walk(
        shard=row.part,
        round=row.round or "",
        cursor=row.cursor or "",
        done=bool(row.done),
        open=int(row.open or 0),
        late=int(row.late_rows or 0),
        counters=counters,
        owner=row.owner or "",
        lease_until=row.lease_until,
        lap=int(row.lap or 0),
    )
