"""Dispatch: launches due mailings, expands their segments, feeds the send queue, and restarts what has stopped."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.buckets import Division
from ...domain.errors import NotFound, Unavailable
from ...domain.gateway_control import CIRCUITS
from ...domain.heartbeats import STALLED_AFTER
from ...domain.mailings import LATE_AFTER, Late, Mailing, ShardProgress
from ...domain.sending_rules import closing_status
from ...domain.statuses import MailingStatus
from ...observability import (
    CIRCUIT_STATE,
    DISPATCH_LAG,
    MAILINGS_STALLED,
    START_LATENESS,
    logger,
    measure,
)
from ...queues import Queue, Unit, UnitKind
from ...storage.mailings import MailingRepository
from ..at_once import AtOnce
from ..audiences import Audiences
from ..gateways import Throttle
from ..imports import ImportService
from .checks import AHEAD, Checker
from .completion import Completion
from .expansion import Expander
from .feeder import Feeder
from .reopening import Reopener
from .turns import Turn
from .zone_changes import ZoneChanges

_EARLY = timedelta(seconds=1)
TOGETHER = 5  # mailings that one unit launches
_DISPATCHERS = 20  # that are there, or may be soon
_AT_ONCE = 200  # deleted mailings that a tick sends units for


class Dispatcher:
    """The work of dispatcher and tick, one unit at a time. Every unit may come twice, late, or never."""

    def __init__(
        self,
        audiences: Audiences,
        mailings: MailingRepository,
        expander: Expander,
        feeder: Feeder,
        checker: Checker,
        completion: Completion,
        reopener: Reopener,
        control: Throttle,
        imports: ImportService,
        zones: ZoneChanges,
        dispatch_queue: Queue,
        launches: AtOnce,
        clock: SystemClock,
    ) -> None:
        self._audiences = audiences
        self._mailings = mailings
        self._expander = expander
        self._feeder = feeder
        self._checker = checker
        self._completion = completion
        self._reopener = reopener
        self._control = control
        self._imports = imports
        self._zones = zones
        self._dispatch_queue = dispatch_queue
        self._launches = launches
        self._clock = clock

    def handle(self, unit: Unit, deadline: datetime) -> None:
        """Carry out one unit of the dispatch queue. Its mailing may be gone, or the work may be done already."""
        try:
            match unit.kind:
                case UnitKind.LAUNCH if unit.mailing_ids:
                    self._launches.map(self._launch_if_there, unit.mailing_ids)
                case UnitKind.LAUNCH:
                    self._launch(unit.mailing_id, unit.revision)
                case UnitKind.EXPAND:
                    self._expand(unit, deadline)
                case UnitKind.FEED:
                    self._feeder.feed(unit, deadline)
                case UnitKind.CHECK:
                    self._checker.check(unit, deadline)
                case UnitKind.RESUME:
                    self._resume(unit.mailing_id)
                case UnitKind.COMPLETE | UnitKind.STALLED | UnitKind.RECOUNT:
                    self._completion.complete(unit, deadline)
                case UnitKind.RECEIPTS:
                    self._completion.count_anew(unit, deadline)
                case UnitKind.REOPEN:
                    self._reopener.reopen(unit, deadline)
                case UnitKind.PURGE:
                    self._completion.purge(unit.mailing_id, deadline)
                case UnitKind.IMPORT:
                    self._imports.carry_out(unit.import_id, unit.hop, deadline)
                case UnitKind.ZONES:
                    self._zones.follow(deadline)
        except NotFound:
            logger.info("dispatch unit of a deleted mailing", unit=unit.kind, mailing_id=unit.mailing_id)

    # -- launch

    def _launch_if_there(self, mailing_id: str) -> None:
        """Launch one of several mailings. If it cannot be, their unit comes again; the others are launched by then."""
        try:
            self._launch(mailing_id)
        except NotFound:
            logger.info("dispatch unit of a deleted mailing", unit=UnitKind.LAUNCH, mailing_id=mailing_id)

    def _launch(self, mailing_id: str, revision: int | None = None) -> None:
        """Launch a mailing if it is due; with a revision, only that one."""
        mailing = self._mailings.get(mailing_id)
        if mailing.status is not MailingStatus.SCHEDULED or revision not in (None, mailing.revision):
            return  # moved, paused, launched or deleted meanwhile
        now = self._clock.now()
        early = mailing.start_at - now
        if early > _EARLY:
            return  # SQS delays by 15 minutes at most; the tick sends another unit
        clients = self._audiences.at_most(mailing.segment, now)
        if early > timedelta(0):
            self._clock.sleep(early.total_seconds())
            now = self._clock.now()
        missed = mailing.late is Late.SKIP and now - mailing.start_at > LATE_AFTER
        if mailing.end_at <= now or missed:
            self._mailings.change(mailing, replace(mailing.moved_to(MailingStatus.EXPIRED, now), finished_at=now))
            logger.info("mailing expired before it could start", mailing_id=mailing.mailing_id, missed=missed)
            return
        division = Division.among(clients)
        running = replace(mailing.moved_to(MailingStatus.RUNNING, now), launched_at=now, division=division)
        begun = self._expander.taken(running)
        if self._mailings.launch(mailing, running, begun):
            late = now - max(mailing.start_at, mailing.created_at)
            measure(START_LATENESS, late / timedelta(milliseconds=1))
            logger.info("mailing launched", mailing_id=mailing.mailing_id, late_s=round(late.total_seconds(), 3))
            self._begin(running, begun)
            self._checker.settle_at_end(running, now)

    def _begin(self, mailing: Mailing, begun: ShardProgress) -> None:
        """Write and hint the first page of the shard that the launch took, and send units for the others."""
        mailing_id, shard = mailing.mailing_id, None
        try:
            shard = self._expander.begin(mailing, begun)
        except Unavailable as error:
            logger.warning("the first page was not read, will be retried", mailing_id=mailing_id, error=str(error))
        done = shard is not None and shard.expanded
        self._checker.send_expansions(
            mailing_id, [one for one in mailing.division.names if not done or one != begun.shard]
        )
        if shard and shard.expanded:
            self._after_expansion(mailing_id, shard)

    # -- expand

    def _expand(self, unit: Unit, deadline: datetime) -> None:
        """Write the rows of one shard, and start what comes next.

        If other units wait, it lets them go first after a second, so that no launch waits until a shard is expanded.
        """
        turn = Turn(self._dispatch_queue, self._clock)
        shard = self._expander.expand(unit.mailing_id, unit.shard, deadline, turn.is_over)
        if shard is not None and shard.expanded:
            self._after_expansion(unit.mailing_id, shard)
        elif shard is not None:
            self._checker.send_expansions(unit.mailing_id, [unit.shard])

    def _after_expansion(self, mailing_id: str, shard: ShardProgress) -> None:
        logger.info("shards dispatched", mailing_id=mailing_id, shards=[shard.shard], rows=shard.rows)
        state = self._mailings.state(mailing_id)
        if state.mailing.launched_at:
            measure(DISPATCH_LAG, (self._clock.now() - state.mailing.launched_at) / timedelta(milliseconds=1))
        if state.statistics.settled or closing_status(state.mailing, self._clock.now()):
            self._dispatch_queue.send(
                [Unit(UnitKind.COMPLETE, mailing_id).body()]
            )  # there is nobody to send to, or all is sent already
        elif not shard.fed or self._feeder.is_needed(state):
            self._feeder.ensure(mailing_id)

    def _resume(self, mailing_id: str) -> None:
        state = self._mailings.state(mailing_id)
        if state.mailing.status is MailingStatus.RUNNING:
            self._feeder.restart(state)
            self._checker.go_on(state)

    # -- the tick

    def tick(self, deadline: datetime) -> None:
        """The tick, once a minute: launch what is due, and restart whatever has stopped.

        Raises Unavailable at its end if it could not look at a mailing.
        """
        stalled = self._launch_due()
        measure(CIRCUIT_STATE, max(CIRCUITS.index(one.circuit) for one in self._control.controls()))
        looked = self._checker.tick(deadline)
        measure(MAILINGS_STALLED, stalled + looked.stalled)
        for mailing_id in self._mailings.deleted(_AT_ONCE):
            self._dispatch_queue.send([Unit(UnitKind.PURGE, mailing_id).body()])
        self._imports.go_on()
        if looked.failed:
            raise Unavailable(f"{looked.failed} mailings could not be looked at; the log says why")

    def _launch_due(self) -> int:
        """Send what launches the mailings that are due before the next tick. Many that start in the same second are
        launched several at a time.

        Answers how many of them several ticks have tried to launch in vain.
        """
        now, stalled = self._clock.now(), 0
        due: defaultdict[int, list[str]] = defaultdict(list)
        for mailing in self._mailings.lists.with_status(MailingStatus.SCHEDULED, now + AHEAD):
            stalled += now - mailing.start_at >= STALLED_AFTER
            due[max(0, int((mailing.start_at - now).total_seconds()))].append(mailing.mailing_id)
        groups = [(delay, some) for delay, ids in due.items() for some in _groups(ids)]
        self._dispatch_queue.send_each(
            [(Unit(UnitKind.LAUNCH, mailing_ids=tuple(some)).body(), delay) for delay, some in groups]
        )
        return stalled


def _groups(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Mailings that start in the same second: as many groups as dispatchers, as long as none is too large."""
    size = min(TOGETHER, math.ceil(len(ids) / _DISPATCHERS))
    return (ids[start : start + size] for start in range(0, len(ids), size))
