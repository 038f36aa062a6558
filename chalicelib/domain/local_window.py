"""The local window: the hours of a client's own day in which they may get messages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from .clients import zone
from .errors import Invalid
from .faults import Fault

_HOUR = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DAYS = 3  # in which to look for an opening: a window may fall into the gap of a day on which the clock goes forward


class WindowPolicy(StrEnum):
    """What happens outside a client's local hours: the message waits, or is not sent."""

    DEFER = "defer"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class LocalWindow:
    """From one hour until another of the client's own day; across midnight if `until` is not after `start`."""

    start: time
    until: time
    policy: WindowPolicy = WindowPolicy.DEFER

    @classmethod
    def parse(cls, start: str, until: str, policy: WindowPolicy) -> LocalWindow:
        """The window between two times of day such as 09:00. Raises Invalid with the wrong field."""
        return cls(_parse(start, "local_window.from"), _parse(until, "local_window.until"), policy)

    def __post_init__(self) -> None:
        if self.start == self.until:
            raise Invalid.of("local_window.until", Fault.LOCAL_WINDOW_EMPTY)

    def allows(self, moment: datetime, timezone: str) -> bool:
        """Whether clients in this time zone may get messages at a moment."""
        local = moment.astimezone(zone(timezone)).time()
        if self.start < self.until:
            return self.start <= local < self.until
        return local >= self.start or local < self.until

    def opening(self, moment: datetime, timezone: str) -> datetime:
        """The first moment from `moment` on at which clients in this time zone may get messages.

        This holds when the clock goes forward (an opening in the gap moves to the gap's end) and when it goes back (an
        hour that comes twice opens twice, and a window that has closed may open once more).
        """
        if self.allows(moment, timezone):
            return moment
        turns = _turns(self.start, moment, zone(timezone))
        return min(at for at in turns if self.allows(at, timezone)).astimezone(moment.tzinfo)

    def closing(self, moment: datetime, timezone: str) -> datetime:
        """The first moment from `moment` on at which clients in this time zone may not get messages."""
        if not self.allows(moment, timezone):
            return moment
        turns = _turns(self.until, moment, zone(timezone))
        return min(at for at in turns if not self.allows(at, timezone)).astimezone(moment.tzinfo)


def _turns(hour: time, moment: datetime, place: ZoneInfo) -> list[datetime]:
    """The moments in the next days at which a place's clock shows this hour, or goes forward or back."""
    today = moment.astimezone(place).date()
    days = [today + timedelta(days=number) for number in range(-1, _DAYS + 1)]
    hours = [datetime.combine(day, hour, place).replace(fold=fold) for day in days for fold in (0, 1)]
    found = [at.astimezone(UTC) for at in hours]
    for number in range(_DAYS):
        found += _changes(moment + timedelta(days=number), moment + timedelta(days=number + 1), place)
    return [at for at in found if at > moment]


def _changes(after: datetime, until: datetime, place: ZoneInfo) -> list[datetime]:
    """The moment between two others, at most a day apart, at which a place's clock goes forward or back, if any."""
    low, high = int(after.timestamp()), int(until.timestamp())
    before = after.astimezone(place).utcoffset()
    if before == until.astimezone(place).utcoffset():
        return []
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, place).utcoffset() == before:
            low = middle
        else:
            high = middle
    return [datetime.fromtimestamp(high, UTC)]


def _parse(text: str, field: str) -> time:
    match = _HOUR.fullmatch(text)
    if not match:
        raise Invalid.of(field, Fault.NOT_A_TIME_OF_DAY)
    return time(int(match[1]), int(match[2]))
