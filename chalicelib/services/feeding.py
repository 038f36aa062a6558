"""Feeding: rows of the ledger become hints on the send queue, as fast as they are sent and no faster."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from datetime import datetime, timedelta

from ..clock import SystemClock
from ..config import Settings
from ..domain.clients import SHARDS
from ..domain.gateway_control import PROBES, GatewayControl
from ..domain.mailings import MailingState, MailingStatus, ShardProgress
from ..domain.messages import Message, MessageStatus
from ..messaging import MAX_DELAY, Hint, Queue, Unit
from ..storage.ledger import Ledger
from ..storage.mailings import MailingRepository
from ..storage.settings import LeaseRepository
from .claiming import obstacle
from .gateway_control import GatewayControlService

PUMP = "pump"
_LEASE = timedelta(seconds=20)
_STOP_BEFORE = timedelta(seconds=10)  # of the deadline
_IDLE = (0.2, 2.0)  # seconds between looks at a queue that is full enough, longer the longer it is
_SOON = timedelta(seconds=70)  # parked messages that are due before the next tick get their hint, with the delay
_PAGE = 500  # rows
_SECONDS_AHEAD = 5  # of work at the allowed rate that are on the queue at most
# AWS stops a chain of functions and queues after 16 hops (docs: "Lambda recursive loop detection"); the tick starts a
# new one every minute.
_HOPS = 10


class Feeder:
    """Keeps the send queue short and never empty: a pause then takes seconds, and a slow gateway piles nothing up.

    A short queue is also what the embedded emulator needs: receiving from it slows down with the queue's length.
    """

    def __init__(
        self,
        settings: Settings,
        mailings: MailingRepository,
        ledger: Ledger,
        leases: LeaseRepository,
        control: GatewayControlService,
        dispatch_queue: Queue,
        send_queue: Queue,
        clock: SystemClock,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._mailings = mailings
        self._ledger = ledger
        self._leases = leases
        self._control = control
        self._dispatch_queue = dispatch_queue
        self._send_queue = send_queue
        self._clock = clock
        self._rng = rng

    def ensure_pump(self, hop: int = 0) -> None:
        """See to it that a pump runs; one that comes too many goes away by itself."""
        self._dispatch_queue.send([Unit("pump", hop=hop).body()])

    def pump(self, hop: int, deadline: datetime) -> None:
        """Feed all running mailings until nothing is left to feed, or the deadline; only one pump works at a time."""
        owner = f"{self._rng.getrandbits(64):016x}"
        pump = _Pump(self)
        renew_at = self._clock.now()
        work_left = True
        while work_left:
            now = self._clock.now()
            if now >= deadline - _STOP_BEFORE:
                break
            if now >= renew_at:
                if not self._leases.acquire(PUMP, owner, now, now + _LEASE):
                    if hop == 0:  # the other one may be dead: look once more when its lease would be over
                        self._dispatch_queue.send([Unit("pump", hop=_HOPS).body()], _LEASE.seconds + 1)
                    return
                renew_at = now + _LEASE / 2
            work_left = pump.round()
        self._leases.release(PUMP, owner)
        if work_left and hop < _HOPS:
            self.ensure_pump(hop + 1)

    def restart(self, state: MailingState) -> None:
        """Walk the ledger of a mailing from its start: every open row gets a hint, whether or not it had one."""
        for shard in state.shards.values():
            if shard.expanded:
                self._mailings.restart_feed(state.mailing.mailing_id, shard)
        self.ensure_pump()

    def needs_pump(self, state: MailingState) -> bool:
        """Whether a mailing has rows that no hint was given for, or parked ones that are due soon."""
        if _next_shard(state):
            return True
        if state.statistics.by_status["waiting"] <= 0:
            return False
        soon = self._clock.now() + _SOON
        return any(self._ledger.due(state.mailing.mailing_id, shard, soon, None, 1) for shard in SHARDS)

    def is_stalled(self, state: MailingState) -> bool:
        """Whether open rows have been fed, nothing has come of them for a while, and the queue does not hold them."""
        statistics = state.statistics
        if not statistics.dispatched or statistics.settled or _next_shard(state):
            return False
        quiet_since = max(state.progress_at or state.mailing.updated_at, state.mailing.updated_at)
        if self._clock.now() - quiet_since < timedelta(seconds=self._settings.stall_after):
            return False
        return self._send_queue.depth() < statistics.open - statistics.by_status["waiting"] or not statistics.open


class _Pump:
    """One pump's life. It remembers how far into the parked messages it has come, so as to hint at each once."""

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder
        self._clock = feeder._clock
        self._parked_cursors: dict[tuple[str, str], tuple[datetime, str]] = {}
        self._parked_done: set[str] = set()
        self._idle = _IDLE[0]

    def round(self) -> bool:
        """Fill the queue up to its mark, a fair share for every mailing; False where nothing is left to do."""
        feeder = self._feeder
        now = self._clock.now()
        control = feeder._control.state()
        waiting = [
            state
            for mailing in list(feeder._mailings.with_status(MailingStatus.RUNNING))
            for state in [feeder._mailings.state(mailing.mailing_id)]
            if not obstacle(state.mailing, now) and (_next_shard(state) or self._has_parked(state))
        ]
        if control.open:
            self._probe(control, waiting)
            return False  # the sender that closes the circuit, or finds it in trouble still, starts a pump
        fed = 0
        for state in waiting:
            room = self._room(control, state) // len(waiting)
            if room > 0:
                fed += self._feed(state, min(_PAGE, room))
        if fed:
            self._idle = _IDLE[0]
        elif waiting:
            self._clock.sleep(self._idle)
            self._idle = min(_IDLE[1], self._idle * 1.5)
        return bool(waiting)

    def _probe(self, control: GatewayControl, waiting: list[MailingState]) -> None:
        """Have a few messages sent when an open circuit may be tried again."""
        if control.held or control.retry_at is None:
            return
        delay = _seconds_until(control.retry_at, self._clock.now())
        # Of as many mailings as can be: messages that the gateway will never take must not speak for the others.
        self._feeder._rng.shuffle(waiting)
        for state in itertools.islice(itertools.cycle(waiting), PROBES):
            self._feed(state, 1, delay)

    def _has_parked(self, state: MailingState) -> bool:
        return state.statistics.by_status["waiting"] > 0 and state.mailing.mailing_id not in self._parked_done

    def _room(self, control: GatewayControl, state: MailingState) -> int:
        """How many more hints the queue may hold: little where the pace is slow, so that changes of it take effect."""
        mark = self._feeder._settings.queue_high_water
        for rate in (control.rate, state.mailing.rate_limit):
            if rate:
                mark = min(mark, rate * _SECONDS_AHEAD)
        room = mark - self._feeder._send_queue.depth()
        return max(1, room) if room >= mark // 4 else 0

    def _feed(self, state: MailingState, limit: int, wait: int = 0) -> int:
        """Give some messages of a mailing to the queue, to be seen after so many seconds at least: parked ones that are
        due first, then those of one shard."""
        fed = self._feed_parked(state, limit, wait) if self._has_parked(state) else 0
        shard = _next_shard(state)
        if shard is None or fed >= limit:
            return fed
        feeder = self._feeder
        mailing_id = state.mailing.mailing_id
        rows, last = feeder._ledger.page(mailing_id, shard.shard, shard.feed_cursor, limit - fed)
        now = self._clock.now()
        by_delay: dict[int, list[str]] = {}
        for row in rows:
            delay = _hint_delay(row, shard, now)
            if delay is not None:
                by_delay.setdefault(max(wait, delay), []).append(Hint(mailing_id, row.client_id).body())
        for delay, bodies in by_delay.items():
            feeder._send_queue.send(bodies, delay)
        moved = replace(shard, feed_cursor=last or shard.feed_cursor, fed=not last)
        feeder._mailings.advance_feed(mailing_id, shard, moved)
        return fed + max(1, len(rows))

    def _feed_parked(self, state: MailingState, limit: int, wait: int) -> int:
        """Hints for parked messages, to be seen when they are due. Each is hinted at once in a pump's life."""
        feeder = self._feeder
        mailing_id = state.mailing.mailing_id
        now = self._clock.now()
        fed = 0
        for shard in feeder._rng.sample(SHARDS, len(SHARDS)):
            place = self._parked_cursors.get((mailing_id, shard))
            found = feeder._ledger.due(mailing_id, shard, now + _SOON, place, limit - fed)
            by_delay: dict[int, list[str]] = {}
            for due_at, client_id in found:
                delay = max(wait, _seconds_until(due_at, now))
                by_delay.setdefault(delay, []).append(Hint(mailing_id, client_id).body())
            for delay, bodies in by_delay.items():
                feeder._send_queue.send(bodies, delay)
            if found:
                self._parked_cursors[mailing_id, shard] = found[-1]
                fed += len(found)
            if fed >= limit:
                return fed
        self._parked_done.add(mailing_id)
        return fed


def _next_shard(state: MailingState) -> ShardProgress | None:
    """The shard to feed next: the one that has been fed least, so that all advance together."""
    unfed = [shard for shard in state.shards.values() if shard.expanded and not shard.fed]
    return min(unfed, key=lambda shard: (shard.feed_cursor, shard.shard), default=None)


def _hint_delay(row: Message, shard: ShardProgress, now: datetime) -> int | None:
    """Seconds after which a row is to be hinted at; None where it needs no hint. Parked rows have their own way."""
    if row.status is MessageStatus.QUEUED:
        if row.hinted and shard.feed_round == 0:
            return None
        ready = row.retry_at
    elif row.status is MessageStatus.SENDING:
        ready = row.lease_until
    else:
        return None
    return _seconds_until(ready, now) if ready else 0


def _seconds_until(moment: datetime, now: datetime) -> int:
    """Whole seconds, rounded up, that a queue can delay a hint by."""
    return min(MAX_DELAY, max(0, math.ceil((moment - now).total_seconds())))
