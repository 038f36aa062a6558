"""Ends that lie further ahead than there can be any, since the clock was set back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.deadlines import APART, is_over
from chalicelib.domain.pace import Pace, Taken
from tests.factories import START as NOW

SECOND = timedelta(seconds=1)
LEASE = 45 * SECOND


@pytest.mark.parametrize(
    ("ahead", "over"),
    [
        (-SECOND, True),
        (timedelta(0), True),
        (SECOND, False),
        (LEASE, False),
        (LEASE + APART, False),  # written by a machine whose clock is ahead
        (LEASE + APART + SECOND, True),
        (timedelta(hours=1), True),
    ],
)
def test_an_end_is_over_if_it_has_come_or_cannot_be_one(ahead: timedelta, over: bool) -> None:
    """Expects a lease of 45 seconds that ends in an hour to be none."""
    assert is_over(NOW + ahead, NOW, LEASE) is over


def test_no_end_is_over() -> None:
    """Expects what nobody waits for to hold nothing up."""
    assert is_over(None, NOW, LEASE)


def test_a_pace_forgets_moments_that_nobody_can_have_taken() -> None:
    """Expects its place among the revisions to stay, so that writers still see each other."""
    pace = Pace(next_at=5_000, apart=(Taken(7_000), Taken(9_000, 3)), revision=3)
    assert pace.sane(10_000) == pace
    assert pace.sane(8_000) == Pace(5_000, (Taken(7_000),), 3)
    assert pace.sane(4_000) == Pace(0, (), 3)
