"""The running counters of mailings: divided into parts so that senders do not conflict; each addition counts once."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pynamodb.exceptions import UpdateError
from pynamodb.expressions.operand import Path

from ..domain.client_ids import SHARDS
from ..domain.deliveries import is_of_delivery
from ..domain.mailing_counters import WORK, lately_of
from ..domain.mailings import MailingState
from .dynamodb import translated, was_refused
from .mailing_rows import final_counters_of, running_counters_of, shard_part
from .models import MailingModel
from .tables import Tables


class Mark(NamedTuple):
    """What one addition leaves in the counts of a mailing: its writer's own attribute, and what stands there."""

    writer: str
    number: str


class MailingCounterRepository:
    """The counters in STATS#nn, named as in domain.mailing_counters."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.mailings
        self._writer = threading.local()

    def add(self, mailing_id: str, changes: Counter[str], now: datetime, mark: Mark | None = None) -> None:
        """Add to the counters, once, even if an answer is lost and botocore repeats the call.

        A thread that adds for another one has the mark of that: a mailing's counts have an attribute for each writer.
        """
        model = self._model
        sent = [model.first_sent_at.set(model.first_sent_at | now), model.last_sent_at.set(now)]
        lately, old = lately_of(changes, now)
        also = [*(sent if changes["sent"] > 0 else []), *(Path([name]).remove() for name in old)]
        self._add(mailing_id, Counter({**changes, **lately}), now, also, mark)

    def align(self, state: MailingState, rows: Sequence[MailingModel], now: datetime) -> None:
        """Set the running counters of an ended mailing to its final ones. `rows` are the mailing's parts."""
        mailing_id = state.mailing.mailing_id
        final = final_counters_of(rows).by_name
        final.subtract(running_counters_of(rows).by_name)
        self._add(mailing_id, final, now)
        excess = sum(shard.rows for shard in state.shards.values()) - state.statistics.total
        if excess:
            with translated("mailings"):
                self._model(mailing_id, shard_part(SHARDS[0])).update(actions=[self._model.rows.add(-excess)])

    def _add(
        self,
        mailing_id: str,
        changes: Counter[str],
        now: datetime,
        also: Sequence[Any] = (),
        mark: Mark | None = None,
    ) -> None:
        actions: list[Any] = [Path([name]).add(change) for name, change in changes.items() if change]
        if not actions:
            return
        mark = mark or self.mark()
        latest = Path(f"by_{mark.writer}")
        condition = latest.does_not_exist() | (latest != mark.number)
        actions += [latest.set(mark.number), *also]
        if any(change and name not in WORK and not is_of_delivery(name) for name, change in changes.items()):
            actions.append(self._model.updated_at.set(now))  # work that changes no status is not progress
        part = f"STATS#{int(mark.writer, 16) % len(SHARDS):02d}"
        with translated("mailings"):
            try:
                self._model(mailing_id, part).update(actions=actions, condition=condition)
            except UpdateError as error:
                if not was_refused(error):
                    raise

    def mark(self) -> Mark:
        """The mark of this thread's next addition.

        Each writer always uses the same part.
        """
        writer = self._writer
        if not hasattr(writer, "name"):
            writer.name = secrets.token_hex(4)
            writer.numbers = itertools.count(1)
        return Mark(writer.name, str(next(writer.numbers)))
