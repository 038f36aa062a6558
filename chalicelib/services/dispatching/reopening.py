"""Putting back: ended messages that are to be sent after all, for a retry or since their mailing's end was moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.mailings import REDRIVING, Mailing, MailingState
from ...domain.messages import Message
from ...domain.reasons import Cause, Reason
from ...domain.sending_rules import closing_status, deferral
from ...domain.statuses import IN_TROUBLE, MessageStatus
from ...domain.walks import Walk
from ...queues import Unit, UnitKind
from ...storage.activity import ActivityRepository
from ...storage.ledger import Ledger
from ...storage.mailings import MailingRepository
from ..dead_letters import DeadLetters
from ..requeueing import put_back, requeued
from .feeder import Feeder
from .ledger_walks import Walker

EXPIRED = str(MessageStatus.EXPIRED)  # in Mailing.reopening
REDRIVE = timedelta(minutes=2)  # after which one that has not ended never will
_PAGE = 500
_TROUBLE = "trouble"  # the walk through the index of what failed, in the place of a shard
# Who was closing rows when the end was moved looks again before the next page. What is found after this is final.
_SETTLED_AFTER = timedelta(seconds=30)
_LATE = timedelta(minutes=2)  # after the end was moved, an invocation that began before it may still write


class Reopener:
    """What stands in Mailing.reopening is put back; until it is, the mailing does not end by itself."""

    def __init__(
        self,
        mailings: MailingRepository,
        ledger: Ledger,
        activity: ActivityRepository,
        letters: DeadLetters,
        walker: Walker,
        feeder: Feeder,
        clock: SystemClock,
    ) -> None:
        self._mailings = mailings
        self._ledger = ledger
        self._activity = activity
        self._letters = letters
        self._walker = walker
        self._feeder = feeder
        self._clock = clock

    def reopen(self, unit: Unit, deadline: datetime) -> None:
        """Put back what a mailing is marked with, then let it go on; again and again until it is done."""
        state = self._mailings.state(unit.mailing_id)
        mailing, now = state.mailing, self._clock.now()
        if mailing.final or not mailing.reopening:
            return
        unit = replace(unit, shard=unit.shard.removeprefix(_TROUBLE))
        if closing_status(mailing, now) is not None:
            self._walker.send(replace(unit, kind=UnitKind.COMPLETE), "")  # nothing is sent any more
        elif failed := [status for status in mailing.reopening if status in IN_TROUBLE]:
            self._put_back_failed(state, unit, failed, deadline)
        elif EXPIRED in mailing.reopening:
            self._put_back_expired(state, unit, deadline)
        elif now - mailing.updated_at >= REDRIVE and self._unmark(mailing, [REDRIVING] * len(mailing.reopening)):
            self._feeder.restart(state)

    def _put_back_failed(self, state: MailingState, unit: Unit, statuses: list[str], deadline: datetime) -> None:
        mailing = state.mailing
        name = f"{mailing.revision} failed"

        def step(current: Mailing, walk: Walk) -> Walk:
            now = self._clock.now()
            if closing_status(current, now) is not None:
                return replace(walk, done=True)
            rows, after = self._ledger.trouble_page(current.mailing_id, walk.cursor, _PAGE)
            changes = [(row, requeued(row, now)) for row in rows if row.status in statuses]
            put_back(self._mailings, self._ledger, self._activity, changes, now)
            return replace(walk, cursor=after, done=not after)

        about = replace(unit, shard=_TROUBLE, lap=0)
        if not (
            self._walker.shard(mailing, about, name, step, deadline)
            or self._walker.is_done(mailing.mailing_id, _TROUBLE, name)
        ):
            return
        self._letters.settle(mailing.mailing_id)
        if self._unmark(mailing, statuses):
            self._feeder.restart(state)
            self._walker.send(unit, "")  # for what else there may be

    def _put_back_expired(self, state: MailingState, unit: Unit, deadline: datetime) -> None:
        """Twice if it is asked for at once: what was closing rows when the end was moved may have written more."""
        mailing, now = state.mailing, self._clock.now()
        if not state.statistics.dispatched:
            return  # the tick comes again
        ripe = mailing.widened_at is None or now >= mailing.widened_at + _SETTLED_AFTER
        if state.statistics.by_status[EXPIRED] > 0:
            name = f"{mailing.revision} expired, {'for good' if ripe else 'first'}"
            if self._walker.in_units(mailing, unit, name, self._put_back_page, deadline) is None:
                return
        if not ripe or self._unmark(mailing, [EXPIRED]):
            self._feeder.restart(state)
        if not ripe:
            self._walker.send(unit, "", delay=_SETTLED_AFTER.total_seconds())

    def _put_back_page(self, mailing: Mailing, walk: Walk) -> Walk:
        now = self._clock.now()
        rows, after = self._ledger.page(mailing.mailing_id, walk.shard, walk.cursor, _PAGE)
        changes = [(row, new) for row in rows if (new := revived(mailing, row, now))]
        put_back(self._mailings, self._ledger, self._activity, changes, now)
        return replace(walk, cursor=after, done=not after)

    def _unmark(self, mailing: Mailing, statuses: Sequence[str]) -> bool:
        left = Counter(mailing.reopening)
        left.subtract(statuses)
        now = self._clock.now()
        done = replace(mailing, reopening=tuple(left.elements()), updated_at=now, revision=mailing.revision + 1)
        if not self._mailings.change(mailing, done):
            return False
        if not done.reopening:
            self._walker.clear(mailing.mailing_id)
        return True


def revived(mailing: Mailing, row: Message, now: datetime) -> Message | None:
    """The row of a message that expired by an end which lies ahead now; None if that is not why it ended, or it would
    still not be sent in time.
    """
    if row.status is not MessageStatus.EXPIRED or now >= mailing.end_at:
        return None
    changes = deferral(mailing, row, now)
    if changes.get("status") is MessageStatus.EXPIRED:
        return None
    return row.revised(now, **{"status": MessageStatus.QUEUED, "cause": Cause(Reason.END_MOVED), **changes})


def is_late(mailing: Mailing, row: Message, now: datetime) -> bool:
    """Whether somebody who did not know yet that the end was moved has expired the row."""
    if mailing.widened_at is None or row.updated_at > mailing.widened_at + _LATE:
        return False
    return revived(mailing, row, now) is not None
