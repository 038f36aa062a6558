"""How fast a mailing goes and how long it will take, from the counters that a look at it reads."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from chalicelib.domain.counters import Tally
from chalicelib.domain.mailings import MailingState, Statistics
from chalicelib.domain.progress import Progress, progress_of
from chalicelib.domain.statuses import MailingStatus
from tests.factories import START, MailingFactory

MINUTE = timedelta(minutes=1)


def progress(counters: dict[str, int], total: int, after: timedelta, **fields: object) -> Progress:
    """The progress of a mailing that was launched at START."""
    dispatched = bool(fields.pop("dispatched", True))
    given = {"status": MailingStatus.RUNNING, "launched_at": START, "start_at": START, "end_at": START + 300 * MINUTE}
    mailing = MailingFactory(**{**given, **fields})
    tally = Tally(Counter(counters), START, START + after)
    state = MailingState(mailing, statistics=Statistics(total, tally.by_status, dispatched))
    return progress_of(state, tally, START + after)


def minute(number: int) -> str:
    """The counter of what was sent in a minute since START."""
    return f"m|{int(START.timestamp()) // 60 + number}"


def test_the_rate_is_that_of_this_minute_and_the_one_before() -> None:
    """Expects a slow beginning to be forgotten, and the rest to be divided by what is fast now."""
    counters = {"sent": 1020, minute(0): 20, minute(8): 600, minute(9): 300, minute(1): 100}
    seen = progress(counters, 1920, 9.5 * MINUTE)
    assert seen.rate == pytest.approx(900 / 90)
    assert seen.left == timedelta(seconds=90)
    assert not seen.late


def test_a_mailing_that_has_just_begun_is_measured_from_its_launch() -> None:
    """Expects no minute to be counted in which it was not under way."""
    assert progress({"sent": 50, minute(0): 50}, 100, timedelta(seconds=10)).rate == pytest.approx(5)


def test_failures_bring_a_mailing_forward_too() -> None:
    """Expects what failed to count as done, in rate and bar."""
    seen = progress({"sent": 5, "failed": 5, minute(0): 5, minute(0) + "|failed": 5}, 20, timedelta(seconds=10))
    assert (seen.done, seen.rate) == (10, pytest.approx(1))


def test_a_mailing_that_stands_still_has_no_time_left() -> None:
    """Expects a rate of nothing, and no guess."""
    seen = progress({"sent": 50, minute(0): 50}, 100, 20 * MINUTE)
    assert (seen.rate, seen.left, seen.late) == (0, None, False)


def test_nothing_is_said_while_the_recipients_are_still_being_found() -> None:
    """Expects a rate and no time left: how much is left nobody knows."""
    seen = progress({"sent": 50, minute(0): 50}, 100, timedelta(seconds=10), dispatched=False)
    assert (seen.rate, seen.left) == (pytest.approx(5), None)


def test_who_waits_for_the_own_hours_is_no_part_of_the_time_left() -> None:
    """Expects them to be told apart, and not to make the mailing late."""
    counters = {"sent": 50, minute(0): 50, "waiting": 30, "reason|waiting|outside_local_window": 30}
    seen = progress(counters, 100, timedelta(seconds=10))
    assert (seen.asleep, seen.left) == (30, timedelta(seconds=4))


def test_a_mailing_is_late_where_its_window_ends_before_the_rest_is_sent() -> None:
    """Expects that at the rate of now."""
    assert progress({"sent": 50, minute(0): 50}, 1000, timedelta(seconds=10), end_at=START + 3 * MINUTE).late
    assert not progress({"sent": 50, minute(0): 50}, 1000, timedelta(seconds=10), end_at=START + 4 * MINUTE).late


def test_a_paused_mailing_has_neither() -> None:
    """Expects its counts alone."""
    seen = progress({"sent": 50, minute(0): 50}, 100, timedelta(seconds=10), status=MailingStatus.PAUSED)
    assert (seen.done, seen.rate, seen.left) == (50, None, None)
