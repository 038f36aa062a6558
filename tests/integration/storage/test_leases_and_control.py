"""Leases, the gateway's control and its paces: one owner at a time, no change lost, no moment given twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.gateway_control import GatewayControl
from tests.factories import START, GatewayControlFactory
from tests.integration.storage.engines import Store
from tests.support.aws import Call

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


# -- leases


def test_a_lease_has_one_owner(store: Store) -> None:
    """Who may prolong it; other names are other leases."""
    assert store.leases.acquire("pump", "a", START, START + MINUTE)
    assert not store.leases.acquire("pump", "b", START, START + MINUTE)
    assert store.leases.acquire("pump", "a", START + SECOND, START + 2 * MINUTE)
    assert not store.leases.acquire("pump", "b", START + MINUTE + SECOND, START + 2 * MINUTE)
    assert store.leases.acquire("other", "b", START, START + MINUTE)


def test_a_lease_runs_out(store: Store) -> None:
    """After its last moment, not at it."""
    store.leases.acquire("pump", "a", START, START + MINUTE)
    assert not store.leases.acquire("pump", "b", START + MINUTE, START + 2 * MINUTE)
    assert store.leases.acquire("pump", "b", START + MINUTE + SECOND, START + 2 * MINUTE)
    assert not store.leases.acquire("pump", "a", START + MINUTE + SECOND, START + 2 * MINUTE)


def test_a_lease_is_given_back_by_its_owner_only(store: Store) -> None:
    """Another's attempt, and one for a lease that is not there, come to nothing."""
    store.leases.acquire("pump", "a", START, START + MINUTE)
    store.leases.release("pump", "b")
    store.leases.release("nothing", "b")
    assert not store.leases.acquire("pump", "b", START, START + MINUTE)
    store.leases.release("pump", "a")
    assert store.leases.acquire("pump", "b", START, START + MINUTE)


# -- control


def test_the_control_is_read_as_it_was_written(store: Store) -> None:
    """Every field; before anybody has written one, there is that without a limit."""
    assert store.control.read() == GatewayControl()
    full = GatewayControlFactory(retry_at=START + MINUTE, opened_at=START, trips=3, troubled=("a", "b"), held=True)
    assert store.control.change(GatewayControl(), full)
    assert store.control.read() == full
    empty = GatewayControl(revision=2)
    assert store.control.change(full, empty)
    assert store.control.read() == empty


def test_of_two_changes_of_the_control_one_is_refused(store: Store) -> None:
    """The first ones as well as later ones."""
    first = GatewayControl().with_rate(10, START, "anna")
    assert store.control.change(GatewayControl(), first)
    assert not store.control.change(GatewayControl(), GatewayControl().with_rate(20, START, "berta"))
    assert store.control.change(first, first.tripped(START, 0))
    assert not store.control.change(first, first.closed(START))
    assert store.control.read() == first.tripped(START, 0)


# -- paces

HORIZON = timedelta(seconds=4)


def test_no_moment_is_given_twice(store: Store) -> None:
    """Whoever asks later gets later ones, none before now and none after the horizon."""
    gaps = {"gateway": 1_000_000}
    assert store.control.reserve(gaps, 2, START, HORIZON) == [START, START + SECOND]
    assert store.control.reserve(gaps, 9, START, HORIZON) == [
        START + 2 * SECOND,
        START + 3 * SECOND,
        START + 4 * SECOND,
    ]
    assert store.control.reserve(gaps, 1, START, HORIZON) == []
    assert store.control.reserve(gaps, 1, START + MINUTE, HORIZON) == [START + MINUTE]


def test_a_mailing_keeps_its_own_pace_and_the_gateways(store: Store) -> None:
    """All paces are written or none; another mailing takes the moments in between."""
    slow = store.control.reserve({"gateway": 500_000, "mailing-a": 2_000_000}, 3, START, HORIZON)
    quick = store.control.reserve({"gateway": 500_000, "mailing-b": 500_000}, 3, START, HORIZON)
    assert slow == [START, START + 2 * SECOND, START + 4 * SECOND]
    assert quick == [START + 0.5 * SECOND, START + SECOND, START + 1.5 * SECOND]


@pytest.mark.parametrize("names", [["gateway"], ["gateway", "mailing-a"]])
def test_a_sender_that_comes_in_between_is_noticed(faulty: Store, names: list[str]) -> None:
    """Its moments are its own: the other one looks again, and takes those after them."""
    gaps = dict.fromkeys(names, 1_000_000)
    meddled: list[list[object]] = []

    def meddle(call: Call) -> None:
        if call.operation in ("dynamodb.PutItem", "dynamodb.TransactWriteItems") and not meddled:
            meddled.append([])
            meddled.append(faulty.control.reserve(gaps, 2, START, HORIZON))

    faulty.aws.before = meddle
    assert faulty.control.reserve(gaps, 2, START, HORIZON) == [START + 2 * SECOND, START + 3 * SECOND]
    assert meddled[1] == [START, START + SECOND]


def test_a_lost_answer_wastes_moments_and_gives_none_twice(faulty: Store) -> None:
    """The repeat is refused; it cannot be known whose the first ones are."""
    faulty.aws.lose_answers("dynamodb.PutItem")
    given = faulty.control.reserve({"gateway": 1_000_000}, 2, START, HORIZON)
    given += faulty.control.reserve({"gateway": 1_000_000}, 2, START, 10 * HORIZON)
    assert len(set(given)) == 4
    assert min(given) >= START


def test_reserving_ends_though_others_never_let_it_through(faulty: Store) -> None:
    """After ten tries."""
    faulty.aws.refuse("dynamodb.PutItem", "ConditionalCheckFailedException")
    with pytest.raises(Unavailable, match="too many"):
        faulty.control.reserve({"gateway": 1_000_000}, 1, START, HORIZON)
    assert len(faulty.clock.waits) == 10


def test_an_engine_in_trouble_is_unavailable(faulty: Store) -> None:
    """Whatever was asked."""
    faulty.aws.refuse("dynamodb.", "ProvisionedThroughputExceededException")
    changed = replace(GatewayControl(), revision=1)
    for ask in (
        lambda: faulty.leases.acquire("pump", "a", START, START + MINUTE),
        lambda: faulty.leases.release("pump", "a"),
        lambda: faulty.control.read(),
        lambda: faulty.control.change(GatewayControl(), changed),
        lambda: faulty.control.reserve({"gateway": 1_000_000}, 1, START, HORIZON),
    ):
        with pytest.raises(Unavailable):
            ask()
