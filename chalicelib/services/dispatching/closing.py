"""Closing: gives open messages their final status when their mailing sends no more."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.deadlines import is_over
from ...domain.mailing_counters import WRITES, counters_of
from ...domain.messages import Message, taken
from ...domain.reasons import Cause, Reason
from ...domain.statuses import MessageStatus
from ...observability import logger
from ...storage.activity import ActivityRepository
from ...storage.ledger import Ledger
from ...storage.mailings import MailingRepository
from ..message_metrics import measure_status


class Closer:
    """Gives open rows their final status, and counts them."""

    def __init__(
        self,
        mailings: MailingRepository,
        ledger: Ledger,
        activity: ActivityRepository,
        claim_lease: timedelta,
        clock: SystemClock,
    ) -> None:
        self._mailings = mailings
        self._ledger = ledger
        self._activity = activity
        self._claim_lease = claim_lease
        self._clock = clock

    def close(self, rows: Sequence[Message], status: MessageStatus) -> list[Message]:
        """Close rows of a mailing. Returns them as they are afterwards; open ones are in the hands of a sender."""
        now = self._clock.now()
        free = [row for row in rows if not row.status.terminal and not self._is_in_hand(row, now)]
        if not free:
            return list(rows)
        # Two invocations that close the same rows would write the same: each must know which writes are its own.
        mark = secrets.token_hex(8)
        changes = [(row, replace(_closed(row, status, now), claim=mark)) for row in free]
        applied = self._ledger.update(changes)
        done = [change for change, ours in zip(changes, applied.written, strict=True) if ours]
        self._count(done, status, applied.units.total(), now)
        closed = {new.client_id: new for _, new in done}
        return [closed.get(row.client_id, row) for row in rows]

    def _is_in_hand(self, row: Message, now: datetime) -> bool:
        return row.status is MessageStatus.SENDING and not is_over(row.lease_until, now, self._claim_lease)

    def _count(self, done: Sequence[tuple[Message, Message]], status: MessageStatus, units: int, now: datetime) -> None:
        if not done:
            return
        counts = Counter({WRITES: units})
        for old, new in done:
            measure_status(new)
            counts.update(counters_of(new))
            counts.subtract(counters_of(old))
        mailing_id = done[0][0].mailing_id
        self._mailings.add_counts(mailing_id, counts, now)
        self._activity.add(counts, now)
        logger.info("messages closed", mailing_id=mailing_id, status=status.value, count=len(done))


def _closed(row: Message, status: MessageStatus, now: datetime) -> Message:
    """The row with its final status, without another attempt. If it may have been sent, it is unknown."""
    attempts = row.with_lost_attempt(now) if row.status is MessageStatus.SENDING else row.attempts
    expired = status is MessageStatus.EXPIRED
    cause: Cause | None = Cause(Reason.WINDOW_CLOSED if expired else Reason.MAILING_CANCELLED)
    if taken(attempts):
        status, cause = MessageStatus.UNKNOWN, attempts[-1].cause
    ends = {"lease_until": None, "retry_at": None, "due_at": None, "ask": False}
    return row.revised(now, status=status, attempts=attempts, cause=cause, **ends)
