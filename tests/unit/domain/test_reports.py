"""The daily report's day: when it is due, how long it lasts, and which mailings belong to it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from chalicelib.domain.excerpts import excerpt
from chalicelib.domain.reports import Day, Timetable, concerns
from chalicelib.domain.statuses import MailingStatus
from tests.factories import MailingFactory

BERLIN = "Europe/Berlin"  # clocks change on 29 March (02:00 to 03:00) and 25 October 2026 (03:00 to 02:00)
DAY = Day.of(date(2026, 3, 2), BERLIN)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-03-02T07:59:59", None),  # that of the day before yesterday has been due for longer than is caught up
        ("2026-03-02T08:00:00", date(2026, 3, 1)),
        ("2026-03-02T19:59:00", date(2026, 3, 1)),
        ("2026-03-02T20:00:00", None),
        ("2026-07-02T06:59:00", None),
        ("2026-07-02T07:00:00", date(2026, 7, 1)),  # in summer nine o'clock is an hour earlier
    ],
)
def test_a_report_is_due_from_its_hour_for_half_a_day(now: str, day: date | None) -> None:
    """Nine o'clock in Berlin; about the day before."""
    due = Timetable(9, BERLIN).due(utc(now))
    assert (due.on if due else None) == day


def test_a_late_hour_is_caught_up_after_midnight() -> None:
    """A report of 23:00 that could not be sent is still due at 02:00, and about the same day."""
    timetable = Timetable(23, "UTC")
    assert timetable.due(utc("2026-03-02T23:00:00")) == timetable.due(utc("2026-03-03T02:00:00"))
    assert timetable.due(utc("2026-03-03T02:00:00")).on == date(2026, 3, 1)


@pytest.mark.parametrize("zone", [BERLIN, "America/New_York", "Asia/Kathmandu", "Africa/Cairo", "Australia/Lord_Howe"])
@pytest.mark.parametrize("hour", [0, 2, 9, 23])
def test_every_day_of_a_year_is_due_just_once(zone: str, hour: int) -> None:
    """Looked at every hour, and every quarter of one around each change of the clocks: each date follows the one
    before."""
    timetable, own, day = Timetable(hour, zone), ZoneInfo(zone), timedelta(days=1)
    now, days = utc("2026-01-03T00:00:00"), []
    while now < utc("2027-01-03T00:00:00"):
        due = timetable.due(now)
        if due and (not days or due.on != days[-1].on):
            days.append(due)
        changes = (now - day).astimezone(own).utcoffset() != (now + day).astimezone(own).utcoffset()
        now += timedelta(minutes=15 if changes else 60)
    assert len(days) >= 364
    for before, after in pairwise(days):
        assert after.on - before.on == timedelta(days=1)
        assert after.start == before.end


@pytest.mark.parametrize(
    ("on", "hours", "shown"),
    [
        (date(2026, 3, 28), 24, ["00:00", "01:00", "02:00"]),
        (date(2026, 3, 29), 23, ["00:00 CET", "01:00 CET", "03:00 CEST"]),
        (date(2026, 10, 25), 25, ["00:00 CEST", "01:00 CEST", "02:00 CEST", "02:00 CET"]),
    ],
)
def test_a_day_has_the_hours_that_its_clocks_show(on: date, hours: int, shown: list[str]) -> None:
    """Two hours of the same name are told apart."""
    day = Day.of(on, BERLIN)
    assert len(day.hours()) == hours
    assert day.end - day.start == timedelta(hours=hours)
    assert [day.clock(hour) for hour in day.hours()][: len(shown)] == shown


def test_a_day_between_whole_hours_has_those_that_begin_in_it() -> None:
    """In Kathmandu midnight is at a quarter past six (UTC)."""
    hours = Day.of(date(2026, 3, 2), "Asia/Kathmandu").hours()
    assert (hours[0], len(hours)) == (utc("2026-03-01T19:00:00"), 24)


@pytest.mark.parametrize(
    ("start", "launched", "finished", "expected"),
    [
        ("2026-03-02T08:00:00", "2026-03-02T08:00:00", "2026-03-02T09:00:00", True),
        ("2026-02-20T08:00:00", "2026-02-20T08:00:00", None, True),
        ("2026-02-20T08:00:00", "2026-02-20T08:00:00", "2026-03-02T00:30:00", True),
        ("2026-02-20T08:00:00", "2026-02-20T08:00:00", "2026-03-01T22:59:00", False),
        ("2026-03-02T23:30:00", "2026-03-02T23:30:00", None, False),
        ("2026-03-02T08:00:00", None, None, True),
        ("2026-03-03T08:00:00", None, None, False),
        ("2026-02-20T08:00:00", None, "2026-03-02T10:00:00", True),  # paused until its window closed
    ],
)
def test_a_mailing_belongs_to_the_days_it_was_under_way(
    start: str, launched: str | None, finished: str | None, expected: bool
) -> None:
    """And to the one it was to start in."""
    mailing = MailingFactory(
        status=MailingStatus.RUNNING,
        start_at=utc(start),
        launched_at=launched and utc(launched),
        finished_at=finished and utc(finished),
    )
    assert concerns(mailing, DAY) is expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Hello", "Hello"),
        ("two\nlines\tand \u202e tricks\x00", "two lines and tricks"),
        ("call +7 (916) 123-45-67 now", "call [number] now"),
        ("8 800 555 35 35, code 1234", "[number], code 1234"),
        ("x" * 61, "x" * 59 + "…"),
        ("x" * 55 + " 79161234567", "x" * 55 + " [nu…"),
        ("", ""),
    ],
)
def test_an_excerpt_is_one_line_without_phone_numbers(text: str, shown: str) -> None:
    """Whatever an operator wrote; a short code stays."""
    assert excerpt(text) == shown
