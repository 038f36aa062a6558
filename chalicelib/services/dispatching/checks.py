"""Checks: the tick looks at every mailing that is under way and restarts whatever has stopped.

The tick checks a few mailings itself. If there are more, it begins a round: it divides them into slices and sends each
as a unit to the dispatch queue, so that many dispatchers share the work. The next tick sends slices that were not
checked again, and begins a new round when none are left.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.deadlines import is_over
from ...domain.errors import NotFound
from ...domain.heartbeats import is_stalled
from ...domain.mailings import Mailing, MailingState, ShardProgress
from ...domain.sending_rules import closing_status
from ...domain.statuses import UNDER_WAY, MailingStatus
from ...observability import (
    CHECK_ROUND,
    MAILINGS_STALLED,
    MAILINGS_UNCHECKED,
    MAILINGS_UNDER_WAY,
    logger,
    measure,
)
from ...queues import Queue, Unit, UnitKind
from ...storage.check_slices import CheckSlices, Slice
from ...storage.mailings import MailingRepository
from ..at_once import AtOnce
from ..gateways import Throttle
from .expansion import SHARD_LEASE
from .feeder import Feeder
from .zone_changes import ZoneChanges

AHEAD = timedelta(seconds=70)  # the tick comes once a minute, and may be late
AT_ONCE = 100  # mailings that the tick checks itself
SLICE = 250  # mailings
_STOP_BEFORE = timedelta(seconds=10)  # before the deadline: checking a mailing may take so long
_ROUND = timedelta(minutes=5)  # after which a new round begins anyway, because units can be lost
_CLOSING = 20_000  # cancelled mailings in one go


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of checking mailings: how many are stalled, could not be checked, or were not, for lack of time."""

    stalled: int = 0
    failed: int = 0
    left: tuple[str, ...] = ()


class Checker:
    """Checks mailings. Checking one twice does no harm."""

    def __init__(
        self,
        mailings: MailingRepository,
        slices: CheckSlices,
        feeder: Feeder,
        zones: ZoneChanges,
        control: Throttle,
        dispatch_queue: Queue,
        at_once: AtOnce,
        clock: SystemClock,
    ) -> None:
        self._mailings = mailings
        self._slices = slices
        self._feeder = feeder
        self._zones = zones
        self._control = control
        self._dispatch_queue = dispatch_queue
        self._at_once = at_once
        self._clock = clock

    def tick(self, deadline: datetime) -> CheckResult:
        """Check all mailings that are under way: here if they are few, else in units."""
        under_way = [found for status in UNDER_WAY for found in self._mailings.lists.ids_with_status(status)]
        measure(MAILINGS_UNDER_WAY, len(under_way))
        if any(waits for _, waits in under_way):
            self._zones.ask()
        ids = [mailing_id for mailing_id, _ in under_way]
        ids = sorted({*ids, *self._mailings.closing(_CLOSING)})
        if len(ids) > AT_ONCE:
            self._round(ids)
            return CheckResult()
        began_at = self._clock.now()
        looked = self._look_at(ids, deadline)
        self._tell(len(looked.left), timedelta(0))
        if not looked.left:
            self._end(began_at)
        else:
            self._begin([_slice_of(looked.left, self._clock.now())], looked.left)
        return looked

    def check(self, unit: Unit, deadline: datetime) -> None:
        """Check the mailings of one slice, unless another unit has done so."""
        one = self._slices.find(unit.slice)
        if one is None or not unit.mailing_ids:
            return
        looked = self._look_at(unit.mailing_ids, deadline)
        if looked.stalled:
            measure(MAILINGS_STALLED, looked.stalled)
        if looked.left:
            rest = _slice_of(looked.left, one.began_at)
            if rest.name == one.name:
                return  # there was no time for any; the tick sends it again
            self._begin([rest], looked.left)
        self._slices.remove([one])
        if not self._slices.left(1):
            took = self._end(one.began_at)
            logger.info("all mailings under way were checked", took_s=round(took.total_seconds(), 1))

    def _end(self, began_at: datetime) -> timedelta:
        took = self._clock.now() - began_at
        measure(CHECK_ROUND, took / timedelta(milliseconds=1))
        return took

    # -- rounds

    def _round(self, ids: Sequence[str]) -> None:
        """Begin a round, or send the slices that are left of the last one again.

        If that took too long, they come first.
        """
        now = self._clock.now()
        left = self._slices.left()
        began_at = min((one.began_at for one in left), default=now)
        self._tell(sum(one.count for one in left), now - began_at)
        if left and not is_over(began_at + _ROUND, now, _ROUND):
            self._send(left, ids)
            return
        first = bisect_left(ids, left[0].first) if left else 0
        self._slices.remove(left)
        self._begin([_slice_of(some, now) for part in (ids[first:], ids[:first]) for some in _groups(part)], ids)

    def _begin(self, slices: Sequence[Slice], ids: Sequence[str]) -> None:
        self._slices.add(slices)
        self._send(slices, ids)

    def _send(self, slices: Sequence[Slice], ids: Sequence[str]) -> None:
        """Send a unit for each slice, with the ids that are in it. `ids` must be sorted."""
        units = []
        for one in slices:
            some = tuple(ids[bisect_left(ids, one.first) : bisect_right(ids, one.last)])
            units.append(Unit(UnitKind.CHECK, mailing_ids=some, slice=one.name))
        empty = [one for one, unit in zip(slices, units, strict=True) if not unit.mailing_ids]
        if empty:  # all of its mailings have ended
            self._slices.remove(empty)
        self._dispatch_queue.send([unit.body() for unit in units if unit.mailing_ids])

    @staticmethod
    def _tell(left: int, so_far: timedelta) -> None:
        measure(MAILINGS_UNCHECKED, left)
        if left:
            logger.warning("the tick is behind", left=left, round_takes_s=round(so_far.total_seconds(), 1))

    # -- one mailing

    def _look_at(self, ids: Sequence[str], deadline: datetime) -> CheckResult:
        """Check mailings, several at once, as long as there is time.

        If one cannot be read, the others are still checked.
        """
        control = self._control.state()

        def look(mailing_id: str) -> CheckResult:
            now = self._clock.now()
            if now >= deadline - _STOP_BEFORE:
                return CheckResult(left=(mailing_id,))
            try:
                state, counters = self._mailings.detail(mailing_id)
                stalled = is_stalled(state, counters, control, now)
                self.go_on(state)
            except NotFound:
                self._mailings.closed(mailing_id)
            except Exception:  # the boundary of one record: the other mailings are still checked
                logger.exception("a mailing could not be checked", mailing_id=mailing_id)
                return CheckResult(failed=1)
            else:
                return CheckResult(stalled=int(stalled))
            return CheckResult()

        each = self._at_once.map(look, ids)
        return CheckResult(
            sum(one.stalled for one in each),
            sum(one.failed for one in each),
            tuple(mailing_id for one in each for mailing_id in one.left),
        )

    def go_on(self, state: MailingState) -> None:
        """Restart whatever has stopped in one mailing."""
        mailing = state.mailing
        mailing_id = mailing.mailing_id
        now = self._clock.now()
        if mailing.launched_at is None:
            if mailing.end_at <= now:  # it was paused before its start until its window closed
                self._mailings.change(mailing, replace(mailing.moved_to(MailingStatus.EXPIRED, now), finished_at=now))
            return
        idle = [shard.shard for shard in state.shards.values() if not shard.expanded and _lease_is_over(shard, now)]
        if idle:
            self.send_expansions(mailing_id, idle)
        self.settle_at_end(mailing, now)
        unit: UnitKind | None = None
        if closing_status(mailing, now):
            unit = UnitKind.COMPLETE
        elif mailing.reopening:
            unit = UnitKind.REOPEN
        elif state.statistics.settled:
            unit = UnitKind.COMPLETE
        elif mailing.status is MailingStatus.RUNNING and self._feeder.is_stalled(state):
            unit = UnitKind.STALLED
        if unit:
            self._dispatch_queue.send([Unit(unit, mailing_id).body()])
        if (
            unit in (None, UnitKind.REOPEN)
            and mailing.status is MailingStatus.RUNNING
            and self._feeder.is_needed(state)
        ):
            self._feeder.ensure(mailing_id)

    def send_expansions(self, mailing_id: str, shards: Sequence[str]) -> None:
        """Send units to write the rows of these shards."""
        self._dispatch_queue.send([Unit(UnitKind.EXPAND, mailing_id, shard).body() for shard in shards])

    def settle_at_end(self, mailing: Mailing, now: datetime) -> None:
        """Schedule the end of a mailing that ends before the next tick."""
        if closing_status(mailing, now) is None and mailing.end_at - now <= AHEAD:
            self._dispatch_queue.send_each(
                [(Unit(UnitKind.COMPLETE, mailing.mailing_id).body(), (mailing.end_at - now).total_seconds())]
            )


def _slice_of(ids: Sequence[str], began_at: datetime) -> Slice:
    return Slice(ids[0], ids[-1], len(ids), began_at)


def _groups(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + SLICE] for start in range(0, len(ids), SLICE))


def _lease_is_over(shard: ShardProgress, now: datetime) -> bool:
    return is_over(shard.lease_until, now, SHARD_LEASE)
