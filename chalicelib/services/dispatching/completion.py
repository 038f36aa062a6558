"""Completion: recounts the ledger of a mailing, closes open rows if necessary, and ends the mailing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.client_ids import SHARDS
from ...domain.gateway_control import OPEN_FOR
from ...domain.mailing_counters import DOUBTS, MailingCounters
from ...domain.mailings import REDRIVING, Mailing, MailingState
from ...domain.recounts import RECOUNT_AFTER, is_quiet, may_be_over
from ...domain.sending_rules import closing_status
from ...domain.statuses import COUNTED, MailingStatus
from ...domain.stops import Span, kept
from ...domain.walks import WAITING, Walk
from ...observability import logger
from ...queues import Unit, UnitKind
from ...storage.activity import ActivityRepository
from ...storage.ledger import Ledger
from ...storage.mailings import MailingRepository
from ...storage.recipients import RecipientRepository
from ..gateways import Gateways
from .closing import Closer
from .feeder import Feeder
from .ledger_walks import Walker
from .reopening import EXPIRED, REDRIVE, is_late

AT_ONCE = 20_000  # rows that one invocation closes and counts; if there are more, each shard gets a unit
_STOP_BEFORE = timedelta(seconds=10)
_EARLY = timedelta(seconds=1)
_PAGE = 500
_RECEIPTS_AFTER = 300  # seconds, after which most receipts have come
_LOOK_AFTER = (1, 1, 2, 4, 8)  # seconds between looks at rows that senders are working on


class Completion:
    """Compares counts with the ledger, which is the truth, and ends mailings."""

    def __init__(
        self,
        mailings: MailingRepository,
        ledger: Ledger,
        recipients: RecipientRepository,
        activity: ActivityRepository,
        closer: Closer,
        walker: Walker,
        feeder: Feeder,
        gateways: Gateways,
        clock: SystemClock,
    ) -> None:
        self._mailings = mailings
        self._ledger = ledger
        self._recipients = recipients
        self._activity = activity
        self._closer = closer
        self._walker = walker
        self._feeder = feeder
        self._gateways = gateways
        self._clock = clock

    def complete(self, unit: Unit, deadline: datetime) -> None:
        """End a mailing whose ledger says that nothing is open.

        A unit of the kind "stalled" means that the counts have not changed for longer than any sender lives. If rows
        are still open, they are fed again.
        """
        state = self._mailings.state(unit.mailing_id)
        mailing = state.mailing
        if mailing.final or not state.statistics.dispatched:
            return
        if unit.kind is UnitKind.RECOUNT and not self._is_time(state, unit):
            return
        wanted = unit.kind in (UnitKind.STALLED, UnitKind.RECOUNT) or state.statistics.settled
        if not wanted and timedelta(0) < mailing.end_at - self._clock.now() <= _EARLY:
            self._clock.sleep((mailing.end_at - self._clock.now()).total_seconds())
        closing = closing_status(mailing, self._clock.now())
        if closing is None and (mailing.reopening or not wanted):
            return
        name = str(mailing.revision)
        if mailing.reopening and self._is_put_back(mailing, name):
            self._look_again(unit)
            return
        found: Walk | None
        if state.statistics.total <= AT_ONCE:
            found = self._walker.at_once(mailing, self._step, deadline, watched=closing is not None)
        else:
            found = self._walker.in_units(mailing, unit, name, self._step, deadline)
        if found:
            self._conclude(state, unit, found)

    def _is_time(self, state: MailingState, unit: Unit) -> bool:
        """Whether to recount now. If others are still working on the mailing, a unit looks again in some seconds.

        A small ledger is recounted even if the queue is not empty, because that may be other mailings' hints.
        """
        if unit.shard:
            return True
        if not may_be_over(state) or state.mailing.status is not MailingStatus.RUNNING:
            return False
        if is_quiet(state, self._clock.now()) and (state.statistics.total <= AT_ONCE or self._feeder.is_idle()):
            return True
        self._walker.send(unit, "", delay=RECOUNT_AFTER)
        return False

    def _is_put_back(self, mailing: Mailing, name: str) -> bool:
        """Whether somebody may be putting back rows right now, which would then be open in an ended mailing."""
        redriving = REDRIVING in mailing.reopening and self._clock.now() - mailing.updated_at < REDRIVE
        return redriving or self._walker.others(mailing.mailing_id, name)

    def _step(self, mailing: Mailing, walk: Walk) -> Walk:
        """One page of the walk: close what must be closed, and count."""
        now = self._clock.now()
        closing = closing_status(mailing, now)
        if closing is None:
            rows, after = self._ledger.long_page(mailing.mailing_id, walk.shard, walk.cursor)
            walk = replace(walk, late=walk.late + sum(is_late(mailing, row, now) for row in rows))
        else:
            rows, after = self._ledger.page(mailing.mailing_id, walk.shard, walk.cursor, _PAGE)
            rows = self._closer.close(rows, closing)
        return replace(walk.counted(rows), cursor=after, done=not after)

    def _conclude(self, state: MailingState, unit: Unit, found: Walk) -> None:
        mailing, now = state.mailing, self._clock.now()
        closing = closing_status(mailing, now) is not None
        if found.late and not closing:
            again = replace(mailing, reopening=(EXPIRED,), updated_at=now, revision=mailing.revision + 1)
            if self._mailings.change(mailing, again):
                self._walker.send(replace(unit, kind=UnitKind.REOPEN), "")
        elif not found.open:
            self._end(state, found.counters)
        elif closing:
            self._look_again(unit)
        elif unit.kind is UnitKind.RECOUNT:
            self._walker.send(unit, "", delay=RECOUNT_AFTER)
        elif unit.kind is UnitKind.STALLED:
            logger.warning(
                "mailing stalled, sending its messages again", mailing_id=mailing.mailing_id, open=found.open
            )
            # Nobody would look for parked messages that a killed sender did not count. Counting too many does no harm.
            parked = found.counters.by_status[WAITING] - state.statistics.by_status[WAITING]
            counts = Counter({DOUBTS: 1}) + Counter({WAITING: parked})
            self._mailings.add_counts(mailing.mailing_id, counts, now)
            self._feeder.restart(state)

    def _look_again(self, unit: Unit) -> None:
        """Send the unit again soon, because senders finish their messages within seconds; the tick would come later."""
        if unit.hop < len(_LOOK_AFTER):
            self._walker.send(unit, "", delay=_LOOK_AFTER[unit.hop])

    def count_anew(self, unit: Unit, deadline: datetime) -> None:
        """Count a mailing's receipts again, and an ended mailing's messages too.

        A receipt settled an unknown outcome, or a receiver was killed before it counted what it had applied.

        If more receipts are counted meanwhile, the count begins again.
        """
        state, counters = self._mailings.detail(unit.mailing_id)
        mailing, before = state.mailing, counters.deliveries
        if not mailing.final:  # it is recounted when it ends
            return
        name = f"{mailing.revision} with {sum(before.values())} of receipts"
        found: Walk | None
        if state.statistics.total <= AT_ONCE:
            found = self._walker.at_once(mailing, self._count_step, deadline, watched=False)
        else:
            found = self._walker.in_units(mailing, unit, name, self._count_step, deadline)
        if found is None or found.open:
            return
        if self._mailings.detail(unit.mailing_id)[1].deliveries != before:
            self._look_again(unit)
            return
        missing = Counter(found.counters.deliveries)
        missing.subtract(before)
        self._mailings.add_counts(mailing.mailing_id, missing, self._clock.now())
        self._end(state, found.counters)

    def _count_step(self, mailing: Mailing, walk: Walk) -> Walk:
        """One page of the walk: count."""
        rows, after = self._ledger.long_page(mailing.mailing_id, walk.shard, walk.cursor)
        return replace(walk.counted(rows), cursor=after, done=not after)

    def _end(self, state: MailingState, recount: MailingCounters) -> None:
        """Save the recount as the mailing's final counts. Counts that senders add later do not matter any more.

        Receipts still come, so deliveries are not part of it.
        """
        mailing, now = state.mailing, self._clock.now()
        told = recount.deliveries
        recount = replace(
            recount, by_name=Counter({name: n for name, n in recount.by_name.items() if name not in told})
        )
        status = mailing.status if mailing.status is MailingStatus.CANCELLED else MailingStatus.FINISHED
        counts = recount.by_status
        final = tuple((name, counts[name]) for name in COUNTED if counts[name])
        ended = replace(
            mailing,
            status=status,
            final=final or (("sent", 0),),
            reopening=(),
            finished_at=mailing.finished_at if mailing.final else now,
            updated_at=now,
            revision=mailing.revision + 1,
            history=mailing.noted(status, now) if status is not mailing.status else mailing.history,
            stops=mailing.stops if mailing.final else self._stops(mailing, recount, now),
        )
        self._activity.note_days(mailing.mailing_id, recount.by_hour, now)  # first, for what has ended is not looked at
        if not self._mailings.end(mailing, ended, recount):
            return
        if status is MailingStatus.CANCELLED:
            self._mailings.closed(mailing.mailing_id)
        if state.statistics.total > AT_ONCE:
            self._walker.clear(mailing.mailing_id)
        if told and not mailing.final:  # a receiver may have been killed before it counted some
            self._walker.send(Unit(UnitKind.RECEIPTS, mailing.mailing_id), "", delay=_RECEIPTS_AFTER)
        logger.info("mailing ended", mailing_id=mailing.mailing_id, status=str(status), counts=dict(counts))

    def _stops(self, mailing: Mailing, recount: MailingCounters, now: datetime) -> tuple[Span, ...]:
        """The spans since its launch in which a mailing could send nothing, with those before a retry.

        A mailing that sent for less time than any circuit stays open has none.
        """
        first, last = recount.first_sent_at, recount.last_sent_at
        if mailing.launched_at is None or first is None or last is None or last - first < OPEN_FOR:
            return mailing.stops
        return kept([*mailing.stops, *self._gateways.stops_between(mailing, mailing.launched_at, now)])

    # -- removing

    def purge(self, mailing_id: str, deadline: datetime) -> None:
        """Delete ledger, recipients and parts of a deleted mailing. The tick repeats this until it is done."""
        if not self._mailings.is_deleted(mailing_id):
            return
        file_id = self._mailings.file_of_deleted(mailing_id)
        for shard in SHARDS:
            while self._ledger.delete_page(mailing_id, shard) or (
                file_id and self._recipients.delete(file_id, shard, _PAGE)
            ):
                if self._clock.now() >= deadline - _STOP_BEFORE:
                    return
        self._walker.clear(mailing_id)
        self._mailings.purge(mailing_id)
        logger.info("mailing deleted with its messages", mailing_id=mailing_id)
