"""How fast a mailing goes and how long it will take, from the counters that a look at it reads."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from chalicelib.domain.mailing_counters import MailingCounters
from chalicelib.domain.mailings import MailingState, Statistics
from chalicelib.domain.progress import Progress, progress_of
from chalicelib.domain.statuses import MailingStatus
from tests.factories import START, MailingFactory

MINUTE = timedelta(minutes=1)
RUNNING = MailingStatus.RUNNING


def progress(counters: dict[str, int], total: int, after: timedelta, **fields: object) -> Progress:
    """The progress of a mailing that was launched at START."""
    dispatched = bool(fields.pop("dispatched", True))
    given = {"status": MailingStatus.RUNNING, "launched_at": START, "start_at": START, "end_at": START + 300 * MINUTE}
    mailing = MailingFactory(**{**given, **fields})
    counters = MailingCounters(Counter(counters), START, START + after)
    state = MailingState(mailing, statistics=Statistics(total, counters.by_status, dispatched))
    return progress_of(state, counters, START + after)


def minute(number: int) -> str:
    """The counter of what ended in a minute since START."""
    return f"n|{int(START.timestamp()) // 60 + number}"


def test_the_rate_is_that_of_the_last_minute() -> None:
    """Expects a slow beginning to be forgotten, and half of the minute before to count half a minute after it."""
    counters = {"sent": 1020, minute(0): 20, minute(8): 600, minute(9): 300, minute(1): 100}
    seen = progress(counters, 1620, 9.5 * MINUTE)
    assert seen.rate == pytest.approx(600 / 60)
    assert seen.left == timedelta(seconds=60)
    assert not seen.late


def test_a_pause_is_no_part_of_the_rate() -> None:
    """Expects one that was resumed ten seconds ago to go as fast as in these ten seconds."""
    resumed = START + 5 * MINUTE
    history = ((START, RUNNING), (START + MINUTE, MailingStatus.PAUSED), (resumed, RUNNING))
    seen = progress({"sent": 150, minute(5): 50}, 250, 5 * MINUTE + timedelta(seconds=10), history=history)
    assert (seen.rate, seen.left) == (pytest.approx(5), timedelta(seconds=20))


def test_the_rate_of_an_ended_mailing_is_that_of_the_time_in_which_it_ran() -> None:
    """Expects neither a pause nor the days until it was retried to count, and the same rate ever after."""
    history = (
        (START, RUNNING),
        (START + MINUTE, MailingStatus.PAUSED),
        (START + 9 * MINUTE, RUNNING),
        (START + 10 * MINUTE, MailingStatus.FINISHED),
        (START + 100 * MINUTE, RUNNING),
        (START + 101 * MINUTE, MailingStatus.FINISHED),
    )
    fields = {"status": MailingStatus.FINISHED, "history": history, "final": (("sent", 181),)}
    for later in (0, 5000):
        mailing = MailingFactory(launched_at=START, start_at=START, **fields)
        counters = MailingCounters(Counter(sent=181), START, START + 101 * MINUTE)
        state = MailingState(mailing, statistics=Statistics(181, counters.by_status, True))
        seen = progress_of(state, counters, START + (101 + later) * MINUTE)
        assert (seen.rate, seen.left) == (pytest.approx(1), None)
    assert progress_of(state, MailingCounters(Counter(sent=1), START, START), START).rate is None


def test_a_mailing_that_has_just_begun_is_measured_from_its_launch() -> None:
    """Expects no minute to be counted in which it was not under way."""
    assert progress({"sent": 50, minute(0): 50}, 100, timedelta(seconds=10)).rate == pytest.approx(5)


def test_failures_bring_a_mailing_forward_too() -> None:
    """Expects what failed to count as done, in rate and bar."""
    seen = progress({"sent": 5, "failed": 5, minute(0): 10}, 20, timedelta(seconds=10))
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
