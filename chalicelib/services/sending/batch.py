"""A batch of the send queue while it is being delivered."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from ...domain.budgets import BudgetScope
from ...domain.mailing_counters import DOUBTS, HINTS, LOOKS, MILLISECONDS, WRITES, counters_of
from ...domain.mailings import Mailing
from ...domain.messages import Attempt, Message, MessageKey
from ...domain.reasons import Cause, Reason
from ...domain.sending_rules import Obstacle
from ...domain.statuses import MessageStatus
from ..message_metrics import measure_status


@dataclass(frozen=True, slots=True)
class Received:
    """One received hint. `item` identifies it in the answer to SQS."""

    item: str
    handle: str
    body: str
    receive_count: int = 1


@dataclass(slots=True)
class Job:
    """A message to deliver, with its row as it was last read or written; claiming fills in the rest step by step.

    `not_before` is its turn in its `paces`. `choices` are the gateways that it may go to, `gateway` is the one that it
    goes to now.
    """

    received: Received
    message: Message
    mailing: Mailing
    not_before: datetime | None = None
    paces: frozenset[str] = frozenset()
    choices: tuple[str, ...] = ()
    gateway: str = ""
    text: str = ""  # that this client gets, if clients get different ones
    kept: tuple[str, ...] | None = None  # its values, as they are kept
    parts: int = 0  # SMS parts of that text
    cost: Decimal = Decimal(0)  # that is reserved for it in each of its budgets
    scopes: tuple[BudgetScope, ...] = ()

    @property
    def words(self) -> str:
        """The text that is sent."""
        return self.text or self.mailing.text


Result = tuple[Job, Attempt | Obstacle]  # an attempt, or why none was made


def calls_of(done: Sequence[Result]) -> list[tuple[str, Attempt]]:
    """The calls among results with their messages' ids, in order; without look-ups, which send nothing."""
    return [
        (job.message.message_id, result)
        for job, result in done
        if isinstance(result, Attempt) and not result.is_look_up
    ]


@dataclass(slots=True)
class Batch:
    """What has come of a batch so far: what the steps of delivery leave for those after them.

    | what | left by | for |
    |---|---|---|
    | `kept` | every step | `Delivery`, which answers the queue at the end |
    | `dead` | `Claims`, `Outcomes.record` | `Outcomes.bury` |
    | `counts` | every step that writes rows | `Outcomes.count` |
    | `calls` | `Outcomes.record` | `Outcomes.count`, and the metrics |
    | `told` | `Claims.take`, `Outcomes.record` | the log, `batch_log.log_batch` |
    | `probed` | `Claims.take` | the calls, and what is learnt from their answers |
    | `unsure` | `Claims.take` | `Outcomes.release` |
    | `turned_away` | every step that writes rows | `TablePace.note` |
    """

    # By item: after how many seconds which of its messages must be seen again; None: when the queue shows the item
    # again.
    kept: dict[str, tuple[Received, dict[MessageKey | None, float | None]]] = field(default_factory=dict)
    # What no retry can help, with the cause; without key and cause if the item is not a hint.
    dead: list[tuple[Received, MessageKey | None, Cause | None]] = field(default_factory=list)
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    calls: list[Attempt] = field(default_factory=list)
    # Written rows with the attempt that they were written for, for the log.
    told: list[tuple[Message, Attempt | None]] = field(default_factory=list)
    probed: set[str] = field(default_factory=set)  # gateways with an open circuit that are probed
    # Claims that may or may not have been written: if they were, they must not look as if a call was made.
    unsure: list[Message] = field(default_factory=list)
    turned_away: int = 0  # writes for which the ledger was too busy

    def keep(self, received: Received, key: MessageKey | None, delay: float | None) -> None:
        """See a message again after a delay; without one, when the queue shows its item again."""
        self.kept.setdefault(received.item, (received, {}))[1][key] = delay

    def note_written(self, job: Job, new: Message, attempt: Attempt | None = None) -> None:
        """Note that a job's row was written, with its attempt if there was one; a claim is only counted."""
        self.count(job.message, new)
        if new.status is MessageStatus.SENDING:
            return
        self.told.append((new, attempt))
        if new.because(Reason.ATTEMPTS_USED_UP):
            self.dead.append((job.received, new.key, new.cause))

    def doubt(self, mailing_id: str) -> None:
        """Note a trace of a killed sender: what it wrote last may not be counted."""
        self.counts[mailing_id][DOUBTS] += 1

    def count(self, old: Message, new: Message) -> None:
        """Note that a row went from one status to another."""
        measure_status(new)
        for message, change in ((old, -1), (new, 1)):
            for name in counters_of(message):
                self.counts[new.mailing_id][name] += change

    def count_units(self, units: Counter[str]) -> None:
        """Note the units that writes to the ledger took, by mailing."""
        for mailing_id, count in units.items():
            self.counts[mailing_id][WRITES] += count

    def count_work(self, wanted: Mapping[MessageKey, Received], seconds: float) -> None:
        """Note the hints and how many messages they had, and divide the time among their mailings.

        Mailings without other counts are left out, because they may not exist any more.
        """
        looks = Counter(mailing_id for mailing_id, _ in wanted)
        hints = Counter(mailing_id for mailing_id, _ in {(key[0], one.item) for key, one in wanted.items()})
        for mailing_id, count in looks.items():
            if mailing_id in self.counts:
                self.counts[mailing_id][HINTS] += hints[mailing_id]
                self.counts[mailing_id][LOOKS] += count
                self.counts[mailing_id][MILLISECONDS] += round(1000 * seconds * count / len(wanted))
