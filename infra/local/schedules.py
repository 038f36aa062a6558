"""When a schedule of the Chalice app fires: `rate(…)` and `cron(…)` as EventBridge reads them, in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_MONTHS = dict(
    zip(["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], range(1, 13), strict=True)
)
_DAYS = dict(zip(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], range(1, 8), strict=True))
_LONGEST_GAP = timedelta(days=366 * 5)


class Expression(Protocol):
    """A schedule expression, parsed."""

    def first(self, now: datetime) -> datetime:
        """When a schedule that begins to exist at `now` fires for the first time."""

    def after(self, moment: datetime) -> datetime:
        """The next firing strictly after a firing at `moment`. Raises ValueError if there is none."""


def parse(text: str) -> Expression:
    """Read a schedule expression; ValueError says what cannot be read."""
    if rate := _RATE.fullmatch(text):
        return RateExpression(timedelta(**{f"{rate[2]}s": int(rate[1])}))
    if cron := _CRON.fullmatch(text):
        return CronExpression.parsed(*cron.groups())
    raise ValueError(f"not a schedule expression: {text}")


@dataclass(frozen=True, slots=True)
class RateExpression:
    """Fires at once and then every `period`."""

    period: timedelta

    def first(self, now: datetime) -> datetime:
        return now

    def after(self, moment: datetime) -> datetime:
        return moment + self.period


@dataclass(frozen=True, slots=True)
class CronExpression:
    """Fires in every minute that all six fields allow; days of the week count from 1 = Sunday."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    years: frozenset[int]

    @classmethod
    def parsed(cls, minute: str, hour: str, day: str, month: str, weekday: str, year: str) -> CronExpression:
        """Read the six fields. Raises ValueError for a field out of range and for `L`, `W` and `#`, which nothing
        uses.
        """
        return cls(
            _values(minute, 0, 59, {}),
            _values(hour, 0, 23, {}),
            _values(day, 1, 31, {}),
            _values(month, 1, 12, _MONTHS),
            _values(weekday, 1, 7, _DAYS),
            _values(year, 1970, 2199, {}),
        )

    def first(self, now: datetime) -> datetime:
        return self.after(now - timedelta(microseconds=1))

    def after(self, moment: datetime) -> datetime:
        moment = moment.astimezone(UTC)
        candidate = moment.replace(second=0, microsecond=0)
        if candidate <= moment:
            candidate += timedelta(minutes=1)
        limit = candidate + _LONGEST_GAP
        while candidate < limit:
            if not self._allows_day(candidate):
                candidate = candidate.replace(hour=0, minute=0) + timedelta(days=1)
            elif candidate.hour not in self.hours:
                candidate = candidate.replace(minute=0) + timedelta(hours=1)
            elif candidate.minute not in self.minutes:
                candidate += timedelta(minutes=1)
            else:
                return candidate
        raise ValueError("the schedule never fires again")

    def _allows_day(self, moment: datetime) -> bool:
        return (
            moment.year in self.years
            and moment.month in self.months
            and moment.day in self.days
            and moment.isoweekday() % 7 + 1 in self.weekdays
        )


def _values(field: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    chosen: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span in {"*", "?"}:
            start, end = low, high
        else:
            start = _number(first, names)
            end = _number(last, names) if last else (high if step else start)
        if not low <= start <= end <= high:
            raise ValueError(f"out of range {low}-{high}: {part}")
        chosen.update(range(start, end + 1, _number(step, {}) if step else 1))
    return frozenset(chosen)


def _number(text: str, names: dict[str, int]) -> int:
    try:
        return names.get(text.upper()) or int(text)
    except ValueError as error:
        raise ValueError(f"cannot be read in a cron expression: {text}") from error
