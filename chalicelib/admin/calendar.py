"""/admin/calendar and /admin/mailings/compare: what is planned and was sent, by the day of its start.

In a month or a week; and the mailings of any span of days beside each other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from ..domain.errors import Invalid
from ..domain.faults import Fault
from ..domain.mailing_counters import MailingCounters
from ..domain.mailings import MailingState
from ..domain.reports import Day
from ..domain.results import result_of
from ..domain.statuses import UNDER_WAY
from ..services.overviews import SHOWN
from ..web.bodies import DateIn
from . import charts, formats
from .charts import FAILED, OTHER, SENT, Bucket, Series
from .page_request import PageRequest
from .routing import Page, Pages
from .texts import _

pages = Pages()
_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)
_SHOWN_OF_MONTH = 4  # mailings shown for a day
_SHOWN_OF_WEEK = 50
_LONGEST = timedelta(days=366)  # longest span that can be compared
_BY_DAYS = timedelta(days=62)  # longer spans have a column for each week in the chart
_YEARS = range(2000, 2200)  # that the query accepts


class CalendarQuery(BaseModel):
    """The span, and a day in it, which is today if it is missing."""

    model_config = ConfigDict(extra="forbid")

    span: Literal["month", "week"] = "month"
    day: Annotated[DateIn | None, BeforeValidator(lambda value: value or None)] = None


class SpanQuery(BaseModel):
    """The first and the last day; "" means the default, because forms send empty fields too."""

    model_config = ConfigDict(extra="forbid")

    since: Annotated[DateIn | None, BeforeValidator(lambda value: value or None)] = None
    until: Annotated[DateIn | None, BeforeValidator(lambda value: value or None)] = None


@dataclass(frozen=True, slots=True)
class DayOfCalendar:
    """A day with the mailings that start in it, the earliest first; `rest` more are not shown."""

    on: date
    outside: bool  # a day of another month that fills a week
    is_today: bool
    mailings: tuple[MailingState, ...]
    rest: int


@pages.get("/admin/calendar")
def show_calendar(request: PageRequest, query: CalendarQuery) -> Page:
    """Show a month or a week."""
    today = request.local(request.now).date()
    on = query.day or today
    first, after = _month(on) if query.span == "month" else _week(on)
    begin, end = first - timedelta(days=first.weekday()), after + timedelta(days=-after.weekday() % 7)
    states, more = _states(request, begin, end)
    by_day: dict[date, list[MailingState]] = {begin + n * _DAY: [] for n in range((end - begin).days)}
    for state in states:
        by_day[request.local(state.mailing.start_at).date()].append(state)
    most = _SHOWN_OF_MONTH if query.span == "month" else _SHOWN_OF_WEEK
    days = [
        DayOfCalendar(
            on=day,
            outside=not first <= day < after,
            is_today=day == today,
            mailings=tuple(some[:most]),
            rest=max(0, len(some) - most),
        )
        for day, some in by_day.items()
    ]
    before = _month(first - _DAY)[0] if query.span == "month" else first - _WEEK
    values = {
        "span": query.span,
        "on": on,
        "title": month_name(first) if query.span == "month" else _span_name(first, after - _DAY),
        "weekdays": weekdays(),
        "days": days,
        "before": before if before.year in _YEARS else None,
        "after": after if after.year in _YEARS else None,
        "today": today,
        "chart": _chart({day: some for day, some in by_day.items() if first <= day < after}),
        "incomplete": more,
        "result_of": lambda state: result_of(state, MailingCounters(), request.now),
    }
    return Page("mailings/calendar.html", values)


@pages.get("/admin/mailings/compare")
def compare_mailings(request: PageRequest, query: SpanQuery) -> Page:
    """Show the mailings of a span of days next to each other, the last 30 days by default."""
    until = query.until or request.local(request.now).date()
    since = query.since or max(date.min, until - timedelta(days=29))
    if not timedelta(0) <= until - since < _LONGEST:
        raise Invalid.of(
            "until", Fault.AS_TOLD, text=_("must be at most a year after the first day, and not before it")
        )
    states, more = _states(request, since, until + _DAY)
    step = _DAY if until - since < _BY_DAYS else _WEEK
    begins = [since + number * step for number in range((until - since) // step + 1)]
    by_step: dict[date, list[MailingState]] = {day: [] for day in begins}
    for state in states:
        by_step[begins[(request.local(state.mailing.start_at).date() - since) // step]].append(state)
    values = {
        "since": since,
        "until": until,
        "compared": [
            (state, result_of(state, MailingCounters(), request.now), state.statistics.counts())
            for state in reversed(states)
            if state.statistics.total
        ],
        "chart": _chart(by_step),
        "shares": charts.shares,
        "incomplete": more,
    }
    return Page("mailings/compare.html", values)


def month_name(first: date) -> str:
    """The month with its year, in the page's language."""
    names = (
        _("January"), _("February"), _("March"), _("April"), _("May"), _("June"),
        _("July"), _("August"), _("September"), _("October"), _("November"), _("December"),
    )  # fmt: skip
    return f"{names[first.month - 1]} {first.year}"


def weekdays() -> tuple[str, ...]:
    """The short names of the days of a week, from Monday on."""
    return (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))


def _span_name(first: date, last: date) -> str:
    return f"{formats.day(first, year=first.year != last.year)} \u2013 {formats.day(last)}"


def _month(on: date) -> tuple[date, date]:
    """The first day of the month, and of the one after it."""
    first = on.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


def _week(on: date) -> tuple[date, date]:
    first = on - timedelta(days=on.weekday())
    return first, first + _WEEK


def _states(request: PageRequest, begin: date, end: date) -> tuple[list[MailingState], bool]:
    """The mailings of these days with their counts, which are only read for a few of those under way."""
    zone = request.zone_name
    found, more = request.services.overviews.starting(Day.of(begin, zone).start, Day.of(end, zone).start)
    read = {one.mailing_id for one in [one for one in found if one.status in UNDER_WAY][-SHOWN:]}
    counted = request.services.mailings.with_counts
    return [counted(one) if one.final or one.mailing_id in read else MailingState(one) for one in found], more


def _chart(by_day: dict[date, list[MailingState]]) -> charts.Columns:
    series = (Series(SENT, _("sent")), Series(FAILED, _("failed")), Series(OTHER, _("not sent for another reason")))
    buckets = [Bucket(formats.day(day, year=False), _ended(some), formats.day(day)) for day, some in by_day.items()]
    return charts.columns("days", _("Messages, by the day on which their mailing started"), series, buckets)


def _ended(states: list[MailingState]) -> dict[str, int]:
    counts = sum((Counter(state.statistics.counts()) for state in states), Counter())
    other = ("unknown", "expired", "cancelled", "skipped")
    return {SENT: counts["sent"], FAILED: counts["failed"], OTHER: sum(counts[name] for name in other)}
