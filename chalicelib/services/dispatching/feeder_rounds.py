"""The rounds of one feeder: the send queue is filled again and again, in fair shares and within the rates."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...config import Settings
from ...domain.clients import SHARDS
from ...domain.deadlines import is_over
from ...domain.gateway_control import PROBES, GatewayControl
from ...domain.mailings import Mailing, MailingState, ShardProgress
from ...domain.messages import HINT_SIZE, PARKED_AT_MOST, Message
from ...domain.sending_rules import obstacle
from ...domain.statuses import MailingStatus, MessageStatus
from ...observability import MESSAGES_DISPATCHED, logger, measure
from ...queues import MAX_DELAY, Queue, hints_for
from ...storage.ledger import Ledger
from ...storage.mailings import MailingRepository
from ..gateway_control import HORIZON, TOLERANCE, GatewayControlService

SOON = timedelta(seconds=70)  # parked messages that are due before the next tick get their hint, with the delay
_IDLE = (0.2, 2.0)  # seconds between looks at a queue that is full enough, longer the longer it is
_PARKEDEVERY = timedelta(seconds=3)  # between looks at a mailing's parked messages, once all that are due have hints
_LINGER = timedelta(seconds=15)  # after the last hint, for messages that are parked again and due at once
_PAGE = 500  # rows
EVER = timedelta(days=366)
# Of work at the allowed rate that a mailing may be ahead: less than senders can book, or they would park what is over.
_AHEAD = HORIZON * 0.75


class FeederRounds:
    """Remembers which parked messages it has hinted at, so as to do it once, and how much each rate let through."""

    def __init__(
        self,
        settings: Settings,
        mailings: MailingRepository,
        ledger: Ledger,
        control: GatewayControlService,
        send_queue: Queue,
        clock: SystemClock,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._mailings = mailings
        self._ledger = ledger
        self._control = control
        self._send_queue = send_queue
        self._clock = clock
        self._rng = rng
        self._hinted: set[tuple[str, str, datetime]] = set()
        self._parked_from: dict[str, datetime] = {}
        self._budgets: dict[str, tuple[float, datetime]] = {}
        self._idle = _IDLE[0]
        self._fed_at = clock.now()

    def round(self) -> bool:
        """Fill the queue up to its mark, a fair share for every mailing; False if nothing is left to do."""
        now = self._clock.now()
        control = self._control_now()
        waiting = [
            state
            for mailing in list(self._mailings.with_status(MailingStatus.RUNNING))
            for state in [self._mailings.state(mailing.mailing_id)]
            if not obstacle(state.mailing, now) and (state.next_to_feed or state.statistics.by_status["waiting"] > 0)
        ]
        self._rng.shuffle(waiting)
        if control.open:
            self._probe(control, waiting)
            # The sender that closes the circuit, or finds it in trouble still, starts one, but not beside this one.
            return not self._control_now().open
        fed = self._feed_all(waiting, control.limit(now))
        if fed:
            self._idle, self._fed_at = _IDLE[0], now
        elif waiting:
            self._clock.sleep(self._idle)
            self._idle = min(_IDLE[1], self._idle * 1.5)
        if any(state.next_to_feed or self._has_parked_soon(state) for state in waiting):
            return True
        return bool(waiting) and now - self._fed_at < _LINGER

    def _control_now(self) -> GatewayControl:
        """What is known of the gateway; that the circuit is open, only if it is so this moment.

        A feeder that is started because it was closed must not go away by what was read a second ago.
        """
        control = self._control.state()
        return self._control.state(self._clock.now()) if control.open else control

    def _feed_all(self, waiting: list[MailingState], rate: float | None) -> int:
        room = self._settings.queue_high_water - self._send_queue.depth() if waiting else 0
        if room < self._settings.queue_high_water // 4:
            return 0
        room *= HINT_SIZE
        if rate:
            room = min(room, self._budget("", rate))
        fed = 0
        for place, state in enumerate(waiting):
            share = math.ceil((room - fed) / (len(waiting) - place))
            if state.mailing.rate_limit:
                share = min(share, self._budget(state.mailing.mailing_id, state.mailing.rate_limit))
            fed += self._feed(state, min(_PAGE, share)) if share > 0 else 0
        return fed

    def _budget(self, name: str, rate: float) -> int:
        """How many messages a rate lets through now. They count once they have hints."""
        now = self._clock.now()
        per_second = rate / (1 + TOLERANCE.total_seconds())
        most = max(1.0, per_second * _AHEAD.total_seconds())
        left, since = self._budgets.get(name, (most, now))
        left = min(most, left + max(0.0, (now - since).total_seconds()) * per_second)
        self._budgets[name] = left, now
        return int(left)

    def _send(self, mailing_id: str, by_delay: dict[int, list[str]]) -> int:
        for delay, client_ids in by_delay.items():
            self._send_queue.send(hints_for(mailing_id, client_ids), delay)
        count = sum(map(len, by_delay.values()))
        measure(MESSAGES_DISPATCHED, count)
        if count:
            logger.info("hints sent", mailing_id=mailing_id, count=count)
        for name in ("", mailing_id):
            if name in self._budgets:
                left, since = self._budgets[name]
                self._budgets[name] = left - count, since
        return count

    def _probe(self, control: GatewayControl, waiting: list[MailingState]) -> None:
        """Send a few messages when an open circuit may be tried again.

        They come from as many mailings as possible: messages that the gateway will never accept must not decide for
        the others.
        """
        if control.held or control.retry_at is None:
            return
        now = self._clock.now()
        delay = 0 if control.may_be_tried(now) else _seconds_until(control.retry_at, now)
        for state in itertools.islice(itertools.cycle(waiting), PROBES):
            self._feed(state, 1, delay)

    def _feed(self, state: MailingState, limit: int, wait: int = 0) -> int:
        """Give some messages of a mailing to the queue, to be seen after so many seconds at least: parked ones that are
        due first, then those of one shard. Answers how many, or 1 where it went past rows that need no hint."""
        mailing_id = state.mailing.mailing_id
        fed = self._feed_parked(state.mailing, limit, wait) if self._has_parked_soon(state) else 0
        shard = state.next_to_feed
        if shard is None or fed >= limit:
            return fed
        rows, last = self._ledger.page(mailing_id, shard.shard, shard.feed_cursor, limit - fed)
        now = self._clock.now()
        by_delay: dict[int, list[str]] = {}
        for row in rows:
            delay = _hint_delay(row, shard, now)
            if delay is not None:
                by_delay.setdefault(max(wait, delay), []).append(row.client_id)
        hinted = self._send(mailing_id, by_delay)
        moved = replace(shard, feed_cursor=last or shard.feed_cursor, fed=not last)
        self._mailings.advance_feed(mailing_id, shard, moved)
        return fed + max(1, hinted)

    def _has_parked_soon(self, state: MailingState) -> bool:
        if state.statistics.by_status["waiting"] <= 0:
            return False
        return is_over(self._parked_from.get(state.mailing.mailing_id), self._clock.now(), _PARKEDEVERY)

    def _feed_parked(self, mailing: Mailing, limit: int, wait: int) -> int:
        """Hints for parked messages, to be seen when they are due."""
        now, mailing_id = self._clock.now(), mailing.mailing_id
        by_delay: dict[int, list[str]] = {}
        found = 0
        for shard in self._rng.sample(SHARDS, len(SHARDS)):
            for due_at, client_id in self._due(mailing, shard, now, limit - found):
                delay = max(wait, _seconds_until(due_at, now) if due_at <= now + SOON else 0)
                by_delay.setdefault(delay, []).append(client_id)
                self._hinted.add((mailing_id, client_id, due_at))
                found += 1
            if found >= limit:
                break
        else:
            self._parked_from[mailing_id] = now + _PARKEDEVERY
        return self._send(mailing_id, by_delay)

    def _due(self, mailing: Mailing, shard: str, now: datetime, limit: int) -> list[tuple[datetime, str]]:
        """Up to `limit` parked messages of a shard that are due soon and have no hint yet."""
        new: list[tuple[datetime, str]] = []
        place: tuple[datetime, str] | None = None
        while len(new) < limit:
            page = self._ledger.due(mailing.mailing_id, shard, look_until(mailing, now), place, _PAGE)
            new += [
                (due_at, client)
                for due_at, client in page
                if is_due_soon(mailing, due_at, now) and (mailing.mailing_id, client, due_at) not in self._hinted
            ]
            if len(page) < _PAGE:
                break
            place = page[-1]
        return new[:limit]


def look_until(mailing: Mailing, now: datetime) -> datetime:
    """The time up to which parked messages are looked for. Messages that wait for no local hours wait for minutes at
    most, so they are looked for however late they seem to be due: then the clock was set back.
    """
    return now + (SOON if mailing.local_window else EVER)


def is_due_soon(mailing: Mailing, due_at: datetime, now: datetime) -> bool:
    """Whether a parked message is to have its hint now; see `look_until`."""
    return due_at <= now + SOON or (mailing.local_window is None and is_over(due_at, now, PARKED_AT_MOST))


def _hint_delay(row: Message, shard: ShardProgress, now: datetime) -> int | None:
    """Seconds until a row needs a hint, or None if it needs none. Parked rows are found separately."""
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
