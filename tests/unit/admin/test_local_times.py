"""Times as an operator enters them, through the nights in which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.admin import local_times
from chalicelib.admin.forms import Form
from chalicelib.domain.errors import Invalid

BERLIN, MOSCOW = "Europe/Berlin", "Europe/Moscow"


def entered(text: str, zone_name: str, fold: str = "", before: datetime | None = None) -> datetime:
    """The moment that a person means who enters this."""
    form = Form({"start_time": [text], "start_time_fold": [fold]}, submitted=True)
    return local_times.entered(form, "start_time", zone_name, before)


def refusal(text: str, zone_name: str, fold: str = "") -> str:
    """What is said beside the field."""
    with pytest.raises(Invalid) as error:
        entered(text, zone_name, fold)
    (one,) = error.value.errors
    assert one.field == "start_time"
    return one.message


def test_a_time_is_one_of_the_operators_own_clock() -> None:
    """Expects 12:00 in Moscow to be 09:00 UTC, and to be shown as it was entered."""
    moment = entered("2026-03-02T12:00", MOSCOW)
    assert moment == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    assert local_times.shown(moment, MOSCOW) == "2026-03-02T12:00"


def test_a_time_that_the_clock_skips_is_refused_with_the_next_one() -> None:
    """Expects the missing hour of a night in March to be named."""
    told = "does not exist in Europe/Berlin: the clocks go forward to 29 Mar 2026, 03:30"
    assert refusal("2026-03-29T02:30", BERLIN) == told
    assert entered("2026-03-29T03:30", BERLIN) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_a_time_that_comes_twice_needs_a_choice() -> None:
    """Expects the hour of a night in October to be asked for, and either answer to be taken."""
    assert refusal("2026-10-25T02:30", BERLIN).startswith("comes twice in Europe/Berlin")
    first, second = (entered("2026-10-25T02:30", BERLIN, fold) for fold in ("0", "1"))
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert second - first == timedelta(hours=1)
    assert [local_times.fold_of(moment, BERLIN) for moment in (first, second)] == ["0", "1"]
    offers = local_times.choices("2026-10-25T02:30", BERLIN)
    assert offers == [("0", "the first time, UTC+0200"), ("1", "the second time, UTC+0100")]


@pytest.mark.parametrize("text", ["2026-10-25T03:00", "2026-03-29T02:30", "2026-07-01T12:00", "", "soon"])
def test_only_a_time_that_comes_twice_offers_a_choice(text: str) -> None:
    """Expects none for others, also if the time is none at all."""
    assert local_times.choices(text, BERLIN) == []


@pytest.mark.parametrize(
    "text", ["soon", "2026-02-30T10:00", "0001-01-01T00:00", "9999-12-31T23:59", "2026-03-02T12:00Z"]
)
def test_an_invalid_time_is_refused(text: str) -> None:
    """Expects an error that helps, whatever a browser without such a field sends."""
    assert refusal(text, MOSCOW) == "must be a date and a time"


def test_a_time_that_is_missing_is_asked_for() -> None:
    """Expects the same words as for every required field."""
    assert refusal(" ", MOSCOW) == "is required"


def test_a_time_that_was_not_touched_keeps_its_milliseconds() -> None:
    """Expects what the field cannot show to stay, seconds to be shown, and a touched one to be as entered."""
    before = datetime(2026, 3, 2, 9, 0, 13, 250_000, tzinfo=UTC)
    assert local_times.shown(before, MOSCOW) == "2026-03-02T12:00:13"
    assert entered("2026-03-02T12:00:13", MOSCOW, before=before) == before
    assert entered("2026-03-02T12:00:14", MOSCOW, before=before) == datetime(2026, 3, 2, 9, 0, 14, tzinfo=UTC)
