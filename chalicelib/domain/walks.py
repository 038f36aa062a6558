"""Walks: reading a ledger from its first row to its last, shard by shard, in as many invocations as it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from .deadlines import is_over
from .deliveries import counted as counted_delivery
from .mailing_counters import MailingCounters, counters_of
from .messages import Message
from .statuses import MessageStatus

WAITING = str(MessageStatus.WAITING)  # a counter


@dataclass(frozen=True, slots=True)
class Walk:
    """How far one shard has been read, and what was found so far.

    A walk belongs to a `round`. A new round starts when rows that were counted already may change. In a round, shards
    with open rows are read again, lap by lap. `open` rows have no final status. `late` rows expired at an end of the
    mailing that was moved since. `owner` works on it until `lease_until`.
    """

    shard: str = ""
    round: str = ""
    cursor: str = ""
    done: bool = False
    open: int = 0
    late: int = 0
    counters: MailingCounters = field(default_factory=MailingCounters)
    owner: str = ""
    lease_until: datetime | None = None
    lap: int = 0

    @property
    def clean(self) -> bool:
        """Whether every row was read and will stay as it was counted."""
        return self.done and not self.open and not self.late

    def is_free(self, now: datetime, lease: timedelta) -> bool:
        """Whether nobody works on it now. `lease` is how long leases are taken for."""
        return is_over(self.lease_until, now, lease)

    def counted(self, rows: Iterable[Message]) -> Walk:
        """The walk after reading these rows. Waiting rows are open, and have a counter too."""
        by_name, unfinished = Counter(self.counters.by_name), 0
        sent = [at for at in (self.counters.first_sent_at, self.counters.last_sent_at) if at]
        for row in rows:
            if not row.status.terminal:
                unfinished += 1
                by_name.update([WAITING] if row.status is MessageStatus.WAITING else [])
                continue
            by_name.update(counters_of(row))
            if row.delivery:
                by_name.update(counted_delivery(row))
            if row.sent_at:
                sent.append(row.sent_at)
        counters = MailingCounters(by_name, min(sent, default=None), max(sent, default=None))
        return replace(self, open=self.open + unfinished, counters=counters)


def next_lap(walks: Iterable[Walk], shards: int) -> int:
    """The lap that a round with these walks is in, or the next one if all shards have finished it."""
    walks = list(walks)
    lap = max((walk.lap for walk in walks), default=0)
    over = [walk for walk in walks if walk.clean or (walk.done and walk.lap == lap)]
    return lap + 1 if len(over) == shards else lap


def summed(walks: Iterable[Walk]) -> Walk:
    """The walks of all shards added up."""
    walks = list(walks)
    by_name: Counter[str] = Counter()
    for walk in walks:
        by_name.update(walk.counters.by_name)
    first = [walk.counters.first_sent_at for walk in walks if walk.counters.first_sent_at]
    last = [walk.counters.last_sent_at for walk in walks if walk.counters.last_sent_at]
    counters = MailingCounters(by_name, min(first, default=None), max(last, default=None))
    return Walk(
        done=all(walk.done for walk in walks),
        open=sum(walk.open for walk in walks),
        late=sum(walk.late for walk in walks),
        counters=counters,
    )
