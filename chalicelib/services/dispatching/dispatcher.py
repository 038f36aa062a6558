"""Dispatch: due mailings are launched, their segments expanded, the send queue fed, and what has stopped set going."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.clients import SHARDS
from ...domain.deadlines import is_over
from ...domain.errors import NotFound, Unavailable
from ...domain.gateway_control import CIRCUITS
from ...domain.heartbeats import STALLED_AFTER, is_stalled
from ...domain.mailings import LATE_AFTER, Late, Mailing, MailingState, ShardProgress
from ...domain.sending_rules import closing_status
from ...domain.statuses import UNDER_WAY, MailingStatus
from ...observability import (
    CIRCUIT_STATE,
    DISPATCH_LAG,
    MAILINGS_STALLED,
    MAILINGS_UNDER_WAY,
    START_LATENESS,
    logger,
    measure,
)
from ...queues import Queue, Unit, UnitKind
from ...storage.mailings import MailingRepository
from ..gateway_control import GatewayControlService
from ..imports import ImportService
from .completion import Completion
from .expansion import PAGES, SHARD_LEASE, Expander
from .feeder import Feeder
from .reopening import Reopener
from .zone_changes import ZoneChanges

_AHEAD = timedelta(seconds=70)  # the tick comes once a minute, and may be late
_EARLY = timedelta(seconds=1)
_STOP_BEFORE = timedelta(seconds=10)  # of the deadline: the time a page, or a mailing's turn in the tick, may take
_AT_ONCE = 200  # deleted and cancelled mailings that a tick looks at


class Dispatcher:
    """The dispatcher's work, one unit at a time, and the tick's. Every unit may come twice, late, or never."""

    def __init__(
        self,
        mailings: MailingRepository,
        expander: Expander,
        feeder: Feeder,
        completion: Completion,
        reopener: Reopener,
        control: GatewayControlService,
        imports: ImportService,
        zones: ZoneChanges,
        dispatch_queue: Queue,
        clock: SystemClock,
    ) -> None:
        self._mailings = mailings
        self._expander = expander
        self._feeder = feeder
        self._completion = completion
        self._reopener = reopener
        self._control = control
        self._imports = imports
        self._zones = zones
        self._dispatch_queue = dispatch_queue
        self._clock = clock

    def handle(self, unit: Unit, deadline: datetime) -> None:
        """Carry out one unit of the dispatch queue. Its mailing may be gone, or the work done already."""
        try:
            match unit.kind:
                case UnitKind.LAUNCH:
                    self._launch(unit, deadline)
                case UnitKind.EXPAND:
                    self._expand(unit, deadline)
                case UnitKind.FEED:
                    self._feeder.feed(unit.hop, deadline)
                case UnitKind.RESUME:
                    self._resume(unit.mailing_id)
                case UnitKind.COMPLETE | UnitKind.STALLED | UnitKind.RECOUNT:
                    self._completion.complete(unit, deadline)
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

    def _launch(self, unit: Unit, deadline: datetime) -> None:
        mailing = self._mailings.get(unit.mailing_id)
        if mailing.status is not MailingStatus.SCHEDULED or mailing.revision != unit.revision:
            return  # moved, paused, launched or deleted meanwhile
        now = self._clock.now()
        early = mailing.start_at - now
        if early > _EARLY:
            return  # SQS delays by 15 minutes at most; the tick sends another unit
        if early > timedelta(0):
            self._clock.sleep(early.total_seconds())
            now = self._clock.now()
        missed = mailing.late is Late.SKIP and now - mailing.start_at > LATE_AFTER
        if mailing.end_at <= now or missed:
            self._mailings.change(mailing, replace(mailing.moved_to(MailingStatus.EXPIRED, now), finished_at=now))
            logger.info("mailing expired before it could start", mailing_id=mailing.mailing_id, missed=missed)
            return
        running = replace(mailing.moved_to(MailingStatus.RUNNING, now), launched_at=now)
        if self._mailings.launch(mailing, running):
            late = now - max(mailing.start_at, mailing.created_at)
            measure(START_LATENESS, late / timedelta(milliseconds=1))
            logger.info("mailing launched", mailing_id=mailing.mailing_id, late_s=round(late.total_seconds(), 3))
            # One page goes ahead: where all shards begin at once, they keep the first messages waiting.
            try:
                self._expand(Unit(UnitKind.EXPAND, mailing.mailing_id, SHARDS[0]), deadline, pages=1)
            except Unavailable as error:
                logger.warning(
                    "the first page was not read, will be retried", mailing_id=mailing.mailing_id, error=str(error)
                )
            self._send_expansions(mailing.mailing_id, SHARDS)
            self._settle_at_end(running, now)

    def _send_expansions(self, mailing_id: str, shards: Sequence[str]) -> None:
        self._dispatch_queue.send([Unit(UnitKind.EXPAND, mailing_id, shard).body() for shard in shards])

    # -- expand

    def _expand(self, unit: Unit, deadline: datetime, pages: int = PAGES) -> None:
        """Write the rows of one shard, and start what comes next."""
        shard = self._expander.expand(unit.mailing_id, unit.shard, deadline, pages)
        if shard is not None and shard.expanded:
            self._after_expansion(unit.mailing_id, shard)

    def _after_expansion(self, mailing_id: str, shard: ShardProgress) -> None:
        logger.info("shard dispatched", mailing_id=mailing_id, shard=shard.shard, rows=shard.rows)
        state = self._mailings.state(mailing_id)
        if state.mailing.launched_at:
            measure(DISPATCH_LAG, (self._clock.now() - state.mailing.launched_at) / timedelta(milliseconds=1))
        if state.statistics.settled or closing_status(state.mailing, self._clock.now()):
            self._dispatch_queue.send(
                [Unit(UnitKind.COMPLETE, mailing_id).body()]
            )  # nobody to send to, or all sent already
        elif not shard.fed or self._feeder.is_needed(state):
            self._feeder.ensure()

    def _resume(self, mailing_id: str) -> None:
        state = self._mailings.state(mailing_id)
        if state.mailing.status is MailingStatus.RUNNING:
            self._feeder.restart(state)
            self._continue(state)

    # -- the tick

    def tick(self, deadline: datetime) -> None:
        """The tick, once a minute: launch what is due, and restart whatever has stopped."""
        now, stalled = self._clock.now(), 0
        for mailing in self._mailings.with_status(MailingStatus.SCHEDULED, now + _AHEAD):
            stalled += now - mailing.start_at >= STALLED_AFTER  # several ticks have sent what launches it
            delay = max(0, int((mailing.start_at - now).total_seconds()))
            unit = Unit(UnitKind.LAUNCH, mailing.mailing_id, revision=mailing.revision)
            self._dispatch_queue.send([unit.body()], delay)
        under_way = [mailing for status in UNDER_WAY for mailing in self._mailings.with_status(status)]
        going = [mailing.mailing_id for mailing in under_way]
        self._zones.ask(under_way)
        measure(MAILINGS_UNDER_WAY, len(going))
        control = self._control.state()
        measure(CIRCUIT_STATE, CIRCUITS.index(control.circuit))
        for mailing_id in (*going, *self._mailings.closing(_AT_ONCE)):
            if self._clock.now() >= deadline - _STOP_BEFORE:
                return
            try:
                state, tally = self._mailings.detail(mailing_id)
                stalled += is_stalled(state, tally, control, now)
                self._continue(state)
            except NotFound:
                self._mailings.closed(mailing_id)
        measure(MAILINGS_STALLED, stalled)
        for mailing_id in self._mailings.deleted(_AT_ONCE):
            self._dispatch_queue.send([Unit(UnitKind.PURGE, mailing_id).body()])
        self._imports.go_on()

    def _settle_at_end(self, mailing: Mailing, now: datetime) -> None:
        """Schedule the end of a mailing that ends before the next tick."""
        if closing_status(mailing, now) is None and mailing.end_at - now <= _AHEAD:
            self._dispatch_queue.send_each(
                [(Unit(UnitKind.COMPLETE, mailing.mailing_id).body(), (mailing.end_at - now).total_seconds())]
            )

    def _continue(self, state: MailingState) -> None:
        """Restart whatever has stopped in one mailing."""
        mailing = state.mailing
        mailing_id = mailing.mailing_id
        now = self._clock.now()
        if mailing.launched_at is None:
            if mailing.end_at <= now:  # paused before it began, until its window closed
                self._mailings.change(mailing, replace(mailing.moved_to(MailingStatus.EXPIRED, now), finished_at=now))
            return
        idle = [shard.shard for shard in state.shards.values() if not shard.expanded and _lease_is_over(shard, now)]
        if idle:
            self._send_expansions(mailing_id, idle)
        self._settle_at_end(mailing, now)
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
            self._feeder.ensure()


def _lease_is_over(shard: ShardProgress, now: datetime) -> bool:
    return is_over(shard.lease_until, now, SHARD_LEASE)
