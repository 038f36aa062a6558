"""The receiver: writes receipts from the receipt queue into the ledger, many with one write, and counts them.

A receipt may come twice, out of order, or before the sender has recorded its call. The ledger is written first and
counted afterwards. If the receiver stops in between, the queue shows the receipts again; they change nothing then, and
the mailing is counted again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.call_totals import CallTotals
from ...domain.deliveries import Receipt, counted
from ...domain.errors import NotFound, ServiceError, Unavailable
from ...domain.mailing_counters import WRITES, counters_of
from ...domain.messages import Message, MessageKey, parse_message_id
from ...domain.receiving import DROPPED, ReceiptResult, apply_receipt
from ...domain.replies import Inbound
from ...domain.statuses import TERMINAL
from ...observability import (
    DELIVERY_LAG,
    MESSAGES_DELIVERED,
    MESSAGES_UNDELIVERED,
    RECEIPTS_DROPPED,
    RECEIPTS_RECEIVED,
    logger,
    measure,
)
from ...queues import Queue, Unit, UnitKind
from ...storage.activity import ActivityRepository
from ...storage.call_totals import CallTotalsRepository
from ...storage.ledger import Ledger, Written
from ...storage.mailings import MailingRepository
from ..message_metrics import measure_status
from .numbers import Numbers
from .reader import Reader, again
from .received import ReceiptItem
from .replies import ReplyKeeper

_ROUNDS = 5  # of reading and writing again what others changed meanwhile
_AGAIN_AFTER = (5, 15, 60, 300, 900)  # seconds; by then an abandoned claim is over
_RECOUNT_AFTER = 60.0  # seconds; until then more receipts come
_RECOUNT_EVERY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _Told:
    """A receipt, how often it came too early so far, and its item."""

    receipt: Receipt
    seen: int
    item: ReceiptItem


@dataclass(slots=True)
class _Batch:
    """The results of a batch so far."""

    failed: set[str] = field(default_factory=set)
    early: list[_Told] = field(default_factory=list)
    results: Counter[ReceiptResult] = field(default_factory=Counter)
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    in_doubt: set[str] = field(default_factory=set)
    numbers: dict[MessageKey, tuple[Message, list[_Told]]] = field(default_factory=dict)  # what is said of them
    over: list[tuple[datetime, str]] = field(default_factory=list)  # earlier statuses of messages, and since when
    words: Counter[bool] = field(default_factory=Counter)  # how many were delivered, and how many not


class Receiver:
    """Applies receipts. One object may be used by several invocations at once."""

    def __init__(
        self,
        reader: Reader,
        numbers: Numbers,
        replies: ReplyKeeper,
        mailings: MailingRepository,
        ledger: Ledger,
        activity: ActivityRepository,
        calls: CallTotalsRepository,
        receipt_queue: Queue,
        dispatch_queue: Queue,
        clock: SystemClock,
    ) -> None:
        self._reader = reader
        self._numbers = numbers
        self._replies = replies
        self._mailings = mailings
        self._ledger = ledger
        self._activity = activity
        self._calls = calls
        self._receipt_queue = receipt_queue
        self._dispatch_queue = dispatch_queue
        self._clock = clock
        self._recounted_at: dict[str, datetime] = {}

    def receive(self, items: Sequence[ReceiptItem], deadline: datetime) -> list[str]:
        """Apply the receipts of a batch. Returns the items that must stay on the queue."""
        batch = _Batch()
        waiting: defaultdict[MessageKey, list[_Told]] = defaultdict(list)
        replies: list[tuple[Inbound, ReceiptItem]] = []
        for item in items:
            read = self._reader.read(item)
            batch.results[ReceiptResult.UNREADABLE] += not (read.receipts or read.replies)
            replies += [(reply, item) for reply in read.replies]
            for receipt, seen in read.receipts:
                try:
                    waiting[parse_message_id(receipt.message_id)].append(_Told(receipt, seen, item))
                except NotFound:
                    batch.results[ReceiptResult.NO_MESSAGE] += 1
        for _ in range(_ROUNDS):
            if not waiting or self._clock.now() >= deadline:
                break
            try:
                waiting = self._round(waiting, batch)
            except Unavailable as error:
                logger.warning("receipts not applied, will be retried", error=str(error), count=len(waiting))
                break
        batch.failed |= {told.item.item for pairs in waiting.values() for told in pairs}
        for message in self._numbers.note([message for message, _ in batch.numbers.values()]):
            batch.failed |= {told.item.item for told in batch.numbers[message.key][1]}
        self._see_again(batch)
        self._count(batch)
        batch.failed |= self._replies.keep(replies, deadline)
        _measure(batch)
        return sorted(batch.failed)

    def _round(self, waiting: Mapping[MessageKey, list[_Told]], batch: _Batch) -> defaultdict[MessageKey, list[_Told]]:
        """Read, decide and write once. Returns the receipts whose rows others changed meanwhile."""
        now = self._clock.now()
        rows = self._ledger.read(waiting)
        changes: list[tuple[Message, Message]] = []
        results: dict[MessageKey, list[tuple[ReceiptResult, _Told]]] = {}
        for key, pairs in waiting.items():
            row = rows.get(key)
            new, results[key] = _apply_all(row, pairs, now)
            if row is not None and new is not None and new is not row:
                changes.append((row, new))
        applied = self._ledger.update(changes)
        left: defaultdict[MessageKey, list[_Told]] = defaultdict(list)
        for (old, new), ours in zip(changes, applied.written, strict=True):
            pairs = waiting[new.key]
            if ours:
                self._note(old, new, batch)
                if _is_of_number(old, new):
                    batch.numbers[new.key] = (new, pairs)
                continue
            if ours is Written.REFUSED:
                left[new.key] = pairs
            else:
                batch.failed |= {told.item.item for told in pairs}
            del results[new.key]
        for mailing_id, units in applied.units.items():
            batch.counts[mailing_id][WRITES] += units
        for key, pairs_of_key in results.items():
            for result, told in pairs_of_key:
                batch.results[result] += 1
                if result is ReceiptResult.EARLY:
                    batch.early.append(told)
                # An earlier receiver may not have counted it.
                if result is ReceiptResult.KNOWN and told.item.receive_count > 1:
                    batch.in_doubt.add(key[0])
                    if _is_of_number(rows[key], rows[key]):
                        batch.numbers.setdefault(key, (rows[key], waiting[key]))
        return left

    def _note(self, old: Message, new: Message, batch: _Batch) -> None:
        """Note what a written row changes in the counts."""
        counts = batch.counts[new.mailing_id]
        for message, sign in ((old, -1), (new, 1)):
            if message.delivery is not None:
                for name, count in counted(message).items():
                    counts[name] += sign * count
        if new.status is not old.status:  # the mailing may have ended with other final counts
            measure_status(new)
            batch.over.append((old.updated_at, str(old.status)))
            counts.subtract(counters_of(old))
            counts.update(counters_of(new))
            batch.in_doubt.add(new.mailing_id)
        delivery = new.delivery
        if delivery is not None and delivery != old.delivery:
            batch.words[delivery.delivered] += 1
            measure(MESSAGES_DELIVERED if delivery.delivered else MESSAGES_UNDELIVERED)
            if delivery.delivered and new.sent_at:
                measure(DELIVERY_LAG, max(0, (delivery.at - new.sent_at) // timedelta(milliseconds=1)))

    def _see_again(self, batch: _Batch) -> None:
        """Put back receipts of messages that senders still work on; after several times they are dropped."""
        bodies = [
            (again(told.receipt, told.seen + 1), _AGAIN_AFTER[told.seen])
            for told in batch.early
            if told.seen < len(_AGAIN_AFTER)
        ]
        try:
            self._receipt_queue.send_each(bodies)
        except Unavailable as error:
            logger.warning("early receipts not put back", error=str(error), count=len(bodies))

    def _count(self, batch: _Batch) -> None:
        now = self._clock.now()
        ended: Counter[str] = Counter()
        for mailing_id, changes in batch.counts.items():
            try:
                self._mailings.add_counts(mailing_id, changes, now)
            except ServiceError as error:
                logger.warning("receipts not counted", mailing_id=mailing_id, error=str(error))
                batch.in_doubt.add(mailing_id)
            ended.update({status: changes[status] for status in TERMINAL if changes[status] > 0})
        totals = CallTotals.of_receipts(batch.words[True], batch.words[False])
        try:
            if totals.counters:
                self._calls.add(totals)
            self._activity.add(ended, now)
            self._activity.take_back(batch.over, now)
        except ServiceError as error:
            logger.warning("activity not counted", error=str(error))
        self._have_recounted(batch.in_doubt, now)

    def _have_recounted(self, mailing_ids: Iterable[str], now: datetime) -> None:
        self._recounted_at = {one: at for one, at in self._recounted_at.items() if now - at < _RECOUNT_EVERY}
        wanted = sorted(set(mailing_ids) - set(self._recounted_at))
        self._recounted_at |= dict.fromkeys(wanted, now)
        try:
            units = [(Unit(UnitKind.RECEIPTS, mailing_id).body(), _RECOUNT_AFTER) for mailing_id in wanted]
            self._dispatch_queue.send_each(units)
        except Unavailable as error:
            logger.warning("mailings not recounted", error=str(error), count=len(wanted))


def _is_of_number(old: Message, new: Message) -> bool:
    """Whether a change says that the number cannot be reached, or that it can be reached after all."""
    was_lost = old.delivery is not None and old.delivery.permanent
    return new.delivery is not None and (new.delivery.permanent or (was_lost and new.delivery.delivered))


def _apply_all(
    row: Message | None, pairs: Sequence[_Told], now: datetime
) -> tuple[Message | None, list[tuple[ReceiptResult, _Told]]]:
    """The row after all receipts about it, and the result of each."""
    results: list[tuple[ReceiptResult, _Told]] = []
    for told in pairs:
        if row is None:
            results.append((ReceiptResult.NO_MESSAGE, told))
            continue
        # All are one change of the row, because only the first receipt can change the status.
        result, row = apply_receipt(row, told.receipt, now)
        results.append((result, told))
    return row, results


def _measure(batch: _Batch) -> None:
    if total := batch.results.total():
        measure(RECEIPTS_RECEIVED, total)
    dropped = {result: batch.results[result] for result in DROPPED if batch.results[result]}
    for result, count in dropped.items():
        measure(RECEIPTS_DROPPED, count, of=str(result))
    if dropped:
        logger.warning("receipts dropped", extra={str(result): count for result, count in dropped.items()})
