"""The shards of a mailing: their leases, and how far dispatch has come in each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pynamodb.exceptions import UpdateError
from pynamodb.expressions.operand import Path

from ..domain.client_ids import SHARDS
from ..domain.mailings import ShardProgress, Sleep
from .dynamodb import translated, was_refused
from .leases import given_back, held, is_free
from .mailing_rows import shard_part
from .tables import Tables


class MailingShards:
    """The shards of mailings in DynamoDB. Every write is conditional on the lease, or on the cursor that was read."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.mailings

    def acquire(self, mailing_id: str, shard: ShardProgress, owner: str, now: datetime, until: datetime) -> bool:
        """Take a shard's lease until a time. Returns False if another owner has it."""
        free = is_free(self._model, now, until, owner)
        return self._update_shard(mailing_id, shard.shard, free, held(self._model, owner, until))

    def advance(
        self, mailing_id: str, old: ShardProgress, new: ShardProgress, now: datetime, settled: Counter[str]
    ) -> bool:
        """Move the cursor of a shard and renew its lease. Returns False if the lease was lost or the cursor was moved.

        The lease is released if the shard is expanded. `settled` counts rows to which dispatch itself gave a final
        status, such as skipped.
        """
        model = self._model
        condition = (model.owner == old.owner) & (model.cursor == old.cursor) & (model.expanded == old.expanded)
        actions: list[Any] = [
            model.cursor.set(new.cursor),
            model.expanded.set(new.expanded),
            model.rows.set(new.rows),
            model.fed.set(new.fed),
            model.updated_at.set(now),
        ]
        actions += given_back(model) if new.expanded else [model.lease_until.set(new.lease_until or now)]
        actions += [Path([name]).add(count) for name, count in settled.items() if count]
        if old.taken_over:  # then all of its rows get hints again
            actions.append(model.feed_round.add(1))
        return self._update_shard(mailing_id, old.shard, condition, actions)

    def advance_feed(self, mailing_id: str, old: ShardProgress, new: ShardProgress) -> bool:
        """Move the feed cursor of a shard. Returns False if it was moved, or the feed was restarted."""
        model = self._model
        condition = (model.feed_cursor == old.feed_cursor) & (model.feed_round == old.feed_round)
        actions = [model.feed_cursor.set(new.feed_cursor), model.fed.set(new.fed)]
        return self._update_shard(mailing_id, old.shard, condition, actions)

    def release(self, mailing_id: str, shard: str, owner: str) -> None:
        """Release a lease. Does nothing if another owner has it."""
        self._update_shard(
            mailing_id,
            shard,
            self._model.owner == owner,
            given_back(self._model),
        )

    def give_up(self, mailing_id: str, shard: str, owner: str, now: datetime) -> None:
        """End a lease early but keep its owner, so that the next dispatcher knows that a page was not finished."""
        self._update_shard(
            mailing_id,
            shard,
            self._model.owner == owner,
            [self._model.lease_until.set(now - timedelta(milliseconds=1))],
        )

    def restart_feed(self, mailing_id: str, old: ShardProgress) -> bool:
        """Restart the feed of a shard, so that every open row gets a hint again.

        Returns False if its feed has moved on.
        """
        condition = (self._model.feed_cursor == old.feed_cursor) & (self._model.feed_round == old.feed_round)
        actions = [
            self._model.feed_cursor.set(""),
            self._model.fed.set(False),
            self._model.feed_round.set(old.feed_round + 1),
        ]
        return self._update_shard(mailing_id, old.shard, condition, actions)

    def note_sleep(self, mailing_id: str, sleep: Sleep) -> None:
        """Save what a look at the waiting messages found. Does nothing if the mailing does not exist any more."""
        due_at = self._model.due_at.set(sleep.due_at) if sleep.due_at else self._model.due_at.remove()
        actions = [self._model.looked_at.set(sleep.looked_at), due_at]
        self._update_shard(mailing_id, SHARDS[0], self._model.part.exists(), actions)

    def forget_sleep(self, mailing_id: str, now: datetime) -> None:
        """Let the waiting messages be looked for again, because some were moved before now.

        What another dispatcher has looked for meanwhile does not count either, even if it is saved after this.
        """
        actions = [self._model.looked_at.remove(), self._model.updated_at.set(now)]
        self._update_shard(mailing_id, SHARDS[0], self._model.part.exists(), actions)

    def _update_shard(self, mailing_id: str, shard: str, condition: Any, actions: Sequence[Any]) -> bool:
        exists = self._model.part.exists()
        with translated("mailings"):
            try:
                self._model(mailing_id, shard_part(shard)).update(actions=list(actions), condition=exists & condition)
            except UpdateError as error:
                if not was_refused(error):
                    raise
                return False
        return True
