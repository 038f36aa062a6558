"""Settling: the ledger of a mailing is recounted, closed when it must be, and the mailing ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ..clock import SystemClock
from ..domain.clients import SHARDS
from ..domain.costs import write_units_of
from ..domain.errors import Unavailable
from ..domain.mailings import COUNTED, REDRIVING, Mailing, MailingState, MailingStatus
from ..domain.messages import Message, MessageStatus, Outcome
from ..domain.tallies import WRITES, Tally, counters_of
from ..observability import logger
from ..storage.activity import ActivityRepository
from ..storage.ledger import Ledger
from ..storage.mailings import MailingRepository
from .feeding import Feeder
from .measuring import measure_status

_STOP_BEFORE = timedelta(seconds=10)
_PAGE = 500
_REDRIVE = timedelta(minutes=2)  # after which one that has not ended never will


class Settler:
    """Compares counts with the ledger, which is the truth, and ends mailings."""

    def __init__(
        self,
        mailings: MailingRepository,
        ledger: Ledger,
        activity: ActivityRepository,
        feeder: Feeder,
        clock: SystemClock,
    ) -> None:
        self._mailings = mailings
        self._ledger = ledger
        self._activity = activity
        self._feeder = feeder
        self._clock = clock

    def settle(self, mailing_id: str, deadline: datetime, *, stalled: bool = False) -> None:
        """End a mailing whose ledger says that nothing is open.

        `stalled` says that its counts have not moved for longer than any sender lives: if rows are open even so, they
        are fed again.
        """
        state = self._mailings.state(mailing_id)
        mailing = state.mailing
        closing = closing_status(mailing, self._clock.now())
        if mailing.final or mailing.reopening or not state.statistics.dispatched:
            return
        if closing is not None:
            if not self._close(state, closing, deadline):
                return
        elif not stalled and not state.statistics.settled:
            return
        recount = self._ledger.recount(mailing_id)
        open_rows = sum(recount.counters[str(status)] for status in MessageStatus if not status.terminal)
        if not open_rows:
            self._end(mailing, recount)
        elif stalled and closing is None:
            logger.warning("mailing stalled, fed again", mailing_id=mailing_id, open=open_rows)
            self._feeder.restart(state)

    def _end(self, mailing: Mailing, recount: Tally) -> None:
        """Note the recount as the mailing's final counts: what senders have yet to add does not matter any more."""
        now = self._clock.now()
        status = mailing.status if mailing.status is MailingStatus.CANCELLED else MailingStatus.FINISHED
        counts = recount.by_status
        final = tuple((name, counts[name]) for name in COUNTED if counts[name])
        ended = replace(
            mailing,
            status=status,
            final=final or (("sent", 0),),
            finished_at=now,
            updated_at=now,
            revision=mailing.revision + 1,
            history=mailing.noted(status, now) if status is not mailing.status else mailing.history,
        )
        if self._mailings.end(mailing, ended, recount):
            if status is MailingStatus.CANCELLED:
                self._mailings.closed(mailing.mailing_id)
            logger.info("mailing ended", mailing_id=mailing.mailing_id, status=str(status), counts=dict(counts))

    def _close(self, state: MailingState, status: MessageStatus, deadline: datetime) -> bool:
        """Give every open row its final status; False where some are being sent this moment, or time is up."""
        complete = True
        for shard in SHARDS:
            after = ""
            while True:
                if self._clock.now() >= deadline - _STOP_BEFORE:
                    return False
                rows, after = self._ledger.page(state.mailing.mailing_id, shard, after, _PAGE)
                complete = self._close_rows([row for row in rows if not row.status.terminal], status) and complete
                if not after:
                    break
        return complete

    def _close_rows(self, rows: list[Message], status: MessageStatus) -> bool:
        now = self._clock.now()
        free = [row for row in rows if row.status is not MessageStatus.SENDING or _lease_is_over(row, now)]
        changes = [(row, _closed(row, status, now)) for row in free]
        applied = self._ledger.update(changes)
        counts: Counter[str] = Counter()
        for (old, new), done in zip(changes, applied, strict=True):
            if done:
                measure_status(new)
                counts.update(counters_of(new))
                counts.subtract(counters_of(old))
                counts[WRITES] += write_units_of(old, new)
        if changes:
            mailing_id = changes[0][0].mailing_id
            self._mailings.add_counts(mailing_id, counts, now)
            self._activity.add(counts, now)
            if any(applied):
                logger.info(
                    "messages closed", mailing_id=mailing_id, status=status.value, count=sum(map(bool, applied))
                )
        return len(free) == len(rows) and all(applied)

    # -- retrying what failed

    def reopen(self, mailing_id: str, deadline: datetime) -> None:
        """Put the failed (and, if asked, unknown) messages of a mailing back, then let it go on."""
        state = self._mailings.state(mailing_id)
        mailing = state.mailing
        now = self._clock.now()
        if not mailing.reopening or (REDRIVING in mailing.reopening and now - mailing.updated_at < _REDRIVE):
            return
        after = ""
        while True:
            if now >= deadline - _STOP_BEFORE:
                raise Unavailable("not all messages are put back yet")
            rows, after = self._ledger.trouble_page(mailing_id, after, _PAGE)
            wanted = [row for row in rows if row.status in mailing.reopening]
            put_back(self._mailings, self._ledger, mailing_id, wanted, now)
            now = self._clock.now()
            if not after:
                break
        done = replace(mailing, reopening=(), updated_at=now, revision=mailing.revision + 1)
        if self._mailings.change(mailing, done):
            self._feeder.restart(state)

    # -- removing

    def purge(self, mailing_id: str, deadline: datetime) -> None:
        """Remove the ledger and the parts of a deleted mailing; the tick has it done again until it is."""
        if not self._mailings.is_deleted(mailing_id):
            return
        for shard in SHARDS:
            while self._ledger.delete_page(mailing_id, shard):
                if self._clock.now() >= deadline - _STOP_BEFORE:
                    return
        self._mailings.purge(mailing_id)
        logger.info("mailing removed", mailing_id=mailing_id)


def closing_status(mailing: Mailing, now: datetime) -> MessageStatus | None:
    """The status that open rows get because the mailing sends no more; None where it does."""
    if mailing.status is MailingStatus.CANCELLED:
        return MessageStatus.CANCELLED
    if now >= mailing.end_at:
        return MessageStatus.EXPIRED
    return None


def put_back(
    mailings: MailingRepository, ledger: Ledger, mailing_id: str, rows: Sequence[Message], now: datetime
) -> int:
    """Queue failed messages again; their attempts stay and are forgiven. Answers how many were as they had been read.

    Counts first: should this stop in between, a message is counted as open that is not, rather than twice.
    """
    forgiven = [
        row.revised(now, status=MessageStatus.QUEUED, reason="put back by hand", forgiven=len(row.attempts))
        for row in rows
    ]
    if not rows:
        return 0
    counts = Counter({name: -count for name, count in _counters(rows).items()})
    counts[WRITES] = sum(map(write_units_of, rows, forgiven))
    mailings.add_counts(mailing_id, counts, now)
    applied = ledger.update(list(zip(rows, forgiven, strict=True)))
    logger.info("messages put back", mailing_id=mailing_id, count=sum(map(bool, applied)))
    missed = [row for row, done in zip(rows, applied, strict=True) if not done]
    if missed:
        mailings.add_counts(mailing_id, _counters(missed), now)
    return sum(map(bool, applied))


def _counters(rows: Sequence[Message]) -> Counter[str]:
    return Counter(name for row in rows for name in counters_of(row))


def _lease_is_over(row: Message, now: datetime) -> bool:
    return row.lease_until is None or row.lease_until < now


def _closed(row: Message, status: MessageStatus, now: datetime) -> Message:
    """The row as it ends without another attempt: what may have been sent is unknown, not expired or cancelled."""
    attempts = row.with_lost_attempt(now) if row.status is MessageStatus.SENDING else row.attempts
    reason = "the window closed first" if status is MessageStatus.EXPIRED else "the mailing was cancelled"
    if any(attempt.outcome is Outcome.UNKNOWN for attempt in attempts):
        status, reason = MessageStatus.UNKNOWN, attempts[-1].reason
    return row.revised(
        now, status=status, attempts=attempts, reason=reason, lease_until=None, retry_at=None, due_at=None
    )
