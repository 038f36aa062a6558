"""External ids: each belongs to one client, whoever writes at once, and is written in the client's transaction."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.clients import Client
from chalicelib.domain.errors import Conflict
from chalicelib.domain.faults import Fault
from chalicelib.domain.segments import Segment
from tests.factories import START, ClientFactory
from tests.integration.storage.engines import Store
from tests.support.aws import Call

LATER = START + timedelta(seconds=1)


def held(store: Store, *external_ids: str) -> list[str | None]:
    """The number of the client with each id."""
    return [found.phone_number if found else None for found in map(store.clients.find_external, external_ids)]


def changed(client: Client, external_id: str) -> Client:
    """The client with the id that an import gives them."""
    return replace(client, external_id=external_id, updated_at=LATER)


def test_ids_move_from_client_to_client(store: Store) -> None:
    """Expects an id to be free once it is given up, and no list to show it."""
    a, b = (store.clients.create(ClientFactory(external_id=one)) for one in ("a", ""))
    store.clients.upsert([changed(a, "c")])
    store.clients.upsert([changed(b, "a")])
    assert held(store, "a", "b", "c") == [b.phone_number, None, a.phone_number]
    store.clients.delete(store.clients.get(a.client_id))
    assert held(store, "a", "c") == [b.phone_number, None]
    assert [one.client_id for one in store.clients.list(Segment(), "", 10)[0]] == [b.client_id]
    assert store.clients.count(Segment()) == 1


def test_clients_who_swap_ids_in_one_import_keep_their_own(store: Store) -> None:
    """Neither is free when the rows are read; nobody loses theirs."""
    a, b = (store.clients.create(ClientFactory(external_id=one)) for one in "ab")
    result = store.clients.upsert([changed(a, "b"), changed(b, "a")])
    assert (result, sorted(result.refused)) == (Counter(), sorted([a.phone_number, b.phone_number]))
    assert held(store, "a", "b") == [a.phone_number, b.phone_number]


def test_an_id_that_is_given_up_in_an_import_is_free_for_the_next_import(store: Store) -> None:
    """Expects the row that wants it to be left out: the id belonged to another client when the rows were read."""
    a, b = (store.clients.create(ClientFactory(external_id=one)) for one in ("a", ""))
    rows = [changed(a, "c"), changed(b, "a")]
    assert store.clients.upsert(rows).refused.keys() == {b.phone_number}
    assert not store.clients.upsert(rows).refused
    assert held(store, "a", "c") == [b.phone_number, a.phone_number]


def test_only_one_of_two_at_once_gets_an_id(faulty: Store) -> None:
    """Expects the second to learn who has it, by a request and by an import, and not to be written."""
    first, second, third = ClientFactory.build_batch(3, external_id="a")
    meddled: list[bool] = []

    def meddle(call: Call) -> None:
        if call.operation == "dynamodb.TransactWriteItems" and not meddled:
            meddled.append(True)
            faulty.clients.create(first)

    faulty.aws.before = meddle
    result = faulty.clients.upsert([second, replace(ClientFactory(), tags=("other",))])
    assert (result, list(result.refused)) == (Counter(created=1), [second.phone_number])
    with pytest.raises(Conflict) as caught:
        faulty.clients.create(third)
    assert caught.value.fault is Fault.EXTERNAL_ID_TAKEN
    assert held(faulty, "a") == [first.phone_number]
    assert faulty.clients.count(Segment()) == 2


def test_a_lost_answer_gives_nobody_an_id_twice(faulty: Store) -> None:
    """Expects the repeat of an import to recognise the ids as its own."""
    clients = [ClientFactory(external_id=str(place)) for place in range(30)]
    faulty.aws.lose_answers("dynamodb.TransactWriteItems")
    result = faulty.clients.upsert(clients)
    assert (result, list(result.refused)) == (Counter(created=30), [])
    assert held(faulty, "0", "29") == [clients[0].phone_number, clients[29].phone_number]


def test_a_shared_id_that_is_taken_becomes_an_attribute(store: Store) -> None:
    """Expects the second client to be added with the attribute, and one who has an id of their own to keep it."""
    store.clients.create(ClientFactory(external_id="a"))
    owner = store.clients.create(ClientFactory(external_id="b"))
    new = ClientFactory(external_id="a")
    numbers = {new.phone_number, owner.phone_number}
    result = store.clients.upsert([new, changed(owner, "a")], sharing=numbers)
    assert (result, list(result.refused)) == (Counter(created=1, changed=1), [])
    found = {one.phone_number: one for one in store.clients.list(Segment(), "", 10)[0]}
    assert {number: (found[number].external_id, dict(found[number].attributes)) for number in numbers} == {
        new.phone_number: ("", {"user_id": "a"}),
        owner.phone_number: ("b", {"user_id": "a"}),
    }
