"""A batch of the send queue while it is being delivered."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..domain.costs import write_units_of
from ..domain.mailings import Mailing
from ..domain.messages import Attempt, Message
from ..domain.tallies import HINTS, MILLISECONDS, WRITES, counters_of
from .measuring import measure_status


@dataclass(frozen=True, slots=True)
class Received:
    """One message of the send queue. `item` is what the answer to SQS names it by."""

    item: str
    handle: str
    body: str
    receive_count: int = 1


@dataclass(frozen=True, slots=True)
class Job:
    """A message to deliver, as its row was last read or written; `not_before` is its turn at the gateway's pace."""

    received: Received
    message: Message
    mailing: Mailing
    not_before: datetime | None = None


@dataclass(slots=True)
class Batch:
    """What has come of a batch so far. `kept` stays on the queue, to be seen again after so many seconds."""

    kept: dict[str, tuple[Received, float | None]] = field(default_factory=dict)
    dead: list[tuple[Received, str]] = field(default_factory=list)
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    attempts: list[tuple[str, Attempt]] = field(default_factory=list)  # with the message's id, in their order
    # Rows as they were written, with the attempt that they were written for, for the log.
    told: list[tuple[Message, Attempt | None]] = field(default_factory=list)
    probed: bool = False

    def keep(self, received: Received, delay: float | None) -> None:
        """Leave it on the queue; without a delay for as long as the queue hides what it has given out."""
        self.kept[received.item] = (received, delay)

    def count(self, old: Message, new: Message) -> None:
        """Note that a row went from one status to another."""
        measure_status(new)
        for message, change in ((old, -1), (new, 1)):
            for name in counters_of(message):
                self.counts[new.mailing_id][name] += change
        self.counts[new.mailing_id][WRITES] += write_units_of(old, new)

    def count_work(self, mailings: Sequence[str], seconds: float) -> None:
        """Note the hints, of which these mailings had one each time that they are named, and share the time among them.

        Of mailings of which nothing was counted there may be no row any more.
        """
        for mailing_id, hints in Counter(mailings).items():
            if mailing_id in self.counts:
                self.counts[mailing_id][HINTS] += hints
                self.counts[mailing_id][MILLISECONDS] += round(1000 * seconds * hints / len(mailings))
