"""Requeueing: ended messages become open again, in the ledger and in the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from ..domain.errors import Unavailable
from ..domain.mailing_counters import WRITES, counters_of
from ..domain.messages import Message
from ..domain.reasons import Cause, Reason
from ..domain.statuses import MessageStatus
from ..observability import logger
from ..storage.activity import ActivityRepository
from ..storage.ledger import Ledger
from ..storage.mailings import MailingRepository

Change = tuple[Message, Message]


def requeued(row: Message, now: datetime) -> Message:
    """A failed message, queued again: its attempts so far do not count against the limit any more."""
    return row.revised(
        now, status=MessageStatus.QUEUED, cause=Cause(Reason.PUT_BACK), forgiven=len(row.attempts), ask=False
    )


def put_back(
    mailings: MailingRepository, ledger: Ledger, activity: ActivityRepository, changes: Sequence[Change], now: datetime
) -> int:
    """Replace ended messages (first of each pair) by open ones (second).

    Returns how many had not changed since they were read.

    The counts are written first: if this stops in between, a message counts as open although it is not, but none counts
    twice.
    """
    if not changes:
        return 0
    mailing_id = changes[0][0].mailing_id
    counts = _moved(changes)
    mailings.add_counts(mailing_id, counts, now)
    applied = ledger.update(changes)
    done = sum(map(bool, applied.written))
    logger.info("messages retried", mailing_id=mailing_id, count=done)
    missed = [change for change, ours in zip(changes, applied.written, strict=True) if not ours]
    undone = Counter({name: -count for name, count in _moved(missed).items()})
    undone[WRITES] = applied.units[mailing_id]
    mailings.add_counts(mailing_id, undone, now)
    ours = [old for (old, _), written in zip(changes, applied.written, strict=True) if written]
    try:
        activity.take_back([(old.updated_at, str(old.status)) for old in ours], now)
    except Unavailable as error:
        logger.warning("activity not counted", error=str(error), count=done)
    return done


def _moved(changes: Sequence[Change]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for old, new in changes:
        counts.update(counters_of(new))
        counts.subtract(counters_of(old))
    return counts
