"""Progress: how far a mailing that is under way has come, how fast it goes, and how long it will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from .counters import Tally
from .mailings import Mailing, MailingState
from .reasons import Cause, Reason
from .statuses import MailingStatus, MessageStatus


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a mailing. `counts` are its messages by status, with their `total`.

    `rate` is what ended lately, in messages a second, and `left` how long the rest takes at that rate: None if nothing
    moves, or it is not known yet. Both are estimates. `asleep` messages wait for their clients' own hours.
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


def asleep(state: MailingState, tally: Tally) -> int:
    """How many messages wait for their clients' own hours."""
    outside = (MessageStatus.WAITING, Cause(Reason.OUTSIDE_LOCAL_WINDOW))
    return min(state.statistics.by_status["waiting"], tally.by_cause.get(outside, 0))


def progress_of(state: MailingState, tally: Tally, now: datetime) -> Progress:
    """The progress of a mailing, from its counters. It is late if its end comes before the rest is sent."""
    counts = state.statistics.counts()
    sleeping = asleep(state, tally)
    running = state.mailing.status is MailingStatus.RUNNING
    rate = _rate(tally, state.mailing.launched_at or now, now) if running else None
    rest = counts["queued"] + counts["waiting"] - sleeping
    left = timedelta(seconds=rest / rate) if rate and state.statistics.dispatched else None
    late = left is not None and now + left > state.mailing.end_at
    return Progress(state.mailing, counts, state.statistics.dispatched, sleeping, rate, left, late)


def _rate(tally: Tally, launched_at: datetime, now: datetime) -> float | None:
    """What ended in this period and the one before it: minutes at first, later longer ones, which jump less."""
    course = tally.course
    last = max((at for at in course.periods if at <= now), default=None)
    if last is None:
        return None
    before = last + (now - last) // course.width * course.width - course.width
    ended = sum(counts.total() for at, counts in course.periods.items() if at >= before)
    return ended / max(1.0, (now - max(before, launched_at)).total_seconds())
