"""How fast a mailing goes and how long it will take, from the counters that a look at it reads."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from chalicelib.domain.mailing_counters import MailingCounters
from chalicelib.domain.mailings import MailingState, Statistics
from chalicelib.domain.progress import Progress, progress_of
from chalicelib.domain.statuses import MailingStatus
from chalicelib.domain.stops import NEVER
from tests.factories import START, MailingFactory

MINUTE = timedelta(minutes=1)
RUNNING = MailingStatus.RUNNING


def progress(counters: dict[str, int], total: int, after: timedelta, **fields: object) -> Progress:
    """The progress of a mailing that was launched at START."""
    dispatched, stops = bool(fields.pop("dispatched", True)), fields.pop("stopped", ())
    given = {"status": MailingStatus.RUNNING, "launched_at": START, "start_at": START, "end_at": START + 300 * MINUTE}
    mailing = MailingFactory(**{**given, **fields})
    counters = MailingCounters(Counter(counters), START, START + after)
    state = MailingState(mailing, statistics=Statistics(total, counters.by_status, dispatched))
    return progress_of(state, counters, stops, START + after)


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


def test_a_stop_of_all_sending_is_no_part_of_the_rate() -> None:
    """Expects what was sent in a minute to count for the seconds in which it could be, before the stop and after it."""
    stop = (START + MINUTE + timedelta(seconds=20), START + MINUTE + timedelta(seconds=50))
    counters = {"sent": 900, minute(0): 600, minute(1): 300}
    seen = progress(counters, 1000, 2 * MINUTE, stopped=[stop])
    assert (seen.rate, seen.left) == (pytest.approx(10), timedelta(seconds=10))
    seen = progress({"sent": 800, minute(0): 600, minute(1): 200}, 1000, 1.9 * MINUTE, stopped=[stop])
    assert seen.rate == pytest.approx((60 + 200) / (6 + 24))
    paused = ((START, RUNNING), (stop[0] - timedelta(seconds=10), MailingStatus.PAUSED), (stop[0], RUNNING))
    seen = progress({"sent": 800, minute(0): 600, minute(1): 200}, 1000, 2 * MINUTE, stopped=[stop], history=paused)
    assert seen.rate == pytest.approx(10)


def test_while_all_sending_is_paused_nothing_is_said_of_rate_and_time_left() -> None:
    """Expects no number that falls to zero, and the true one from the first second on after it."""
    stopped, resumed = [(START + 5 * MINUTE, NEVER)], [(START + 5 * MINUTE, START + 9 * MINUTE)]
    seen = progress({"sent": 600, minute(4): 600}, 1000, 5.5 * MINUTE, stopped=stopped)
    assert (seen.rate, seen.left, seen.late, seen.done) == (None, None, False, 600)
    seen = progress({"sent": 650, minute(9): 50}, 1000, 9 * MINUTE + timedelta(seconds=5), stopped=resumed)
    assert (seen.rate, seen.left) == (pytest.approx(10), timedelta(seconds=35))


def test_an_ended_mailing_keeps_its_stops() -> None:
    """Expects them to be no part of its time, with its own pauses counted once, whatever is known of gateways later."""
    history = (
        (START, RUNNING),
        (START + MINUTE, MailingStatus.PAUSED),
        (START + 4 * MINUTE, RUNNING),
        (START + 10 * MINUTE, MailingStatus.FINISHED),
    )
    stops = ((START - MINUTE, START + 0.5 * MINUTE), (START + 3 * MINUTE, START + 5 * MINUTE))
    fields = {"status": MailingStatus.FINISHED, "history": history, "final": (("sent", 331),), "stops": stops}
    for known in ((), [(START, NEVER)]):
        assert progress({"sent": 331}, 331, 10 * MINUTE, stopped=known, **fields).rate == pytest.approx(1)


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
        seen = progress_of(state, counters, (), START + (101 + later) * MINUTE)
        assert (seen.rate, seen.left) == (pytest.approx(1), None)
    assert progress_of(state, MailingCounters(Counter(sent=1), START, START), (), START).rate is None


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


def test_clients_who_wait_for_their_hours_do_not_count_in_the_time_left() -> None:
    """Expects them to be told apart, and not to make the mailing late."""
    counters = {"sent": 50, minute(0): 50, "waiting": 30, "reason|waiting|outside_local_window": 30}
    seen = progress(counters, 100, timedelta(seconds=10))
    assert (seen.asleep, seen.left) == (30, timedelta(seconds=4))


def test_a_mailing_is_late_if_its_window_ends_before_the_rest_is_sent() -> None:
    """Expects this at the present rate."""
    assert progress({"sent": 50, minute(0): 50}, 1000, timedelta(seconds=10), end_at=START + 3 * MINUTE).late
    assert not progress({"sent": 50, minute(0): 50}, 1000, timedelta(seconds=10), end_at=START + 4 * MINUTE).late


def test_a_paused_mailing_has_neither_rate_nor_time_left() -> None:
    """Expects its counts alone."""
    seen = progress({"sent": 50, minute(0): 50}, 100, timedelta(seconds=10), status=MailingStatus.PAUSED)
    assert (seen.done, seen.rate, seen.left) == (50, None, None)
