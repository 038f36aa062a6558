"""Numbers: a client keeps their id when their number changes, and a number belongs to one client at a time."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.client_ids import SHARDS
from chalicelib.domain.clients import Client
from chalicelib.domain.errors import Conflict, NotFound, Unavailable
from chalicelib.domain.segments import Segment
from chalicelib.storage import client_numbers
from tests.factories import START, ClientFactory
from tests.integration.storage.engines import Store
from tests.support.aws import Call
from tests.support.client_ids import CLIENT_IDS, EARLIER_IDS, client_id_for

P, Q, R = "+79160000001", "+79160000002", "+79160000003"


def add(store: Store, number: str, **fields: object) -> Client:
    return store.clients.create(ClientFactory(phone_number=number, **fields))


def renumber(store: Store, client: Client, number: str) -> Client:
    """Change a number, a little later than the last change."""
    later = client.updated_at + timedelta(milliseconds=1)
    return store.clients.change(client, replace(client, phone_number=number, updated_at=later))


def holder(store: Store, number: str) -> Client | None:
    return store.clients.find(number).client


def everybody(store: Store) -> list[Client]:
    """All clients as the index lists them; fails if anything else is in it."""
    found = [client for shard in SHARDS for client in store.clients.page(Segment(), shard, "", 500)[0]]
    assert sorted(one.client_id for one in found) == sorted(
        one.client_id for one in store.clients.list(Segment(), "", 500)[0]
    )
    assert store.clients.count(Segment()) == len(found)
    assert sum(part.count for part in store.clients.counts(Segment()).parts) == len(found)
    return found


def test_an_id_stays_when_the_number_changes(store: Store) -> None:
    """Expects the client to be found by the new number, and by the old one as the last client who had it."""
    client = add(store, P)
    assert client.client_id == client_id_for(P)
    moved = renumber(store, client, Q)
    assert (moved.client_id, moved.shard) == (client.client_id, client.shard)
    assert (
        store.clients.get(client.client_id)
        == moved
        == replace(client, phone_number=Q, renumbered=True, updated_at=moved.updated_at)
    )
    assert holder(store, Q) == moved
    assert holder(store, P) is None
    assert store.clients.find(P).former == client.client_id
    assert everybody(store) == [moved]
    assert store.clients.contacts([client.client_id])[client.client_id].phone_number == Q


def test_an_alias_is_not_a_client(store: Store) -> None:
    """Expects neither an alias nor the mark of a removed client to be read, listed or counted."""
    moved = renumber(store, add(store, P), Q)
    alias = client_id_for(Q)
    for gone in (False, True):
        with pytest.raises(NotFound):
            store.clients.get(alias)
        assert store.clients.contacts([alias]) == store.clients.contacts([alias], consistent=True) == {}
        if not gone:
            store.clients.delete(moved)
    with pytest.raises(NotFound):
        store.clients.get(moved.client_id)
    assert store.clients.contacts([moved.client_id]) == {}
    assert everybody(store) == []


def test_a_number_that_is_given_up_is_free_for_another(store: Store) -> None:
    """Expects that client to have a new id, so that nobody is taken for the one before."""
    first = renumber(store, add(store, P), Q)
    second = add(store, P)
    assert second.client_id == client_id_for(P, 1) != first.client_id
    assert (holder(store, P), holder(store, Q)) == (second, first)
    for number in (P, Q):
        with pytest.raises(Conflict, match="phone number"):
            add(store, number)
    with pytest.raises(Conflict, match="phone number"):
        renumber(store, first, P)
    assert sorted(everybody(store), key=lambda one: one.phone_number) == [second, first]


def test_numbers_can_be_swapped_and_come_back(store: Store) -> None:
    """By way of a third number, since each can belong to only one client at a time."""
    first, second = add(store, P), add(store, Q)
    first = renumber(store, first, R)
    second = renumber(store, second, P)
    first = renumber(store, first, Q)
    assert [holder(store, number) for number in (P, Q, R)] == [second, first, None]
    first = renumber(store, first, R)
    second = renumber(store, second, Q)
    first = renumber(store, first, P)
    assert [holder(store, number) for number in (P, Q, R)] == [first, second, None]
    assert first.client_id == client_id_for(P)


def test_a_client_who_is_added_again_has_the_same_id(store: Store) -> None:
    """So what was sent to them is found; but not if their number had changed, since it may have been another
    client's."""
    client = add(store, P)
    store.clients.delete(client)
    assert store.clients.find(P) == client_numbers.Place(None, client.client_id)
    assert add(store, P).client_id == client.client_id
    moved = renumber(store, store.clients.get(client.client_id), Q)
    store.clients.delete(moved)
    for number in (P, Q):
        assert store.clients.find(number).former == moved.client_id
        again = add(store, number)
        assert again.client_id == client_id_for(number, 1)
        store.clients.delete(again)
        assert add(store, number).client_id == again.client_id


def test_an_import_finds_clients_by_their_present_numbers(store: Store) -> None:
    """Clients who changed theirs, too, among many who did not; whoever has the old number is a new client."""
    others = ClientFactory.build_batch(30)
    store.clients.upsert(others)
    moved = renumber(store, add(store, P), Q)
    rows = [ClientFactory(phone_number=number, tag="new", updated_at=START + timedelta(hours=1)) for number in (P, Q)]
    result = store.clients.upsert([*(replace(one, tags=("new",)) for one in others), *rows])
    assert result == {"changed": 31, "created": 1}
    assert (holder(store, Q) or moved).client_id == moved.client_id
    assert (holder(store, P) or moved).client_id == client_id_for(P, 1)
    assert {client.tag for client in everybody(store)} == {"new"}
    assert store.clients.upsert([*(replace(one, tags=("new",)) for one in others), *rows]).total() == 32
    assert len(everybody(store)) == 32


def test_only_a_changed_number_costs_one_more_read(faulty: Store) -> None:
    """Expects adding to cost no read, finding a client one, and finding many one for each hundred."""
    assert faulty.calls_of(lambda: add(faulty, P)) == ["dynamodb.TransactWriteItems"]
    assert faulty.calls_of(lambda: holder(faulty, P)) == ["dynamodb.BatchGetItem"]
    clients = ClientFactory.build_batch(90)
    reads = faulty.calls_of(lambda: faulty.clients.upsert(clients)).count("dynamodb.BatchGetItem")
    assert reads == 1
    renumber(faulty, faulty.clients.get(client_id_for(P)), Q)
    assert faulty.calls_of(lambda: holder(faulty, Q)) == ["dynamodb.BatchGetItem"] * 2


def test_a_number_that_changes_hands_too_often_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects an error that says so, instead of endless reads."""
    monkeypatch.setattr(client_numbers, "MOST_GENERATIONS", 4)
    client = add(store, P)
    for _ in range(3):
        client = renumber(store, renumber(store, client, Q), P)
    client = renumber(store, client, Q)
    with pytest.raises(Conflict, match="moved between clients too often"):
        renumber(store, client, P)
    assert store.clients.get(client.client_id) == client


def at_transactions(store: Store, act: Callable[[], object]) -> None:
    """Do something right before the next transaction."""
    acted: list[bool] = []

    def before(call: Call) -> None:
        if call.operation == "dynamodb.TransactWriteItems" and not acted:
            acted.append(True)
            act()

    store.aws.before = before


@pytest.mark.parametrize("first", ["create", "change", "import"])
@pytest.mark.parametrize("second", ["create", "change", "import"])
def test_only_one_of_two_gets_a_number(faulty: Store, first: str, second: str) -> None:
    """Both find it free, and write at the same time."""
    renumber(faulty, add(faulty, R), P)  # so that the number has a history
    renumber(faulty, faulty.clients.get(client_id_for(R)), R)
    wanting = [add(faulty, number) for number in (Q, "+79160000009")]
    ways: dict[str, Callable[[int], object]] = {
        "create": lambda place: add(faulty, P, tag=str(place)),
        "change": lambda place: renumber(faulty, wanting[place], P),
        "import": lambda place: faulty.clients.upsert([ClientFactory(phone_number=P, tag=str(place))]),
    }
    at_transactions(faulty, lambda: ways[second](1))
    if first == "import":
        ways[first](0)
    else:
        with pytest.raises(Conflict, match="phone number"):
            ways[first](0)
    faulty.aws.before = lambda call: None
    assert [client.phone_number for client in everybody(faulty)].count(P) == 1
    assert holder(faulty, P) in everybody(faulty)


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(5, 60))])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_number_belongs_to_one_client_whatever_happens_at_once(faulty: Store, seed: int, earlier: bool) -> None:
    """Adding, changing, importing and removing, each interrupted by others at any call, with three numbers.

    Or the same in tables where a version without a key began, and this one went on.
    """
    rng = random.Random(seed)
    stages = [EARLIER_IDS, replace(CLIENT_IDS, unkeyed=True)] if earlier else [CLIENT_IDS]
    others = 0  # that may still break in

    def someone() -> Client | None:
        found = [client for client in (holder(faulty, number) for number in (P, Q, R)) if client]
        return rng.choice(found) if found else None

    def act() -> None:
        number = rng.choice((P, Q, R))
        client = someone()
        match rng.choice(("create", "import", "change", "change", "change", "delete")):
            case "create":
                add(faulty, number)
            case "import":
                faulty.clients.upsert([ClientFactory(phone_number=number, tag=rng.choice("ab"))])
            case "change" if client:
                renumber(faulty, client, number)
            case "delete" if client:
                faulty.clients.delete(client)

    def before(call: Call) -> None:
        nonlocal others
        if others and rng.random() < 0.2:
            others -= 1
            with suppress(Conflict, Unavailable):
                act()

    faulty.aws.before = before
    for ids in stages:
        faulty.client_ids = ids
        faulty.__post_init__()
        for _ in range(12 // len(stages)):
            others = 3
            with suppress(Conflict, Unavailable):
                act()
            others = 0
            clients = {client.phone_number: client for client in everybody(faulty)}
            assert len(clients) == len(everybody(faulty))
            assert {number: holder(faulty, number) for number in (P, Q, R)} == {
                number: clients.get(number) for number in (P, Q, R)
            }
