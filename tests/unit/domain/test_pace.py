"""Booking moments at one pace and at several, for messages that take one moment of a pace or more."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.pace import MAX_APART, Pace, Spacing, Taken, book

SECOND = 1_000_000


def test_moments_of_one_pace_follow_each_other() -> None:
    """The first is now, and the next booking goes on where the last one ended."""
    first, (pace,) = book([Pace()], [Spacing(100)], 3, now=1000, last=9000)
    second, _ = book([pace], [Spacing(100)], 2, now=1001, last=9000)
    assert (first, second) == ([1000, 1100, 1200], [1300, 1400])


def test_nothing_is_booked_after_the_last_moment() -> None:
    """What does not fit is left for later, and a booking of nothing changes nothing."""
    moments, (pace,) = book([Pace()], [Spacing(100)], 9, now=1000, last=1150)
    assert moments == [1000, 1100]
    assert book([pace], [Spacing(100)], 1, now=1000, last=1150) == ([], [pace])


def test_a_slow_mailing_leaves_the_moments_in_between_to_the_others() -> None:
    """Its moments lie as far apart as its own pace wants; the gateway's pace is not moved past what is free."""
    slow, (gateway, _) = book([Pace(), Pace()], [Spacing(100), Spacing(1000)], 3, now=1000, last=9000)
    quick, _ = book([gateway], [Spacing(100)], 12, now=1000, last=9000)
    assert slow == [1000, 2000, 3000]
    assert quick == [1100, 1200, 1300, 1400, 1500, 1600, 1700, 1800, 1900, 2100, 2200, 2300]


def test_a_message_of_three_parts_takes_three_moments() -> None:
    """Who comes after it is sent after the third; the last one may begin before the end and last beyond it."""
    moments, (pace,) = book([Pace()], [Spacing(100, 3, 10)], 9, now=1000, last=1700)
    assert moments == [1000, 1300, 1600]
    assert book([pace], [Spacing(100, 1, 10)], 1, now=1000, last=9000)[0] == [1900]


def test_a_message_is_put_only_where_all_its_moments_are_free() -> None:
    """Between two messages of a slow mailing that leave four moments free there is one place for three."""
    slow, (gateway, _) = book([Pace(), Pace()], [Spacing(100, 2, 10), Spacing(600)], 3, now=1000, last=9000)
    assert slow == [1000, 1600, 2200]
    assert gateway.apart == (Taken(1600, 2), Taken(2200, 2))
    heavy, (gateway,) = book([gateway], [Spacing(100, 3, 10)], 2, now=1000, last=1900)
    light, _ = book([gateway], [Spacing(100, 1, 10)], 4, now=1000, last=9000)
    assert heavy == [1200, 1800]
    assert light == [1500, 2100, 2400, 2500]


# -- what is promised, whoever books how much and when

orders = st.lists(
    st.tuples(
        st.sampled_from(("a", "b", "c", "d")),
        st.integers(1, 10),  # moments that each message takes of the gateway's pace
        st.integers(1, 40),  # messages
        st.integers(0, 3_000),  # until the next order
    ),
    min_size=1,
    max_size=30,
)
OWN_GAPS = {"a": 1000, "b": 95, "c": 240}  # d has no pace of its own
GAP = 70


def booked_for(some: list[tuple[str, int, int, int]]) -> tuple[list[list[tuple[int, int]]], dict[str, Pace]]:
    """For each order when what weight is sent, and the paces after all of them."""
    paces: dict[str, Pace] = defaultdict(Pace)
    now, sent = 5_000, []
    for mailing, weight, wanted, pause in some:
        names = [name for name in ("gateway", mailing) if name == "gateway" or name in OWN_GAPS]
        spacings = [Spacing(GAP, weight, 10), *(Spacing(OWN_GAPS[name]) for name in names[1:])]
        moments, new = book([paces[name] for name in names], spacings, wanted, now, now + 4_000)
        assert all(now <= moment <= now + 4_000 for moment in moments)
        assert moments == sorted(moments)
        paces.update(zip(names, new, strict=True))
        sent.append([(moment, weight) for moment in moments])
        now += pause
    return sent, paces


@given(orders)
def test_no_moment_of_a_pace_is_taken_twice(some: list[tuple[str, int, int, int]]) -> None:
    """All that a message takes lies a gap from what any other takes; in a mailing's own pace each takes one moment."""
    sent, paces = booked_for(some)
    taken = sorted(moment + place * GAP for one in sent for moment, weight in one for place in range(weight))
    assert all(later - earlier >= GAP for earlier, later in itertools.pairwise(taken))
    for name, gap in OWN_GAPS.items():
        own = sorted(
            moment for (mailing, *_), one in zip(some, sent, strict=True) if mailing == name for moment, _ in one
        )
        assert all(later - earlier >= gap for earlier, later in itertools.pairwise(own))
    assert all(len(pace.apart) <= MAX_APART for pace in paces.values())


@given(orders)
def test_no_free_place_is_passed_by(some: list[tuple[str, int, int, int]]) -> None:
    """A booking at the gateway alone finds the first place that a list of all that is taken shows to be free.

    As long as nothing had to be forgotten: places before the pace's own are given up.
    """
    sent, paces = booked_for(some)
    gateway = paces["gateway"]
    taken = [moment + place * GAP for one in sent for moment, weight in one for place in range(weight)]
    for weight in (1, 3, 10):
        candidates = sorted({gateway.next_at, *(moment + GAP for moment in taken)})
        first = next(
            moment
            for moment in candidates
            if moment >= gateway.next_at
            and all(abs(moment + place * GAP - other) >= GAP for place in range(weight) for other in taken)
        )
        (found,), _ = book([gateway], [Spacing(GAP, weight, 10)], 1, 0, first + 1_000_000)
        assert found == first


@given(
    st.lists(st.tuples(st.integers(1, 10), st.integers(1, 30), st.sampled_from((None, 1, 7, 30))), min_size=1),
    st.integers(1, 50),
    st.lists(st.integers(0, 100_000), min_size=1, max_size=7),
)
def test_no_second_sees_more_than_the_rate_but_for_one_message(
    some: list[tuple[int, int, int | None]], rate: int, late: list[int]
) -> None:
    """Of what is sent in any second, up to 100 ms after its moment, all but the message with the last moment have fewer
    parts than the rate. So a second holds at most as many parts as the rate if each message has one, and else as many
    more as one message has beside its first.
    """
    gap = SECOND * 11 // (10 * rate) + 1
    paces: dict[str, Pace] = defaultdict(Pace)
    sent: list[tuple[int, int]] = []
    for weight, wanted, own in some:
        names = ["gateway"] if own is None else ["gateway", f"mailing@{own}"]
        spacings = [Spacing(gap, weight, 10), *([] if own is None else [Spacing(SECOND // own)])]
        found, new = book([paces[name] for name in names], spacings, wanted, now=0, last=60 * SECOND)
        paces.update(zip(names, new, strict=True))
        sent += [(moment, weight) for moment in found]
    left = sorted((moment + late[place % len(late)], moment, weight) for place, (moment, weight) in enumerate(sent))
    left_at = [at for at, *_ in left]
    for first, start in enumerate(left_at):
        within = sorted((moment, weight) for _, moment, weight in left[first : bisect_left(left_at, start + SECOND)])
        weights = [weight for _, weight in within]
        assert sum(weights[:-1]) < rate
        assert sum(weights) <= rate + max(weights) - 1


# -- one moment for each message: as it was before messages could take more


def book_ones(
    paces: list[tuple[int, tuple[int, ...]]], gaps: list[int], wanted: int, now: int, last: int
) -> tuple[list[int], list[tuple[int, tuple[int, ...]]]]:
    """The booking that knew no weights, of paces as place and moments apart."""

    def earliest(pace: tuple[int, tuple[int, ...]], since: int, gap: int) -> int:
        moment = max(since, pace[0])
        for taken in pace[1]:
            if taken - gap < moment < taken + gap:
                moment = taken + gap
        return moment

    def with_taken(pace: tuple[int, tuple[int, ...]], gap: int) -> tuple[int, tuple[int, ...]]:
        next_at, apart = max(pace[0], now), sorted((*pace[1], *moments))
        while apart and (apart[0] < next_at + gap or len(apart) > MAX_APART):
            next_at = max(next_at, apart.pop(0) + gap)
        return next_at, tuple(apart)

    moments: list[int] = []
    moment = now
    while len(moments) < wanted:
        settled = None
        while moment != settled and moment <= last:
            settled = moment
            for pace, gap in zip(paces, gaps, strict=True):
                moment = earliest(pace, moment, gap)
        if moment > last:
            break
        moments.append(moment)
        moment += max(gaps)
    return moments, [with_taken(pace, gap) for pace, gap in zip(paces, gaps, strict=True)] if moments else paces


@given(orders)
def test_messages_of_one_part_are_booked_as_they_always_were(some: list[tuple[str, int, int, int]]) -> None:
    """The same moments, and the same is remembered."""
    paces: dict[str, Pace] = defaultdict(Pace)
    before: dict[str, tuple[int, tuple[int, ...]]] = defaultdict(lambda: (0, ()))
    now = 5_000
    for mailing, _, wanted, pause in some:
        names = [name for name in ("gateway", mailing) if name == "gateway" or name in OWN_GAPS]
        gaps = [GAP, *(OWN_GAPS[name] for name in names[1:])]
        found, new = book([paces[name] for name in names], [Spacing(gap) for gap in gaps], wanted, now, now + 4_000)
        expected, old = book_ones([before[name] for name in names], gaps, wanted, now, now + 4_000)
        paces.update(zip(names, new, strict=True))
        before.update(zip(names, old, strict=True))
        assert found == expected
        assert {name: (pace.next_at, tuple(one.moment for one in pace.apart)) for name, pace in paces.items()} == before
        now += pause


@given(st.lists(st.integers(1, 100), min_size=1, max_size=20), st.integers(1, 50))
def test_no_second_sees_more_than_the_rate(sizes: list[int], rate: int) -> None:
    """However the bookings are cut: any second holds at most as many moments as the rate."""
    gap = 1_000_000 // rate + 1
    pace, moments = Pace(), []
    for size in sizes:
        found, (pace,) = book([pace], [Spacing(gap)], size, now=0, last=60_000_000)
        moments += found
    for start in moments:
        assert bisect_right(moments, start + 999_999) - bisect_left(moments, start) <= rate
