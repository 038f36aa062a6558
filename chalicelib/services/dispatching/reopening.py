"""Reopening: puts back ended messages, for a retry or because their mailing's end was moved."""

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
REDRIVE = timedelta(minutes=2)  # after which a redrive that has not ended never will
_PAGE = 500
_TROUBLE = "trouble"  # used instead of a shard for the walk through the index of failed messages
# An invocation that was closing rows when the end was moved reads the mailing before its next page. After this time
# there are no more such rows.
_SETTLED_AFTER = timedelta(seconds=30)
_LATE = timedelta(minutes=2)  # so long after the end was moved, an invocation from before may still write


class Reopener:
    """Puts back the messages that Mailing.reopening names. Until that is done, the mailing does not end."""

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
        """Put back the messages that a mailing's mark names, then remove the mark. Repeated until it is done."""
        state = self._mailings.state(unit.mailing_id)
        mailing, now = state.mailing, self._clock.now()
        if mailing.final or not mailing.reopening:
            return
        unit = replace(unit, shard=unit.shard.removeprefix(_TROUBLE))
        if closing_status(mailing, now) is not None:
            self._walker.send(replace(unit, kind=UnitKind.COMPLETE), "")  # nothing more will be sent
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
            self._walker.send(unit, "")  # for other marks that there may be

    def _put_back_expired(self, state: MailingState, unit: Unit, deadline: datetime) -> None:
        """Put back expired messages; twice if the end was just moved, because others may still be closing rows."""
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
    """The reopened row of a message that expired at an earlier end of its mailing.

    None if that is not why it ended, or if it still could not be sent in time.
    """
    if row.status is not MessageStatus.EXPIRED or now >= mailing.end_at:
        return None
    changes = deferral(mailing, row, now)
    if changes.get("status") is MessageStatus.EXPIRED:
        return None
    return row.revised(now, **{"status": MessageStatus.QUEUED, "cause": Cause(Reason.END_MOVED), **changes})


def is_late(mailing: Mailing, row: Message, now: datetime) -> bool:
    """Whether the row was expired by an invocation that did not know yet that the end was moved."""
    if mailing.widened_at is None or row.updated_at > mailing.widened_at + _LATE:
        return False
    return revived(mailing, row, now) is not None
