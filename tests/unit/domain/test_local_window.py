"""The hours of a client's own day: midnight, and clocks that are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.domain.errors import Invalid
from chalicelib.domain.local_window import LocalWindow, WindowPolicy

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia")
MINUTE = timedelta(minutes=1)


def window(start: str, until: str) -> LocalWindow:
    return LocalWindow.parse(start, until, WindowPolicy.DEFER)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "9:00", "24:00", "09:60", "09:00:00", "\u0660\u0669:\u0660\u0660", "09-00", " 09:00", "09:00\n"]
)
def test_an_invalid_time_of_day_is_refused(text: str) -> None:
    """The error names the field that is wrong, whichever of the two it is."""
    for start, until, field in ((text, "10:30", "local_window.from"), ("10:30", text, "local_window.until")):
        with pytest.raises(Invalid) as caught:
            window(start, until)
        assert [error.field for error in caught.value.errors] == [field]


def test_an_empty_window_is_refused() -> None:
    """From nine until nine could mean the whole day or nothing, so it means neither."""
    with pytest.raises(Invalid) as caught:
        window("09:00", "09:00")
    assert [error.field for error in caught.value.errors] == ["local_window.until"]


def test_hours_are_read_with_their_policy() -> None:
    """Both ends of the day can be written."""
    read = LocalWindow.parse("00:00", "23:59", WindowPolicy.SKIP)
    assert (read.start, read.until, read.policy) == (time(0), time(23, 59), WindowPolicy.SKIP)


@pytest.mark.parametrize(
    ("start", "until", "at", "allowed"),
    [
        ("09:00", "21:00", "08:59:59.999", False),
        ("09:00", "21:00", "09:00", True),
        ("09:00", "21:00", "20:59:59.999", True),
        ("09:00", "21:00", "21:00", False),
        ("22:00", "06:00", "21:59:59.999", False),
        ("22:00", "06:00", "22:00", True),
        ("22:00", "06:00", "00:00", True),
        ("22:00", "06:00", "05:59", True),
        ("22:00", "06:00", "06:00", False),
        ("22:00", "00:00", "23:59", True),
        ("22:00", "00:00", "00:00", False),
        ("00:00", "06:00", "00:00", True),
    ],
)
def test_the_first_minute_is_in_and_the_last_is_out(start: str, until: str, at: str, allowed: bool) -> None:
    """Also across midnight."""
    assert window(start, until).allows(utc(f"2026-03-02 {at}"), "UTC") is allowed


def test_the_day_is_that_of_the_client() -> None:
    """At 06:30 UTC it is 09:30 in Moscow and half past one at night in New York."""
    moment = utc("2026-03-02 06:30")
    nine_to_five = window("09:00", "17:00")
    assert nine_to_five.allows(moment, "Europe/Moscow")
    assert not nine_to_five.allows(moment, "America/New_York")
    assert nine_to_five.opening(moment, "Europe/Moscow") == moment
    assert nine_to_five.opening(moment, "America/New_York") == utc("2026-03-02 14:00")


@pytest.mark.parametrize(
    ("hours", "now", "opens"),
    [
        (("09:00", "21:00"), "2026-03-02 08:00", "2026-03-02 09:00"),
        (("09:00", "21:00"), "2026-03-02 21:00", "2026-03-03 09:00"),
        (("09:00", "21:00"), "2026-02-28 23:00", "2026-03-01 09:00"),
        (("22:00", "06:00"), "2026-03-02 06:00", "2026-03-02 22:00"),
        (("22:00", "06:00"), "2026-03-02 02:00", "2026-03-02 02:00"),
    ],
)
def test_the_opening_is_today_or_tomorrow(hours: tuple[str, str], now: str, opens: str) -> None:
    """What is open is open now."""
    assert window(*hours).opening(utc(now), "UTC") == utc(opens)


@pytest.mark.parametrize(
    ("place", "hours", "now", "opens"),
    [
        # Put forward: in Berlin 02:00 is followed by 03:00, in New York too, on Lord Howe 02:00 by 02:30.
        ("Europe/Berlin", ("02:30", "05:00"), "2026-03-29 00:00", "2026-03-29 01:00"),
        ("Europe/Berlin", ("02:30", "02:45"), "2026-03-29 00:00", "2026-03-30 00:30"),
        ("America/New_York", ("02:30", "05:00"), "2026-03-08 06:00", "2026-03-08 07:00"),
        ("Australia/Lord_Howe", ("02:15", "05:00"), "2026-10-03 15:00", "2026-10-03 15:30"),
        # Put back: in Berlin 03:00 is followed by 02:00, in New York 02:00 by 01:00, on Lord Howe 02:00 by 01:30.
        ("Europe/Berlin", ("02:00", "02:30"), "2026-10-24 23:00", "2026-10-25 00:00"),
        ("Europe/Berlin", ("02:15", "02:30"), "2026-10-25 00:30", "2026-10-25 01:15"),
        ("Europe/Berlin", ("01:00", "02:30"), "2026-10-25 00:45", "2026-10-25 01:00"),
        ("America/New_York", ("01:00", "01:30"), "2026-11-01 05:45", "2026-11-01 06:00"),
        ("Australia/Lord_Howe", ("01:30", "01:45"), "2026-04-04 14:50", "2026-04-04 15:00"),
    ],
)
def test_a_clock_that_is_put_forward_or_back(place: str, hours: tuple[str, str], now: str, opens: str) -> None:
    """A gap opens at its end, or not at all that day; an hour that comes twice opens twice."""
    assert window(*hours).opening(utc(now), place) == utc(opens)


def test_the_opening_is_in_the_time_zone_it_was_asked_in() -> None:
    """Whoever asks in local time is answered in it."""
    there = timezone(timedelta(hours=3))
    opens = window("09:00", "10:00").opening(datetime(2026, 3, 2, 3, 0, tzinfo=there), "UTC")
    assert (opens, opens.utcoffset()) == (utc("2026-03-02 09:00"), timedelta(hours=3))


minutes_of_day = st.integers(0, 1439).map(lambda minute: time(minute // 60, minute % 60))
windows = (
    st.tuples(minutes_of_day, minutes_of_day).filter(lambda pair: pair[0] != pair[1]).map(lambda p: LocalWindow(*p))
)
changes = ["2026-03-29 01:00", "2026-10-25 01:00", "2026-03-08 07:00", "2026-11-01 06:00", "2026-10-03 15:30"]
near_changes = st.tuples(st.sampled_from(changes), st.integers(-2880, 2880)).map(lambda p: utc(p[0]) + p[1] * MINUTE)
any_moment = st.integers(0, 100_000_000).map(lambda minutes: utc("2000-01-01") + minutes * MINUTE)


@given(windows, near_changes | any_moment, st.sampled_from(ZONES))
@example(LocalWindow(time(2, 30), time(5)), utc("2026-03-29 00:00"), "Europe/Berlin")
@example(LocalWindow(time(9), time(9, 1)), utc("2011-12-29 20:00"), "Pacific/Apia")  # where 30 December was left out
def test_the_opening_is_the_first_allowed_minute(hours: LocalWindow, now: datetime, place: str) -> None:
    """Never before now, allowed itself, and no minute between now and then is."""
    opens = hours.opening(now, place)
    assert opens >= now
    assert hours.allows(opens, place)
    minutes = (opens - now) // MINUTE
    assert not [minute for minute in range(minutes) if hours.allows(now + minute * MINUTE, place)]


@given(windows, near_changes | any_moment, st.sampled_from(ZONES))
@example(LocalWindow(time(22), time(2, 30)), utc("2026-03-29 00:00"), "Europe/Berlin")
@example(LocalWindow(time(9), time(2, 30)), utc("2026-10-25 00:15"), "Europe/Berlin")
def test_the_closing_is_the_first_minute_that_is_not_allowed(hours: LocalWindow, now: datetime, place: str) -> None:
    """Never before now, and every minute between now and then is allowed."""
    closes = hours.closing(now, place)
    assert closes >= now
    assert not hours.allows(closes, place)
    minutes = (closes - now) // MINUTE
    assert not [minute for minute in range(minutes) if not hours.allows(now + minute * MINUTE, place)]
