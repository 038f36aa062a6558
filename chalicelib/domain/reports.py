"""The daily report: which day it is about, when it is due, and what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from .clients import zone
from .mailings import Mailing
from .reasons import Cause
from .statuses import MailingStatus

_HOUR = timedelta(hours=1)
_CATCH_UP = timedelta(hours=12)  # a report that could not be sent for longer is skipped


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day of a time zone, from `start` until `end` (UTC): 23 or 25 hours if the clocks change."""

    on: date
    timezone: str
    start: datetime
    end: datetime

    @classmethod
    def of(cls, day: date, timezone: str) -> Day:
        """The day with this date in a time zone."""
        return cls(day, timezone, _at(day, 0, timezone), _at(day + timedelta(days=1), 0, timezone))

    def hours(self) -> list[datetime]:
        """Every whole hour (UTC) that begins in the day."""
        first = self.start.replace(minute=0, second=0, microsecond=0)
        first += _HOUR if first < self.start else timedelta(0)
        return [first + number * _HOUR for number in range(26) if first + number * _HOUR < self.end]

    def clock(self, moment: datetime) -> str:
        """The time of day of a moment in the zone; with the zone's abbreviation if the clocks change on that day."""
        local = moment.astimezone(zone(self.timezone))
        return f"{local:%H:%M}" if self.end - self.start == timedelta(days=1) else f"{local:%H:%M} {local:%Z}"


@dataclass(frozen=True, slots=True)
class Timetable:
    """When reports are made: every day at an hour of a time zone, about the day before."""

    hour: int
    timezone: str

    def today(self, now: datetime) -> date:
        """The date in the zone."""
        return now.astimezone(zone(self.timezone)).date()

    def due(self, now: datetime) -> Day | None:
        """The day whose report is due, None if there is none. A report is due for twelve hours.

        If the clocks skip the hour, the next hour counts; if the hour comes twice, the first one.
        """
        today = self.today(now)
        for sent_on in (today, today - timedelta(days=1)):
            late = now - _at(sent_on, self.hour, self.timezone)
            if late >= timedelta(0):
                return Day.of(sent_on - timedelta(days=1), self.timezone) if late < _CATCH_UP else None
        return None


def _at(day: date, hour: int, timezone: str) -> datetime:
    return datetime.combine(day, time(hour), zone(timezone)).astimezone(UTC)


def concerns(mailing: Mailing, day: Day) -> bool:
    """Whether a mailing was under way on a day, ended on it, or should have started on it."""
    begun = mailing.launched_at or mailing.finished_at
    if begun is None:
        return day.start <= mailing.start_at < day.end
    return begun < day.end and (mailing.finished_at or day.end) >= day.start


@dataclass(frozen=True, slots=True)
class MailingLine:
    """One mailing in the report. `counts` are its messages by status up to now, `total` among them."""

    mailing_id: str
    name: str
    status: MailingStatus
    start_at: datetime
    counts: dict[str, int]
    sent_on_day: int | None  # None if its counters by hour were not read
    deliveries: Counter[str] = field(default_factory=Counter)  # of the sent messages; empty if nothing is known


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """How many messages have a status other than sent for one cause."""

    status: str
    cause: Cause
    count: int


@dataclass(frozen=True, slots=True)
class DailyReport:
    """What the report says; the figures are of `made_at`.

    `messages` counts the messages of all the day's mailings by status, also those sent on other days. `sent` counts the
    messages sent on the day, by hour. `deliveries` counts deliveries, if there are receipts. `unlisted` mailings are
    counted, but not in `lines`. The `unread` ones, the smallest, are not in hours, reasons and deliveries. `cut` says
    that the day had more mailings than a report reads.
    """

    day: Day
    made_at: datetime
    mailings: Counter[str]
    messages: Counter[str]
    sent: Sequence[tuple[datetime, int]]
    reasons: Sequence[ReasonLine]
    lines: Sequence[MailingLine]
    unlisted: int = 0
    unread: int = 0
    cut: bool = False
    other_reasons: int = 0
    deliveries: Counter[str] = field(default_factory=Counter)

    @property
    def complete(self) -> bool:
        """Whether the day was over when the report was made."""
        return self.made_at >= self.day.end

    @property
    def sent_on_day(self) -> int:
        return sum(count for _, count in self.sent)
