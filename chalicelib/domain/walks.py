"""Walks: a ledger gone through from its first row to its last, shard by shard, by as many invocations as it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from .client_ids import SHARDS
from .counters import Tally, counters_of
from .deadlines import is_over
from .deliveries import counted as counted_delivery
from .messages import Message
from .statuses import MessageStatus

WAITING = str(MessageStatus.WAITING)  # a counter


@dataclass(frozen=True, slots=True)
class Walk:
    """How far one shard has been gone through, and what was found on the way.

    A walk belongs to a `round`; whatever lets rows change that were counted already begins another one. In a round the
    shards with open rows are gone through again, lap by lap. `open` rows have no final status, `late` ones were expired
    by an end of the mailing that has been moved since. `owner` goes on with it until `lease_until`.
    """

    shard: str = ""
    round: str = ""
    cursor: str = ""
    done: bool = False
    open: int = 0
    late: int = 0
    tally: Tally = field(default_factory=Tally)
    owner: str = ""
    lease_until: datetime | None = None
    lap: int = 0

    @property
    def clean(self) -> bool:
        """Whether every row was seen and stays as it was counted."""
        return self.done and not self.open and not self.late

    def is_free(self, now: datetime, lease: timedelta) -> bool:
        """Whether nobody is at work here, or nobody who still lives: leases are taken for so long."""
        return is_over(self.lease_until, now, lease)

    def counted(self, rows: Iterable[Message]) -> Walk:
        """The walk with rows of a final status, or with open ones; those that wait have a counter, too."""
        counters, unfinished = Counter(self.tally.counters), 0
        sent = [at for at in (self.tally.first_sent_at, self.tally.last_sent_at) if at]
        for row in rows:
            if not row.status.terminal:
                unfinished += 1
                counters.update([WAITING] if row.status is MessageStatus.WAITING else [])
                continue
            counters.update(counters_of(row))
            if row.delivery:
                counters.update(counted_delivery(row))
            if row.sent_at:
                sent.append(row.sent_at)
        tally = Tally(counters, min(sent, default=None), max(sent, default=None))
        return replace(self, open=self.open + unfinished, tally=tally)


def next_lap(walks: Iterable[Walk]) -> int:
    """The lap that a round is in, of which these are the walks, or the next one if all shards are through with it."""
    walks = list(walks)
    lap = max((walk.lap for walk in walks), default=0)
    over = [walk for walk in walks if walk.clean or (walk.done and walk.lap == lap)]
    return lap + 1 if len(over) == len(SHARDS) else lap


def summed(walks: Iterable[Walk]) -> Walk:
    """All shards' walks as one."""
    walks = list(walks)
    counters: Counter[str] = Counter()
    for walk in walks:
        counters.update(walk.tally.counters)
    first = [walk.tally.first_sent_at for walk in walks if walk.tally.first_sent_at]
    last = [walk.tally.last_sent_at for walk in walks if walk.tally.last_sent_at]
    tally = Tally(counters, min(first, default=None), max(last, default=None))
    return Walk(
        done=all(walk.done for walk in walks),
        open=sum(walk.open for walk in walks),
        late=sum(walk.late for walk in walks),
        tally=tally,
    )
