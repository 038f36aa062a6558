"""Forecasts: who is left out for the hour, and whether the window is long enough."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from chalicelib.domain.forecasts import forecast, left_out
from chalicelib.domain.local_window import LocalWindow, WindowPolicy
from chalicelib.domain.reasons import Reason

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAYTIME = LocalWindow(time(9), time(21))
DAYTIME_OR_NEVER = LocalWindow(time(9), time(21), WindowPolicy.SKIP)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("window", "timezone", "hours", "reason"),
    [
        (None, "Asia/Tokyo", 1, None),
        (DAYTIME, "UTC", 1, None),
        (DAYTIME, "America/New_York", 1, Reason.LOCAL_WINDOW_TOO_LATE),
        (DAYTIME, "America/New_York", 6, None),
        (DAYTIME_OR_NEVER, "America/New_York", 6, Reason.OUTSIDE_LOCAL_WINDOW),
        (DAYTIME_OR_NEVER, "Europe/Moscow", 6, None),
    ],
)
def test_clients_left_out_because_of_the_hour_are_counted(
    window: LocalWindow | None, timezone: str, hours: int, reason: Reason | None
) -> None:
    """Expects the reason that the ledger will give."""
    assert left_out(window, timezone, NINE, NINE + hours * HOUR) == reason


@pytest.mark.parametrize(("count", "enough"), [(3600, True), (3601, False)])
def test_without_local_hours_the_rate_decides(count: int, enough: bool) -> None:
    """Expects 3,600 messages to fit an hour at one a second, and not one more."""
    found = forecast({"UTC": count}, None, 1, NINE, NINE + HOUR)
    assert (found.needed, found.long_enough) == (timedelta(seconds=count), enough)
    assert found.finishes_at == NINE + timedelta(seconds=count)


def test_without_a_rate_any_open_window_is_long_enough() -> None:
    """Expects no time to be promised then."""
    assert forecast({"UTC": 10**7}, None, None, NINE, NINE + HOUR).long_enough
    found = forecast({"UTC": 1}, None, None, NINE, NINE)
    assert (found.long_enough, found.needed, found.finishes_at) == (False, None, None)


def test_sending_waits_for_the_clients_morning() -> None:
    """Expects New York's part to begin at 14:00 UTC, when it is nine there."""
    found = forecast({"UTC": 60, "America/New_York": 60}, DAYTIME, 1, NINE, NINE + 24 * HOUR)
    assert found.finishes_at == NINE + 5 * HOUR + timedelta(seconds=60)
    assert found.long_enough


def test_those_whose_day_ends_first_go_first() -> None:
    """Expects both to fit, because Moscow is served before its evening."""
    people = {"UTC": 3 * 3600, "Europe/Moscow": 9 * 3600}
    found = forecast(people, DAYTIME, 1, NINE, NINE + 12 * HOUR)
    assert found.long_enough
    assert found.finishes_at == NINE + 12 * HOUR


def test_what_does_not_fit_a_day_goes_on_the_next_morning() -> None:
    """Expects the night in between to be counted."""
    found = forecast({"UTC": 13 * 3600}, DAYTIME, 1, NINE, NINE + 72 * HOUR)
    assert found.finishes_at == NINE + 25 * HOUR
    assert not forecast({"UTC": 13 * 3600}, DAYTIME, 1, NINE, NINE + 24 * HOUR).long_enough
    assert not forecast({"UTC": 13 * 3600}, DAYTIME_OR_NEVER, 1, NINE, NINE + 72 * HOUR).long_enough


def test_a_window_of_a_century_is_looked_at_for_a_season() -> None:
    """Expects an answer, and soon."""
    assert not forecast({"UTC": 10**9}, DAYTIME, 1, NINE, NINE + timedelta(days=36_500)).long_enough
