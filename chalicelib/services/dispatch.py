"""Dispatch: due mailings are launched, their segments expanded into the ledger, and the send queue fed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ..clock import SystemClock
from ..domain.clients import SHARDS, Client
from ..domain.errors import NotFound
from ..domain.mailings import Mailing, MailingState, MailingStatus, ShardProgress
from ..domain.messages import Message, MessageStatus
from ..messaging import Hint, Queue, Unit
from ..observability import logger
from ..storage.clients import ClientRepository
from ..storage.ledger import Ledger
from ..storage.mailings import MailingRepository
from .feeding import Feeder
from .settling import Settler

PAGE = 125  # clients; a multiple of 25, which is what the ledger writes at once
_AHEAD = timedelta(seconds=70)  # the tick comes once a minute, and may be late
_EARLY = timedelta(seconds=1)
_LEASE_MARGIN = timedelta(seconds=15)  # over the invocation's end, for clocks that differ
_STOP_BEFORE = timedelta(seconds=10)  # of the deadline: the time a page may take
_AT_ONCE = 200  # mailings of one status that a tick looks at


class Dispatcher:
    """The dispatcher's work, one unit at a time, and the tick's. Every unit may come twice, late, or never."""

    def __init__(
        self,
        clients: ClientRepository,
        mailings: MailingRepository,
        ledger: Ledger,
        feeder: Feeder,
        settler: Settler,
        dispatch_queue: Queue,
        send_queue: Queue,
        clock: SystemClock,
        rng: random.Random,
    ) -> None:
        self._clients = clients
        self._mailings = mailings
        self._ledger = ledger
        self._feeder = feeder
        self._settler = settler
        self._dispatch_queue = dispatch_queue
        self._send_queue = send_queue
        self._clock = clock
        self._rng = rng

    def handle(self, unit: Unit, deadline: datetime) -> None:
        """Carry out one unit of the dispatch queue; what it is about may be gone or done already."""
        try:
            match unit.kind:
                case "launch":
                    self._launch(unit)
                case "expand":
                    self._expand(unit, deadline)
                case "pump":
                    self._feeder.pump(unit.hop, deadline)
                case "resume":
                    self._resume(unit.mailing_id)
                case "settle":
                    self._settler.settle(unit.mailing_id, deadline)
                case "purge":
                    self._settler.purge(unit.mailing_id, deadline)
                case _:
                    logger.error("unknown unit dropped", unit=unit.kind[:80])
        except NotFound:
            logger.info("unit of a mailing that is gone", unit=unit.kind, mailing_id=unit.mailing_id)

    # -- launch

    def _launch(self, unit: Unit) -> None:
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
        if mailing.end_at <= now:
            self._mailings.change(mailing, replace(mailing.moved_to(MailingStatus.EXPIRED, now), finished_at=now))
            logger.info("mailing expired before it could start", mailing_id=mailing.mailing_id)
            return
        running = replace(mailing.moved_to(MailingStatus.RUNNING, now), launched_at=now)
        if self._mailings.launch(mailing, running):
            self._send_expansions(mailing.mailing_id, SHARDS)
            late = (now - mailing.start_at).total_seconds()
            logger.info("mailing launched", mailing_id=mailing.mailing_id, late_s=round(late, 3))

    def _send_expansions(self, mailing_id: str, shards: Sequence[str]) -> None:
        self._dispatch_queue.send([Unit("expand", mailing_id, shard).body() for shard in shards])

    # -- expand

    def _expand(self, unit: Unit, deadline: datetime) -> None:
        """Write the rows of one shard, page by page; another invocation goes on where this one ends."""
        state = self._mailings.state(unit.mailing_id)
        shard = state.shards.get(unit.shard)
        if shard is None or shard.expanded or state.mailing.status not in (MailingStatus.RUNNING, MailingStatus.PAUSED):
            return
        owner = f"{self._rng.getrandbits(64):016x}"
        if not self._mailings.acquire(
            unit.mailing_id, shard, owner, self._clock.now(), deadline + _LEASE_MARGIN
        ):
            return
        shard = replace(shard, owner=owner)
        while not shard.expanded and self._clock.now() < deadline - _STOP_BEFORE:
            following = self._expand_page(state.mailing, shard)
            if following is None:
                logger.warning("another dispatcher has the shard", mailing_id=unit.mailing_id, shard=unit.shard)
                return
            shard = following
        self._mailings.release(unit.mailing_id, unit.shard, owner)
        if shard.expanded:
            self._after_expansion(unit.mailing_id, shard)

    def _expand_page(self, mailing: Mailing, shard: ShardProgress) -> ShardProgress | None:
        """Ledger before queue, queue before cursor: any step may be repeated. None where the lease was lost."""
        clients, cursor = self._clients.page(mailing.segment, shard.shard, shard.cursor, PAGE)
        # The first page goes to the queue at once, so that sending starts while the rest is being expanded, and a
        # small mailing needs nothing else; the rest waits in the ledger, fed as fast as it is sent.
        first = not shard.cursor and mailing.status is MailingStatus.RUNNING
        now = self._clock.now()
        rows = [_row(mailing, client, now, hinted=first) for client in clients]
        self._ledger.insert(rows)
        skipped = sum(row.status is MessageStatus.SKIPPED for row in rows)
        if first:
            self._send_queue.send(
                [Hint(row.mailing_id, row.client_id).body() for row in rows if row.status is MessageStatus.QUEUED]
            )
        new = replace(
            shard, cursor=cursor, expanded=not cursor, rows=shard.rows + len(rows), fed=first and not cursor
        )
        done = self._mailings.advance(mailing.mailing_id, shard, new, now, Counter({"skipped": skipped}))
        return new if done else None

    def _after_expansion(self, mailing_id: str, shard: ShardProgress) -> None:
        if not shard.fed:
            self._feeder.ensure_pump()
        elif self._mailings.state(mailing_id).statistics.settled:
            self._dispatch_queue.send([Unit("settle", mailing_id).body()])  # nobody to send to, or all sent already

    def _resume(self, mailing_id: str) -> None:
        state = self._mailings.state(mailing_id)
        if state.mailing.status is MailingStatus.RUNNING:
            self._feeder.restart(state)
            self._continue(state)

    # -- the tick

    def tick(self, deadline: datetime) -> None:
        """Once a minute: launch what is due, and set going again whatever has stopped."""
        now = self._clock.now()
        for mailing in self._mailings.with_status(MailingStatus.SCHEDULED, now + _AHEAD, _AT_ONCE):
            delay = max(0, int((mailing.start_at - now).total_seconds()))
            unit = Unit("launch", mailing.mailing_id, revision=mailing.revision)
            self._dispatch_queue.send([unit.body()], delay)
        for mailing in list(self._mailings.with_status(MailingStatus.RUNNING, None, _AT_ONCE)):
            if self._clock.now() >= deadline:
                return
            try:
                self._continue(self._mailings.state(mailing.mailing_id))
            except NotFound:
                continue
        for mailing_id in self._mailings.deleted(_AT_ONCE):
            self._dispatch_queue.send([Unit("purge", mailing_id).body()])

    def _continue(self, state: MailingState) -> None:
        """Set going what has stopped in one running mailing."""
        mailing_id = state.mailing.mailing_id
        now = self._clock.now()
        idle = [
            shard.shard
            for shard in state.shards.values()
            if not shard.expanded and (shard.lease_until is None or shard.lease_until < now)
        ]
        if idle:
            self._send_expansions(mailing_id, idle)
        if state.statistics.settled or now >= state.mailing.end_at:
            self._dispatch_queue.send([Unit("settle", mailing_id).body()])
        elif self._feeder.is_stalled(state):
            logger.warning("mailing stalled, fed again", mailing_id=mailing_id, open=state.statistics.open)
            self._feeder.restart(state)
        if any(shard.expanded and not shard.fed for shard in state.shards.values()):
            self._feeder.ensure_pump()


def _row(mailing: Mailing, client: Client, now: datetime, *, hinted: bool) -> Message:
    skipped = client.opted_out
    return Message(
        mailing_id=mailing.mailing_id,
        client_id=client.client_id,
        phone_number=client.phone_number,
        timezone=client.timezone,
        status=MessageStatus.SKIPPED if skipped else MessageStatus.QUEUED,
        revision=1,
        created_at=now,
        updated_at=now,
        hinted=hinted and not skipped,
        reason="opted out" if skipped else "",
    )
