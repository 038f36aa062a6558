"""Leases, the gateway's control and its paces: one owner at a time, no change lost, no moment given out twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.gateway_control import GatewayChange, GatewayControl, Setting, TroubledCall
from chalicelib.domain.pace import Spacing
from chalicelib.domain.reasons import Cause
from tests.factories import START, GatewayControlFactory
from tests.integration.storage.engines import Store
from tests.support.aws import Call

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


# -- leases


def test_a_lease_has_one_owner(store: Store) -> None:
    """Expects the owner to be able to prolong it; other names are other leases."""
    assert store.leases.acquire("feeder", "a", START, START + MINUTE)
    assert not store.leases.acquire("feeder", "b", START, START + MINUTE)
    assert store.leases.acquire("feeder", "a", START + SECOND, START + 2 * MINUTE)
    assert not store.leases.acquire("feeder", "b", START + MINUTE + SECOND, START + 2 * MINUTE)
    assert store.leases.acquire("other", "b", START, START + MINUTE)


def test_a_lease_expires(store: Store) -> None:
    """After its last moment, not at it."""
    store.leases.acquire("feeder", "a", START, START + MINUTE)
    assert not store.leases.acquire("feeder", "b", START + MINUTE, START + 2 * MINUTE)
    assert store.leases.acquire("feeder", "b", START + MINUTE + SECOND, START + 2 * MINUTE)
    assert not store.leases.acquire("feeder", "a", START + MINUTE + SECOND, START + 2 * MINUTE)


def test_only_the_owner_can_release_a_lease(store: Store) -> None:
    """Expects nothing to happen otherwise, nor with a lease that does not exist."""
    store.leases.acquire("feeder", "a", START, START + MINUTE)
    store.leases.release("feeder", "b")
    store.leases.release("nothing", "b")
    assert not store.leases.acquire("feeder", "b", START, START + MINUTE)
    store.leases.release("feeder", "a")
    assert store.leases.acquire("feeder", "b", START, START + MINUTE)


# -- control


def test_the_control_is_read_as_it_was_written(store: Store) -> None:
    """Expects every field, and a control without a limit before anybody has written one."""
    assert store.control.read() == GatewayControl()
    full = GatewayControlFactory(
        retry_at=START + MINUTE,
        opened_at=START,
        last_stop=(START - MINUTE, START),
        trips=3,
        troubled=(TroubledCall(START, "a"), TroubledCall(START + MINUTE, "b")),
        held=True,
        reason="night",
    )
    assert store.control.change(GatewayControl(), full)
    assert store.control.read() == full
    empty = GatewayControl(revision=2, changed_at=START)
    assert store.control.change(full, empty)
    assert store.control.read() == empty


def test_of_two_changes_of_the_control_one_is_refused(store: Store) -> None:
    """The very first ones as well as later ones."""
    first = GatewayControl().with_rate(10, START, "anna")
    assert store.control.change(GatewayControl(), first)
    assert not store.control.change(GatewayControl(), GatewayControl().with_rate(20, START, "berta"))
    assert store.control.change(first, first.tripped(START, 0))
    assert not store.control.change(first, first.closed(START))
    assert store.control.read() == first.tripped(START, 0)


# -- the trail of its changes


def changed(store: Store, old: GatewayControl, new: GatewayControl) -> GatewayControl:
    assert store.control.change(old, new)
    return new


def test_changes_of_the_control_are_listed_with_old_and_new_value(store: Store) -> None:
    """The newest first; what only senders tell each other is left out."""
    control = changed(store, GatewayControl(), GatewayControl().with_rate(10, START, "anna"))
    control = changed(store, control, control.with_rate(None, START + SECOND, "berta"))
    control = changed(store, control, control.noting((TroubledCall(START, "a"),), set(), None))
    control = changed(store, control, control.tripped(START + 2 * SECOND, 0, Cause.http(503), "Pay first"))
    control = changed(store, control, control.probing(START + 7 * SECOND))
    control = changed(store, control, control.tripped(START + 8 * SECOND, 0, Cause.http(503), "Pay first"))
    control = changed(store, control, control.held_open(START + 9 * SECOND, "anna", "a new gateway"))
    changed(store, control, control.closed(START + MINUTE, "berta", "it works"))
    assert store.control.changes("", 10) == (
        [
            GatewayChange(START + MINUTE, "berta", Setting.CIRCUIT, "held", "closed", "it works"),
            GatewayChange(START + 9 * SECOND, "anna", Setting.CIRCUIT, "open", "held", "a new gateway"),
            GatewayChange(START + 2 * SECOND, "", Setting.CIRCUIT, "closed", "open", "Pay first", Cause.http(503)),
            GatewayChange(START + SECOND, "berta", Setting.RATE, 10, None),
            GatewayChange(START, "anna", Setting.RATE, None, 10),
        ],
        "",
    )


def test_a_refused_change_is_not_listed(store: Store) -> None:
    """Expects both or neither."""
    first = changed(store, GatewayControl(), GatewayControl().with_rate(10, START, "anna"))
    late = GatewayControl().with_rate(20, START, "berta")
    assert not store.control.change(GatewayControl(), late)
    assert store.control.read() == first
    assert [change.by for change in store.control.changes("", 10)[0]] == ["anna"]


def test_a_change_whose_answer_is_lost_is_listed_once(faulty: Store) -> None:
    """Expects the repeat to be recognised, or refused as somebody else's would be."""
    faulty.aws.lose_answers("dynamodb.TransactWriteItems")
    faulty.control.change(GatewayControl(), GatewayControl().with_rate(10, START, "anna"))
    assert faulty.control.read().rate == 10
    assert len(faulty.control.changes("", 10)[0]) == 1


def test_the_list_of_changes_is_read_in_pages(faulty: Store) -> None:
    """Expects one query for each page, and every change on one of them."""
    control = GatewayControl()
    for rate in range(1, 12):
        control = changed(faulty, control, control.with_rate(rate, START, "anna"))
    seen: list[object] = []
    cursor, pages = "", 0
    while pages == 0 or cursor:
        before = len(faulty.aws.calls)
        changes, cursor = faulty.control.changes(cursor, 4)
        assert faulty.aws.calls[before:] == ["dynamodb.Query"]
        assert len(changes) <= 4
        seen += [change.new for change in changes]
        pages += 1
    assert seen == list(range(11, 0, -1))


def test_listed_changes_expire_after_a_year(faulty: Store) -> None:
    """By DynamoDB's own expiry."""
    changed(faulty, GatewayControl(), GatewayControl().with_rate(10, START, "anna"))
    (row,) = faulty.tables.settings.query("gateway-changes")
    assert row.expires_at == (START + timedelta(days=365)).timestamp()


# -- paces

HORIZON = timedelta(seconds=4)


def test_no_moment_is_given_out_twice(store: Store) -> None:
    """Expects later requests to get later moments, none before now and none after the horizon."""
    gaps = {"gateway": Spacing(1_000_000)}
    assert store.control.reserve(gaps, 2, START, HORIZON) == [START, START + SECOND]
    assert store.control.reserve(gaps, 9, START, HORIZON) == [
        START + 2 * SECOND,
        START + 3 * SECOND,
        START + 4 * SECOND,
    ]
    assert store.control.reserve(gaps, 1, START, HORIZON) == []
    assert store.control.reserve(gaps, 1, START + MINUTE, HORIZON) == [START + MINUTE]


def test_a_mailing_keeps_its_own_pace_and_the_gateways(store: Store) -> None:
    """Expects all paces to be written or none, and another mailing to take the moments in between."""
    slow = store.control.reserve({"gateway": Spacing(500_000), "mailing-a": Spacing(2_000_000)}, 3, START, HORIZON)
    quick = store.control.reserve({"gateway": Spacing(500_000), "mailing-b": Spacing(500_000)}, 3, START, HORIZON)
    assert slow == [START, START + 2 * SECOND, START + 4 * SECOND]
    assert quick == [START + 0.5 * SECOND, START + SECOND, START + 1.5 * SECOND]


def test_several_moments_of_a_message_are_remembered(store: Store) -> None:
    """A slow mailing's messages take three and two; expects later bookings to find what is left between them."""
    for weight, name in ((3, "mailing-a"), (2, "mailing-b")):
        slow = {"gateway": Spacing(250_000, weight, 10), name: Spacing(2_000_000)}
        store.control.reserve(slow, 2, START + (3 - weight) * SECOND, HORIZON)
    (row,) = store.tables.settings.query("paces", store.tables.settings.name == "gateway")
    assert list(row.weights) == [3, 2]  # nothing is left before the first ones
    quick = store.control.reserve({"gateway": Spacing(250_000, 1, 10)}, 99, START, HORIZON)
    quarters = [(moment - START) // timedelta(milliseconds=250) for moment in quick]
    assert quarters == [6, 7, 11, 14, 15, 16]


def test_items_of_a_gateway_that_counts_messages_have_no_weights(store: Store) -> None:
    """Expects them to be as they were before there were weights."""
    store.control.reserve({"gateway": Spacing(500_000), "mailing-a": Spacing(2_000_000)}, 3, START, HORIZON)
    (row,) = store.tables.settings.query("paces", store.tables.settings.name == "gateway")
    assert (len(row.apart), row.weights) == (2, None)


@pytest.mark.parametrize("names", [["gateway"], ["gateway", "mailing-a"]])
def test_a_sender_that_books_in_between_is_noticed(faulty: Store, names: list[str]) -> None:
    """Expects the other one to read again, and to take moments after that sender's."""
    gaps = dict.fromkeys(names, Spacing(1_000_000))
    meddled: list[list[object]] = []

    def meddle(call: Call) -> None:
        if call.operation in ("dynamodb.PutItem", "dynamodb.TransactWriteItems") and not meddled:
            meddled.append([])
            meddled.append(faulty.control.reserve(gaps, 2, START, HORIZON))

    faulty.aws.before = meddle
    assert faulty.control.reserve(gaps, 2, START, HORIZON) == [START + 2 * SECOND, START + 3 * SECOND]
    assert meddled[1] == [START, START + SECOND]


def test_a_lost_answer_wastes_moments_and_gives_none_out_twice(faulty: Store) -> None:
    """The repeat is refused; nobody can know whose the first ones are."""
    faulty.aws.lose_answers("dynamodb.PutItem")
    given = faulty.control.reserve({"gateway": Spacing(1_000_000)}, 2, START, HORIZON)
    given += faulty.control.reserve({"gateway": Spacing(1_000_000)}, 2, START, 10 * HORIZON)
    assert len(set(given)) == 4
    assert min(given) >= START


def test_reserving_ends_if_others_are_always_first(faulty: Store) -> None:
    """After ten tries."""
    faulty.aws.refuse("dynamodb.PutItem", "ConditionalCheckFailedException")
    with pytest.raises(Unavailable, match="too many"):
        faulty.control.reserve({"gateway": Spacing(1_000_000)}, 1, START, HORIZON)
    assert len(faulty.clock.waits) == 10


def test_a_failing_engine_is_unavailable(faulty: Store) -> None:
    """Whatever was requested."""
    faulty.aws.refuse("dynamodb.", "ProvisionedThroughputExceededException")
    told = replace(GatewayControl(), revision=1)
    for ask in (
        lambda: faulty.leases.acquire("feeder", "a", START, START + MINUTE),
        lambda: faulty.leases.release("feeder", "a"),
        lambda: faulty.control.read(),
        lambda: faulty.control.change(GatewayControl(), told),
        lambda: faulty.control.change(GatewayControl(), told.with_rate(1, START, "anna")),
        lambda: faulty.control.changes("", 10),
        lambda: faulty.control.reserve({"gateway": Spacing(1_000_000)}, 1, START, HORIZON),
    ):
        with pytest.raises(Unavailable):
            ask()
