"""Progress: how far a mailing has come, how fast it is, and how long the rest will take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from .mailing_counters import MailingCounters
from .mailings import Mailing, MailingState
from .reasons import Cause, Reason
from .statuses import MailingStatus, MessageStatus
from .stops import EVER, Span, time_without

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a mailing at one moment. `counts` are its messages by status, with their `total`.

    `rate` is in messages a second: those that ended in the last minute, or all that an ended mailing sent, without the
    time in which it, or all sending, was paused. `left` is how long the rest takes at that rate. Both are None while
    nothing can be sent, nothing moves, or too little is known. `asleep` messages wait for local hours.
    """

    mailing: Mailing
    counts: Mapping[str, int]
    dispatched: bool
    asleep: int
    rate: float | None
    left: timedelta | None
    late: bool

    @property
    def total(self) -> int:
        return self.counts["total"]

    @property
    def done(self) -> int:
        """Messages that have a final status."""
        return self.total - self.counts["queued"] - self.counts["waiting"]


def asleep(state: MailingState, counters: MailingCounters) -> int:
    """How many messages wait for local hours."""
    outside = (MessageStatus.WAITING, Cause(Reason.OUTSIDE_LOCAL_WINDOW))
    return min(state.statistics.by_status["waiting"], counters.by_cause.get(outside, 0))


def progress_of(state: MailingState, counters: MailingCounters, stops: Sequence[Span], now: datetime) -> Progress:
    """The progress of a mailing, from its counters. It is late if its end comes before the rest is sent.

    `stops` are the latest spans in which all sending was stopped; an ended mailing has its own list.
    """
    counts = state.statistics.counts()
    sleeping = asleep(state, counters)
    running = state.mailing.status is MailingStatus.RUNNING
    rate = _rate_of_now(state.mailing, counters, stops, now) if running else _rate_of_all(state.mailing, counters)
    rest = counts["queued"] + counts["waiting"] - sleeping
    left = timedelta(seconds=rest / rate) if rate and running and state.statistics.dispatched else None
    late = left is not None and now + left > state.mailing.end_at
    return Progress(
        mailing=state.mailing,
        counts=counts,
        dispatched=state.statistics.dispatched,
        asleep=sleeping,
        rate=rate,
        left=left,
        late=late,
    )


def _rate_of_now(mailing: Mailing, counters: MailingCounters, stops: Sequence[Span], now: datetime) -> float | None:
    """Messages a second that ended in the last minute, without pauses and stops.

    None if nothing can be sent now, or nothing has ended yet.
    """
    if not counters.by_status.total() or any(since <= now < until for since, until in stops):
        return None
    still = [*_pauses(mailing, now), *stops]
    since = now - _MINUTE
    ended = sum(count * _share(minute, still, since, now) for minute, count in counters.lately.items())
    return ended / max(1.0, time_without(still, since, now).total_seconds())


def _share(minute: datetime, still: Sequence[Span], since: datetime, now: datetime) -> float:
    """The share of a minute's messages that ended after `since`, if they ended evenly while sending was possible."""
    end = min(minute + _MINUTE, now)
    if end <= since or minute > now:
        return 0.0
    ran = time_without(still, minute, end)
    if not ran:
        return 1.0 if now < minute + _MINUTE else 0.0
    return time_without(still, max(minute, since), end) / ran


def _rate_of_all(mailing: Mailing, counters: MailingCounters) -> float | None:
    """Messages a second that an ended mailing sent between its first and last one, without pauses and stops."""
    first, last = counters.first_sent_at, counters.last_sent_at
    if not mailing.final or first is None or last is None:
        return None
    ran = time_without([*_pauses(mailing, last), *mailing.stops], first, max(first, last))
    return (counters.by_name["sent"] - 1) / ran.total_seconds() if ran else None


def _pauses(mailing: Mailing, until: datetime) -> Sequence[Span]:
    """When a mailing did not run: before its launch, while it was paused, and between its end and a retry."""
    launched: tuple[datetime, MailingStatus] = (mailing.launched_at or EVER, MailingStatus.RUNNING)
    steps = [(EVER, None), launched, *mailing.history, (until, None)]
    return [(at, end) for (at, status), (end, _) in pairwise(steps) if status is not MailingStatus.RUNNING]
