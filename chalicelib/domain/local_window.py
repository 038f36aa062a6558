"""The local window: the hours of a client's own day in which it may be reached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from .clients import zone
from .errors import Invalid

_HOUR = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DAYS = 3  # that are looked through for an opening: a window may fall into the gap of a day whose clock goes forward


class WindowPolicy(StrEnum):
    """What happens to a client outside its hours: it waits for them, or is left out."""

    DEFER = "defer"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class LocalWindow:
    """From an hour until another, of the client's own day; across midnight where `until` is not after `start`."""

    start: time
    until: time
    policy: WindowPolicy = WindowPolicy.DEFER

    @classmethod
    def parse(cls, start: str, until: str, policy: WindowPolicy) -> LocalWindow:
        """The window between two times of day such as 09:00; Invalid names the field that is wrong."""
        return cls(_parse(start, "local_window.from"), _parse(until, "local_window.until"), policy)

    def __post_init__(self) -> None:
        if self.start == self.until:
            raise Invalid.of("local_window.until", "must differ from local_window.from")

    def allows(self, moment: datetime, timezone: str) -> bool:
        """Whether a client of that time zone may be reached at a moment."""
        local = moment.astimezone(zone(timezone)).time()
        if self.start < self.until:
            return self.start <= local < self.until
        return local >= self.start or local < self.until

    def opening(self, moment: datetime, timezone: str) -> datetime:
        """The first moment from `moment` on at which a client of that time zone may be reached.

        Right where the clock goes forward (an opening in the gap is its end) and where it goes back (an hour that
        comes twice opens twice).
        """
        if self.allows(moment, timezone):
            return moment
        place = zone(timezone)
        today = moment.astimezone(place).date()
        candidates = []
        for days in range(-1, _DAYS + 1):
            for fold in (0, 1):
                local = datetime.combine(today + timedelta(days=days), self.start, place).replace(fold=fold)
                candidates.append(local.astimezone(moment.tzinfo))
        return min(at for at in candidates if at > moment and self.allows(at, timezone))


def _parse(text: str, field: str) -> time:
    match = _HOUR.fullmatch(text)
    if not match:
        raise Invalid.of(field, "must be a time of day such as 09:00")
    return time(int(match[1]), int(match[2]))
