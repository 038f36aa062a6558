"""What calls of the gateway add to the totals."""

from __future__ import annotations

import pytest

from chalicelib.domain.call_totals import BOUNDS_MS, CallTotals
from chalicelib.domain.messages import LOOK_UPS, Attempt, Outcome
from tests.factories import START


def _attempt(duration_ms: int, outcome: Outcome = Outcome.ACCEPTED) -> Attempt:
    return Attempt(START, duration_ms, outcome)


def test_outcomes_and_time_are_added_up() -> None:
    """Expects each outcome counted, the others nought, and the time in seconds."""
    totals = CallTotals.of([_attempt(20), _attempt(1500, Outcome.FAILED), _attempt(480)])
    assert totals.by_outcome == dict.fromkeys(set(Outcome) - LOOK_UPS, 0) | {Outcome.ACCEPTED: 2, Outcome.FAILED: 1}
    assert totals.seconds == 2.0


@pytest.mark.parametrize(("duration_ms", "within"), [(0, 10), (10, 10), (11, 25), (10_000, 10_000)])
def test_a_call_is_within_every_bound_that_it_kept(duration_ms: int, within: int) -> None:
    """Expects it in that span and all longer ones, as a histogram of Prometheus wants it."""
    cumulated = CallTotals.of([_attempt(duration_ms)]).cumulated
    assert cumulated == [int(bound >= within) for bound in BOUNDS_MS] + [1]


def test_a_call_that_took_longer_than_every_bound_is_counted_all_the_same() -> None:
    """Expects it in the last place only."""
    assert CallTotals.of([_attempt(10_001)]).cumulated == [0] * len(BOUNDS_MS) + [1]


def test_no_calls_are_nothing() -> None:
    """Expects noughts, whatever is asked."""
    totals = CallTotals.of([])
    assert (totals.counters, set(totals.by_outcome.values()), totals.seconds, totals.cumulated[-1]) == ({}, {0}, 0, 0)
