"""Booking moments at one pace and at several."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.pace import MAX_APART, Pace, book


def test_moments_of_one_pace_follow_each_other() -> None:
    """The first is now, and the next booking goes on where the last one ended."""
    first, (pace,) = book([Pace()], [100], 3, now=1000, last=9000)
    second, _ = book([pace], [100], 2, now=1001, last=9000)
    assert (first, second) == ([1000, 1100, 1200], [1300, 1400])


def test_nothing_is_booked_after_the_last_moment() -> None:
    """What does not fit is left for later, and a booking of nothing changes nothing."""
    moments, (pace,) = book([Pace()], [100], 9, now=1000, last=1150)
    assert moments == [1000, 1100]
    assert book([pace], [100], 1, now=1000, last=1150) == ([], [pace])


def test_a_slow_mailing_leaves_the_moments_in_between_to_the_others() -> None:
    """Its moments lie as far apart as its own pace wants; the gateway's pace is not moved past what is free."""
    slow, (gateway, _) = book([Pace(), Pace()], [100, 1000], 3, now=1000, last=9000)
    quick, _ = book([gateway], [100], 12, now=1000, last=9000)
    assert slow == [1000, 2000, 3000]
    assert quick == [1100, 1200, 1300, 1400, 1500, 1600, 1700, 1800, 1900, 2100, 2200, 2300]


bookings = st.lists(
    st.tuples(st.sampled_from(("a", "b", "c")), st.integers(1, 60), st.integers(0, 3_000)), min_size=1, max_size=30
)


@given(bookings)
def test_no_pace_is_ever_exceeded(orders: list[tuple[str, int, int]]) -> None:
    """Whoever books how much when: two moments are never nearer than the gap of a pace that both have to keep."""
    gaps = {"gateway": 70, "a": 1000, "b": 95}  # c has no pace of its own
    paces = dict.fromkeys(gaps, Pace())
    booked: dict[str, list[int]] = {name: [] for name in gaps}
    now = 5_000
    for mailing, wanted, pause in orders:
        names = [name for name in ("gateway", mailing) if name in gaps]
        moments, new = book([paces[name] for name in names], [gaps[name] for name in names], wanted, now, now + 4_000)
        assert all(now <= moment <= now + 4_000 for moment in moments)
        paces.update(zip(names, new, strict=True))
        for name in names:
            booked[name] += moments
        now += pause
    for name, moments in booked.items():
        moments.sort()
        assert all(later - earlier >= gaps[name] for earlier, later in itertools.pairwise(moments))
        assert len(paces[name].apart) <= MAX_APART


@given(st.lists(st.integers(1, 100), min_size=1, max_size=20), st.integers(1, 50))
def test_no_second_sees_more_than_the_rate(sizes: list[int], rate: int) -> None:
    """However the bookings are cut: any second holds at most as many moments as the rate."""
    gap = 1_000_000 // rate + 1
    pace, moments = Pace(), []
    for size in sizes:
        found, (pace,) = book([pace], [gap], size, now=0, last=60_000_000)
        moments += found
    for start in moments:
        assert bisect_right(moments, start + 999_999) - bisect_left(moments, start) <= rate
