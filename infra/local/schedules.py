"""When the app's schedules fire, by EventBridge's rules in UTC: `rate(…)`, and `cron(…)` for minutes of an hour.

Other forms of cron are refused, because the app has none; add a new one here, with its test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

_RATE = re.compile(r"rate\(([1-9]\d*) (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\((\d{1,2})(?:/([1-9]\d?))? \* \* \* \? \*\)")


class Expression(Protocol):
    """A schedule expression, parsed."""

    def first(self, now: datetime) -> datetime:
        """When a schedule that is created at `now` fires for the first time."""

    def after(self, moment: datetime) -> datetime:
        """The next firing strictly after a firing at `moment`."""


def parse(text: str) -> Expression:
    """Parse a schedule expression. Raises ValueError if it is invalid, or a form of cron that the app does not use."""
    if rate := _RATE.fullmatch(text):
        return RateExpression(timedelta(**{f"{rate[2]}s": int(rate[1])}))
    if (cron := _CRON.fullmatch(text)) and int(cron[1]) < 60:
        return HourlyExpression(frozenset(range(int(cron[1]), 60, int(cron[2] or 60))))
    raise ValueError(f"not rate(…) or cron(minute/step * * * ? *): {text}")


@dataclass(frozen=True, slots=True)
class RateExpression:
    """Fires at once and then every `period`."""

    period: timedelta

    def first(self, now: datetime) -> datetime:
        return now

    def after(self, moment: datetime) -> datetime:
        return moment + self.period


@dataclass(frozen=True, slots=True)
class HourlyExpression:
    """Fires in these minutes of every hour; there is at least one."""

    minutes: frozenset[int]

    def first(self, now: datetime) -> datetime:
        return self.after(now - timedelta(microseconds=1))

    def after(self, moment: datetime) -> datetime:
        hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        firings = [hour + timedelta(minutes=minute) for minute in (*self.minutes, *(60 + one for one in self.minutes))]
        return min(firing for firing in firings if firing > moment)
