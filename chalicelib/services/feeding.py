"""Feeding: rows of the ledger become hints on the send queue, as fast as they are sent and no faster."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta

from ..clock import SystemClock
from ..config import Settings
from ..domain.mailings import MailingState, MailingStatus, ShardProgress
from ..domain.messages import Message, MessageStatus
from ..messaging import MAX_DELAY, Hint, Queue, Unit
from ..observability import logger
from ..storage.ledger import Ledger
from ..storage.mailings import MailingRepository
from ..storage.settings import LeaseRepository

PUMP = "pump"
_LEASE = timedelta(seconds=20)
_STOP_BEFORE = timedelta(seconds=5)  # of the deadline
_IDLE = 0.15  # seconds between looks at a queue that is full enough
_PAGE = 500  # rows
# AWS stops a chain of functions and queues after 16 hops (docs: "Lambda recursive loop detection"); the tick starts a
# new one every minute.
_HOPS = 10
_MAILINGS = 100


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
        dispatch_queue: Queue,
        send_queue: Queue,
        clock: SystemClock,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._mailings = mailings
        self._ledger = ledger
        self._leases = leases
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
        work_left = True
        renew_at = self._clock.now()
        while work_left:
            now = self._clock.now()
            if now >= deadline - _STOP_BEFORE:
                break
            if now >= renew_at:
                if not self._leases.acquire(PUMP, owner, now, now + _LEASE):
                    return
                renew_at = now + _LEASE / 2
            work_left = self._round()
        self._leases.release(PUMP, owner)
        if work_left and hop < _HOPS:
            self.ensure_pump(hop + 1)

    def _round(self) -> bool:
        """Fill the queue up to its high-water mark, a fair share for every mailing; False where nothing is left."""
        waiting = [
            state
            for mailing in list(self._mailings.with_status(MailingStatus.RUNNING, None, _MAILINGS))
            for state in [self._mailings.state(mailing.mailing_id)]
            if state.mailing.status is MailingStatus.RUNNING and _next_shard(state)
        ]
        if not waiting:
            return False
        room = self._settings.queue_high_water - self._send_queue.depth()
        if room < self._settings.queue_high_water // 4:
            self._clock.sleep(_IDLE)
            return True
        for state in waiting:
            self._feed(state, min(_PAGE, max(10, room // len(waiting))))
        return True

    def _feed(self, state: MailingState, limit: int) -> None:
        """Give a page of one shard's rows to the queue, and move the feed cursor."""
        shard = _next_shard(state)
        if shard is None:
            return
        mailing_id = state.mailing.mailing_id
        rows, last = self._ledger.page(mailing_id, shard.shard, shard.feed_cursor, limit)
        now = self._clock.now()
        by_delay: dict[int, list[str]] = {}
        for row in rows:
            delay = _hint_delay(row, shard, now)
            if delay is not None:
                by_delay.setdefault(delay, []).append(Hint(mailing_id, row.client_id).body())
        for delay, bodies in by_delay.items():
            self._send_queue.send(bodies, delay)
        self._mailings.advance_feed(mailing_id, shard, replace(shard, feed_cursor=last or shard.feed_cursor, fed=not last))

    # -- feeding again

    def restart(self, state: MailingState) -> None:
        """Walk the ledger of a mailing from its start: every open row gets a hint, whether or not it had one."""
        for shard in state.shards.values():
            if shard.expanded:
                self._mailings.restart_feed(state.mailing.mailing_id, shard)
        self.ensure_pump()

    def is_stalled(self, state: MailingState) -> bool:
        """Whether open rows have been fed, nothing has come of them for a while, and the queue does not hold them."""
        if not state.statistics.dispatched or state.statistics.settled:
            return False
        if any(not shard.fed for shard in state.shards.values()):
            return False
        quiet_since = state.progress_at or state.mailing.updated_at
        if self._clock.now() - quiet_since < timedelta(seconds=self._settings.stall_after):
            return False
        depth = self._send_queue.depth()
        logger.info("no progress", mailing_id=state.mailing.mailing_id, open=state.statistics.open, depth=depth)
        return depth < state.statistics.open


def _next_shard(state: MailingState) -> ShardProgress | None:
    """The shard to feed next: the one that has been fed least, so that all advance together."""
    unfed = [shard for shard in state.shards.values() if shard.expanded and not shard.fed]
    return min(unfed, key=lambda shard: (shard.feed_cursor, shard.shard), default=None)


def _hint_delay(row: Message, shard: ShardProgress, now: datetime) -> int | None:
    """Seconds after which a row is to be hinted at; None where it needs no hint."""
    if row.status is MessageStatus.QUEUED:
        if row.hinted and shard.feed_round == 0:
            return None
        ready = row.retry_at
    elif row.status is MessageStatus.SENDING:
        ready = row.lease_until
    else:
        return None
    seconds = (ready - now).total_seconds() if ready else 0.0
    return min(MAX_DELAY, max(0, int(seconds) + (1 if seconds > 0 else 0)))
