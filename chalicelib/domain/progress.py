"""Progress: how far a mailing that is under way has come, how fast it goes, and how long it will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from .mailing_counters import MailingCounters
from .mailings import Mailing, MailingState
from .reasons import Cause, Reason
from .statuses import MailingStatus, MessageStatus

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a mailing. `counts` are its messages by status, with their `total`.

    `rate` is in messages a second: what ended in the last minute, or of an ended mailing what it sent in the time in
    which it ran, without pauses. `left` is how long the rest takes at that rate, an estimate. Both are None if nothing
    moves, or it is not known yet. `asleep` messages wait for their clients' own hours.
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
    """How many messages wait for their clients' own hours."""
    outside = (MessageStatus.WAITING, Cause(Reason.OUTSIDE_LOCAL_WINDOW))
    return min(state.statistics.by_status["waiting"], counters.by_cause.get(outside, 0))


def progress_of(state: MailingState, counters: MailingCounters, now: datetime) -> Progress:
    """The progress of a mailing, from its counters. It is late if its end comes before the rest is sent."""
    counts = state.statistics.counts()
    sleeping = asleep(state, counters)
    running = state.mailing.status is MailingStatus.RUNNING
    rate = _rate_of_now(state.mailing, counters, now) if running else _rate_of_all(state.mailing, counters)
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


def _rate_of_now(mailing: Mailing, counters: MailingCounters, now: datetime) -> float | None:
    """What ended in the last minute, or since the mailing was started or resumed; None if nothing ever did."""
    if not counters.by_status.total():
        return None
    began = max((at for at, status in mailing.history if status is MailingStatus.RUNNING), default=mailing.launched_at)
    since = max(now - _MINUTE, min(began or now, now))
    ended = sum(count * _share(at, since, began or since, now) for at, count in counters.lately.items())
    return ended / max(1.0, (now - since).total_seconds())


def _share(minute: datetime, since: datetime, began: datetime, now: datetime) -> float:
    """How much of what ended in a minute ended after `since`, if it came evenly once the mailing ran."""
    end = min(minute + _MINUTE, now)
    ran = end - max(minute, began)
    if ran <= timedelta(0):
        return 1.0 if minute <= now < minute + _MINUTE else 0.0
    return max(0.0, min(1.0, (end - max(minute, since)) / ran))


def _rate_of_all(mailing: Mailing, counters: MailingCounters) -> float | None:
    """What an ended mailing sent a second between the first and the last that was sent, while it ran."""
    first, last = counters.first_sent_at, counters.last_sent_at
    if not mailing.final or first is None or last is None:
        return None
    ran = last - first - _stood_still(mailing, first, last)
    return (counters.by_name["sent"] - 1) / ran.total_seconds() if ran > timedelta(0) else None


def _stood_still(mailing: Mailing, first: datetime, last: datetime) -> timedelta:
    """For how long of a span it did not run: it was paused, or over until it was retried."""
    still = timedelta(0)
    steps = [*mailing.history, (last, mailing.status)]
    for (at, status), (until, _) in pairwise(steps):
        if status is not MailingStatus.RUNNING:
            still += max(timedelta(0), min(until, last) - max(at, first))
    return still
