"""Ends that were written by a clock, and are read by one that may have been set back since."""

from __future__ import annotations

from datetime import datetime, timedelta

APART = timedelta(seconds=30)  # that the clocks of two machines may differ


def is_over(end: datetime | None, now: datetime, longest: timedelta) -> bool:
    """Whether an end (of a lease, a wait, a pause) has come, or there is none.

    One that is further ahead than the longest there can be does not count: the clock was set back after it was written,
    and to wait for it would stop everything for as long as that.
    """
    return end is None or end <= now or end > now + longest + APART
