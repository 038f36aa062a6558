"""Forecasts: which clients a mailing will not reach, and whether its window is long enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from .local_window import LocalWindow, WindowPolicy
from .reasons import Reason

_DAY = timedelta(days=1)
_DAYS_AHEAD = 92  # days that a forecast looks at; each takes some milliseconds for a mailing to the whole world

Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Forecast:
    """How sending a number of messages will go. `rate` is in messages a second, None if there is no limit.

    `needed` is how long all of them take at that rate. `finishes_at` is None if there is no rate, or if no end is in
    sight. It is an estimate: retries and a slow gateway take longer.
    """

    rate: float | None
    needed: timedelta | None
    finishes_at: datetime | None
    long_enough: bool


def left_out(window: LocalWindow | None, timezone: str, start: datetime, end: datetime) -> Reason | None:
    """Why clients in a time zone will not be reached between two moments, None if they will be."""
    if window is None or start >= end or window.allows(start, timezone):
        return None
    if window.policy is WindowPolicy.SKIP:
        return Reason.OUTSIDE_LOCAL_WINDOW
    return Reason.LOCAL_WINDOW_TOO_LATE if window.opening(start, timezone) >= end else None


def forecast(
    recipients: Mapping[str, int], window: LocalWindow | None, rate: float | None, start: datetime, end: datetime
) -> Forecast:
    """The forecast for a number of recipients in each time zone, all of whom can be reached at some moment."""
    total = sum(recipients.values())
    needed = timedelta(seconds=total / rate) if rate else None
    if rate is None or needed is None:
        return Forecast(None, None, None, start < end)
    if window is None:
        finishes_at = start + needed
        return Forecast(rate, needed, finishes_at, finishes_at <= end)
    left = Counter(recipients)
    for day in range(_DAYS_AHEAD):
        since = start + day * _DAY
        until = min(end, since + _DAY)
        if since >= until:
            break
        finished = _send(left, _open_at(left, window, since, until, first=day == 0), rate)
        if finished is not None:
            return Forecast(rate, needed, max(start, finished), True)
    return Forecast(rate, needed, None, not left.total())


def _open_at(
    timezones: Iterable[str], window: LocalWindow, since: datetime, until: datetime, *, first: bool
) -> dict[str, list[Interval]]:
    """When clients in each time zone may be reached. With the policy `skip` that is at the start or never."""
    closed = LocalWindow(window.until, window.start)
    found: dict[str, list[Interval]] = {}
    for timezone in timezones:
        moment = since
        intervals = found[timezone] = []
        while (opens := window.opening(moment, timezone)) < until:
            moment = min(until, closed.opening(opens, timezone))
            intervals.append((opens, moment))
            if moment >= until:
                break
        if window.policy is WindowPolicy.SKIP:
            found[timezone] = [one for one in intervals if first and one[0] == since]
    return found


def _send(left: Counter[str], opened: Mapping[str, list[Interval]], rate: float) -> datetime | None:
    """Simulate sending at the rate, first to those whose hours end first. Returns when the last message is sent."""
    moments = sorted({moment for intervals in opened.values() for interval in intervals for moment in interval})
    for since, until in pairwise(moments):
        capacity = int(rate * (until - since).total_seconds())
        room = capacity
        reachable = [
            (interval[1], timezone)
            for timezone, intervals in opened.items()
            for interval in intervals
            if interval[0] <= since < interval[1]
        ]
        for _, timezone in sorted(reachable):
            sent = min(room, left[timezone])
            left[timezone] -= sent
            room -= sent
        if not left.total():
            return since + timedelta(seconds=(capacity - room) / rate)
    return None
