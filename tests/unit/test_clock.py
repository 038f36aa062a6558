"""Time in whole milliseconds, and waits between tries."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
import time_machine

from chalicelib.clock import Backoff, SystemClock
from tests.support.clocks import CountingClock


def test_the_present_is_in_utc_and_whole_milliseconds() -> None:
    """So that what is read from a table equals what was written."""
    with time_machine.travel(datetime(2026, 3, 2, 9, 0, 0, 123999, UTC), tick=False):
        assert SystemClock().now() == datetime(2026, 3, 2, 9, 0, 0, 123000, UTC)
        assert SystemClock().now().tzinfo is UTC


@pytest.mark.parametrize(("tries", "longest"), [(1, 0.1), (2, 0.2), (5, 1.6), (6, 2.0), (50, 2.0)])
def test_waits_are_anywhere_up_to_a_bound_that_doubles(tries: int, longest: float) -> None:
    """Two seconds at most; those that failed together do not come back together."""
    clock = CountingClock()
    backoff = Backoff(clock, random.Random(1))
    for _ in range(200):
        backoff.wait(tries)
    assert 0 <= min(clock.waits) < longest * 0.1
    assert longest * 0.9 < max(clock.waits) <= longest
