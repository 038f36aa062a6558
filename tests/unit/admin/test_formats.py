"""How numbers, amounts, dates and times are written in each language."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from chalicelib.admin import formats, languages, texts
from chalicelib.domain.errors import Conflict, Invalid
from chalicelib.domain.faults import Fault

MOMENT = datetime(2026, 11, 27, 10, 35, 9, tzinfo=UTC)
EARLY = datetime(2026, 3, 2, 9, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "english", "russian"),
    [
        (lambda: formats.clock(MOMENT), "27 Nov 2026, 10:35", "27.11.2026 10:35"),
        (lambda: formats.clock(EARLY), "2 Mar 2026, 09:05", "02.03.2026 09:05"),
        (lambda: formats.clock(MOMENT, seconds=True), "27 Nov 2026, 10:35:09", "27.11.2026 10:35:09"),
        (lambda: formats.day(date(2026, 12, 1)), "1 Dec 2026", "01.12.2026"),
        (lambda: formats.day(date(2026, 12, 1), year=False), "1 Dec", "01.12"),
        (lambda: formats.number(0), "0", "0"),
        (lambda: formats.number(4903), "4,903", "4\u00a0903"),
        (lambda: formats.number(1234567), "1,234,567", "1\u00a0234\u00a0567"),
        (lambda: formats.number(None), "\u2013", "\u2013"),
        (lambda: formats.pace(0), "0", "0"),
        (lambda: formats.pace(0.25), "0.2", "0,2"),
        (lambda: formats.pace(1499.6), "1,500", "1\u00a0500"),
        (lambda: formats.dollars(0.0123), "$0.0123", "0,0123\u00a0$"),
        (lambda: formats.dollars(1234.5), "$1,234.50", "1\u00a0234,50\u00a0$"),
    ],
)
def test_each_language_has_its_own_way_to_write(written: Callable[[], str], english: str, russian: str) -> None:
    """Expects a day's name of the month and commas in English, figures and no-break spaces in Russian."""
    assert written() == english
    with languages.speaking("ru"):
        assert written() == russian


def test_an_error_has_its_numbers_and_dates_in_the_language_of_the_page() -> None:
    """Expects the same in sentences as elsewhere on the page."""
    errors = (
        Invalid.of("rate_limit", Fault.MORE_THAN_ALLOWED, most=10000),
        Conflict(Fault.DAY_NOT_BEGUN, day=date(2026, 11, 27)),
    )
    assert [texts.told(error).split(": ")[-1] for error in errors] == [
        "must be at most 10,000",
        "27 Nov 2026 has not started yet; choose today or an earlier day",
    ]
    with languages.speaking("ru"):
        told = " ".join(texts.told(error) for error in errors)
    assert "10\u00a0000" in told
    assert "27.11.2026" in told


def test_fields_are_named_by_the_labels_of_the_form() -> None:
    """Expects neither names of the API nor English words on a Russian page."""
    error = Conflict(Fault.MAILING_PARTLY_CHANGEABLE, status="running", refused="text", names="end_time, rate_limit")
    assert texts.told(error) == (
        "this mailing is running: only End, Maximum messages per second can be changed, not Text"
    )
    with languages.speaking("ru"):
        assert "Конец," in texts.told(error)
