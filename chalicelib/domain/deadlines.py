"""Ends (of leases, waits, pauses) that stay right even if the clock was set back after they were written."""

from __future__ import annotations

from datetime import datetime, timedelta

APART = timedelta(seconds=30)  # by which the clocks of two machines may differ


def is_over(end: datetime | None, now: datetime, longest: timedelta) -> bool:
    """Whether an end (of a lease, a wait, a pause) has come, or there is none.

    An end further ahead than `longest` does not count: the clock was set back after it was written, and waiting for it
    would stop everything for that long.
    """
    return end is None or end <= now or end > now + longest + APART
