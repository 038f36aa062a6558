"""Hinting: sends hints for rows of the ledger to the send queue; for parked ones if they are due."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.deadlines import is_over
from ...domain.mailings import Mailing, MailingState, ShardProgress
from ...domain.messages import PARKED_AT_MOST, Message
from ...domain.statuses import MessageStatus
from ...observability import logger
from ...queues import MAX_DELAY, Queue, hints_for
from ...storage.ledger import Ledger
from ...storage.mailings import MailingRepository

SOON = timedelta(seconds=70)  # parked messages that are due before the next tick get their hint, with a delay
EVER = timedelta(days=366)
PAGE = 500  # rows
_BUCKETS = 100  # with parked messages that are read at once


@dataclass(frozen=True, slots=True)
class Portion:
    """What to feed of one mailing: up to `limit` messages, visible after at least `wait` seconds."""

    state: MailingState
    limit: int
    parked: bool = False  # parked messages that are due come first
    shard: ShardProgress | None = None
    wait: int = 0


@dataclass(frozen=True, slots=True)
class HintingResult:
    """The result of a portion: how many messages got hints, and whether rows that need none were skipped."""

    hinted: int = 0
    passed: bool = False
    all_parked: bool = False  # whether every parked message that is due soon has a hint
    shard: ShardProgress | None = None  # as it is afterwards
    moved: bool | None = None  # False: the cursor was elsewhere, or the feed was restarted


class Hinter:
    """Sends hints, one for each parked message, which it remembers. May work on several mailings at once."""

    def __init__(
        self, mailings: MailingRepository, ledger: Ledger, send_queue: Queue, clock: SystemClock, rng: random.Random
    ) -> None:
        self._mailings = mailings
        self._ledger = ledger
        self._send_queue = send_queue
        self._clock = clock
        self._rng = rng
        self._hinted: set[tuple[str, str, datetime]] = set()

    def hint(self, portion: Portion) -> HintingResult:
        """Send hints for some messages of a mailing: first parked ones that are due, then those of one shard."""
        result = self._hint_parked(portion) if portion.parked else HintingResult()
        if portion.shard is None or result.hinted >= portion.limit:
            return result
        return self._hint_shard(portion, portion.shard, result)

    def _hint_shard(self, portion: Portion, shard: ShardProgress, result: HintingResult) -> HintingResult:
        mailing_id = portion.state.mailing.mailing_id
        limit = min(PAGE, portion.limit - result.hinted)
        rows, last = self._ledger.page(mailing_id, shard.shard, shard.feed_cursor, limit)
        now = self._clock.now()
        by_delay: dict[int, list[str]] = {}
        for row in rows:
            delay = _hint_delay(row, shard, now)
            if delay is not None:
                by_delay.setdefault(max(portion.wait, delay), []).append(row.client_id)
        hinted = self._send(portion.state.mailing, by_delay)
        new = replace(shard, feed_cursor=last or shard.feed_cursor, fed=not last)
        moved = self._mailings.shards.advance_feed(mailing_id, shard, new)
        return replace(result, hinted=result.hinted + hinted, passed=not hinted, shard=new, moved=moved)

    def _send(self, mailing: Mailing, by_delay: dict[int, list[str]]) -> int:
        for delay, client_ids in by_delay.items():
            self._send_queue.send(hints_for(mailing.mailing_id, client_ids, mailing.division), delay)
        count = sum(map(len, by_delay.values()))
        if count:
            logger.info("hints sent", mailing_id=mailing.mailing_id, count=count)
        return count

    def _hint_parked(self, portion: Portion) -> HintingResult:
        """Send hints for parked messages, which become visible when the messages are due."""
        mailing, limit = portion.state.mailing, min(PAGE, portion.limit)
        now, mailing_id = self._clock.now(), mailing.mailing_id
        by_delay: dict[int, list[str]] = {}
        found = 0
        for shard in self._rng.sample(mailing.division.names, mailing.division.shards):
            for due_at, client_id in self._due(mailing, shard, now, limit - found):
                delay = max(portion.wait, seconds_until(due_at, now) if due_at <= now + SOON else 0)
                by_delay.setdefault(delay, []).append(client_id)
                self._hinted.add((mailing_id, client_id, due_at))
                found += 1
            if found >= limit:
                break
        return HintingResult(hinted=self._send(mailing, by_delay), all_parked=found < limit)

    def _due(self, mailing: Mailing, shard: str, now: datetime, limit: int) -> list[tuple[datetime, str]]:
        """Up to `limit` parked messages of a shard that are due soon and have no hint yet."""
        new: list[tuple[datetime, str]] = []
        place = ""
        while len(new) < limit:
            page, place = self._ledger.due(mailing.mailing_id, shard, look_until(mailing, now), place, _BUCKETS)
            new += [
                (due_at, client)
                for due_at, client in page
                if is_due_soon(mailing, due_at, now) and (mailing.mailing_id, client, due_at) not in self._hinted
            ]
            if not place:
                break
        return new[:limit]


def look_until(mailing: Mailing, now: datetime) -> datetime:
    """The time up to which parked messages are looked for.

    Without local hours messages wait for minutes at most, so all of them are looked for: one that seems to be due much
    later was parked before the clock was set back.
    """
    return now + (SOON if mailing.local_window else EVER)


def is_due_soon(mailing: Mailing, due_at: datetime, now: datetime) -> bool:
    """Whether a parked message needs its hint now; see `look_until`."""
    return due_at <= now + SOON or (mailing.local_window is None and is_over(due_at, now, PARKED_AT_MOST))


def _hint_delay(row: Message, shard: ShardProgress, now: datetime) -> int | None:
    """The delay of a row's hint in seconds, or None if it needs none. Parked rows are found separately."""
    if row.status is MessageStatus.QUEUED:
        if row.hinted and shard.feed_round == 0:
            return None
        ready = row.retry_at
    elif row.status is MessageStatus.SENDING:
        ready = row.lease_until
    else:
        return None
    return seconds_until(ready, now) if ready else 0


def seconds_until(moment: datetime, now: datetime) -> int:
    """Whole seconds until a moment, rounded up, as a queue can delay a hint."""
    return min(MAX_DELAY, max(0, math.ceil((moment - now).total_seconds())))
