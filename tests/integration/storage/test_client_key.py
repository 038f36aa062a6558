"""The key of the clients' ids: made once and kept for good, and what happens to clients from before there was one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.client_ids import ClientIds, unkeyed_id_for
from chalicelib.domain.clients import Client
from chalicelib.domain.errors import Conflict, Unavailable
from chalicelib.domain.segments import Segment
from chalicelib.storage.client_key import PLACE, ids_of
from tests.factories import START, ClientFactory
from tests.integration.storage.engines import Store, in_process
from tests.support.aws import Call
from tests.support.client_ids import EARLIER_IDS

P, Q, R = "+79160000001", "+79160000002", "+79160000003"
LATER = START + timedelta(hours=1)


def process(store: Store, ids: ClientIds | None = None) -> Store:
    """Another process on the same tables, which reads or makes the key itself; or an earlier version with its ids."""
    return Store(store.tables, store.dynamodb, in_process=store.in_process, client_ids=ids)


def key_of(store: Store) -> ClientIds | None:
    """The key that the table has."""
    item = store.dynamodb.get_item(TableName=store.tables.clients.Meta.table_name, Key={"client_id": {"S": PLACE}})
    return ids_of(item["Item"]) if "Item" in item else None


def put_key(store: Store, **values: Any) -> None:
    item = {"client_id": {"S": PLACE}, **values}
    store.dynamodb.put_item(TableName=store.tables.clients.Meta.table_name, Item=item)


def renumber(store: Store, client: Client, number: str) -> Client:
    later = client.updated_at + timedelta(milliseconds=1)
    return store.clients.change(client, replace(client, phone_number=number, updated_at=later))


def everybody(store: Store) -> dict[str, str]:
    """The numbers of all clients, by id; fails unless the counters agree with the list."""
    found, _ = store.clients.list(Segment(), "", 500)
    assert store.clients.count(Segment()) == len(found)
    assert len({client.phone_number for client in found}) == len(found)
    return {client.client_id: client.phone_number for client in found}


def rows(numbers: list[str], **fields: object) -> list[Client]:
    """What an import writes for these numbers."""
    return [
        ClientFactory(**{"phone_number": number, "client_id": "", "timezone": "UTC"} | fields) for number in numbers
    ]


# -- made once


def test_a_new_installation_makes_a_key_that_all_processes_share(store: Store) -> None:
    """Expects it to note that no client has an older id."""
    first, second = process(store), process(store)
    client = first.clients.create(*rows([P]))
    assert second.clients.find(P).client == client
    ids = key_of(store)
    assert ids is not None
    assert (len(ids.key), ids.unkeyed) == (32, False)
    assert client.client_id == ids.id_for(P) != unkeyed_id_for(P)
    assert everybody(second) == {client.client_id: P}


def test_two_installations_give_a_number_different_ids() -> None:
    """So an id tells nothing to somebody who knows another installation."""
    found = set()
    for _ in range(2):
        with in_process() as made:
            found.add(process(made).clients.create(*rows([P])).client_id)
    assert len(found) == 2


def test_processes_that_start_at_once_have_the_same_key(faulty: Store) -> None:
    """The second makes one, and adds a client, while the first is about to write its own."""
    first, second = process(faulty), process(faulty)
    made: list[Client] = []

    def before(call: Call) -> None:
        if call.operation == "dynamodb.PutItem" and not made:
            faulty.aws.before = lambda call: None
            made.append(second.clients.create(*rows([P])))

    faulty.aws.before = before
    assert first.clients.find(P).client == made[0]
    with pytest.raises(Conflict):
        first.clients.create(*rows([P]))
    assert (key_of(faulty) or EARLIER_IDS).unkeyed is False


def test_a_process_reads_the_key_once(faulty: Store) -> None:
    """However many clients it adds or looks for."""
    process(faulty).clients.find(P)
    other = process(faulty)
    assert faulty.calls_of(lambda: other.clients.upsert(rows([P, Q]))).count("dynamodb.BatchGetItem") == 2
    assert faulty.calls_of(lambda: other.clients.create(*rows([R]))) == ["dynamodb.TransactWriteItems"]


@pytest.mark.parametrize("operation", ["dynamodb.BatchGetItem", "dynamodb.Query", "dynamodb.PutItem"])
def test_nobody_is_added_without_a_key(faulty: Store, operation: str) -> None:
    """If it can be neither read nor made, expects nothing to be done; once it can, everything."""
    other = process(faulty)
    faulty.aws.refuse(operation, "AccessDeniedException")
    for act in (lambda: other.clients.create(*rows([P])), lambda: other.clients.upsert(rows([P]))):
        with pytest.raises(Unavailable, match="clients"):
            act()
    faulty.aws.before = lambda call: None
    assert (everybody(faulty), key_of(faulty)) == ({}, None)
    client = other.clients.create(*rows([P]))
    assert process(faulty).clients.find(P).client == client


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"id_key": {"S": ""}, "unkeyed": {"BOOL": False}},
        {"id_key": {"S": "ab" * 15}, "unkeyed": {"BOOL": False}},
        {"id_key": {"S": "no key, but words"}, "unkeyed": {"BOOL": False}},
        {"id_key": {"S": "ab" * 32}},
        {"id_key": {"N": "7"}, "unkeyed": {"BOOL": False}},
    ],
)
def test_a_damaged_key_is_refused(store: Store, values: dict[str, object]) -> None:
    """Rather than adding people under ids that nobody finds again, or making another key."""
    put_key(store, **values)
    with pytest.raises(Unavailable, match="key of their ids is damaged"):
        process(store).clients.create(*rows([P]))
    assert everybody(store) == {}


def test_a_lost_key_is_not_replaced(store: Store) -> None:
    """Everybody would be added once more; their ids show that there was a key."""
    client = process(store).clients.create(*rows([P]))
    table = store.tables.clients.Meta.table_name
    store.dynamodb.delete_item(TableName=table, Key={"client_id": {"S": PLACE}})
    with pytest.raises(Unavailable, match="key of their ids is lost"):
        process(store).clients.upsert(rows([P]))
    assert (everybody(store), key_of(store)) == ({client.client_id: P}, None)


# -- clients from before there was a key


@pytest.fixture
def old(faulty: Store) -> Store:
    """A process of this version on the tables of an earlier one, with two hundred clients."""
    before = process(faulty, EARLIER_IDS)
    before.clients.upsert(rows([f"+7916000{number:04d}" for number in range(200)], tag="old"))
    return process(faulty)


def test_existing_clients_keep_their_ids(old: Store) -> None:
    """Expects them to be found by their numbers, and another import of the same list to add nobody."""
    before = everybody(old)
    assert before == {unkeyed_id_for(number): number for number in before.values()}
    again = rows(list(before.values()), tag="old", created_at=LATER)
    assert old.clients.upsert(again) == {"unchanged": 200}
    assert everybody(process(old)) == before
    for client_id, number in before.items():
        assert (old.clients.find(number).client or again[0]).client_id == client_id
    with pytest.raises(Conflict, match="phone number"):
        old.clients.create(*rows([P]))
    assert (key_of(old) or EARLIER_IDS).unkeyed


def test_a_new_client_has_an_id_from_the_key(old: Store) -> None:
    """Among old ones in one import, and alone."""
    before = everybody(old)
    new = [f"+7917000{number:04d}" for number in range(30)]
    assert old.clients.upsert(rows([*before.values(), *new], tag="new"))["created"] == 30
    old.clients.create(*rows(["+79180000000"]))
    ids = key_of(old) or EARLIER_IDS
    assert everybody(old) == before | {ids.id_for(number): number for number in [*new, "+79180000000"]}
    again = rows([*before.values(), *new], tag="new", created_at=LATER)
    assert old.clients.upsert(again) == {"unchanged": 230}


def test_an_old_id_stays_when_the_number_changes(old: Store) -> None:
    """For a new number, back again, and for one that somebody else gave up; whoever gets the old number is another
    client."""
    ids = old.clients._numbers._ids()
    first = old.clients.find(P).client
    assert first
    moved = renumber(old, first, "+79190000000")
    second = old.clients.create(*rows([P]))
    assert second.client_id == ids.id_for(P)
    with pytest.raises(Conflict, match="phone number"):
        renumber(old, moved, P)
    second = renumber(old, second, "+79190000001")
    moved = renumber(old, moved, P)
    assert (old.clients.find(P).client, moved.client_id) == (moved, unkeyed_id_for(P))
    assert old.clients.find("+79190000001").client == second
    assert old.clients.upsert(rows([P, "+79190000000", "+79190000001"], tag="new")) == {"changed": 2, "created": 1}


def test_a_client_who_is_removed_and_added_again_has_the_same_old_id(old: Store) -> None:
    """However often: so what was sent to them is found, and no mailing reaches them twice."""
    for _ in range(3):
        client = old.clients.find(P).client
        assert client
        old.clients.delete(client)
        place = old.clients.find(P)
        assert (place.client, place.former) == (None, unkeyed_id_for(P))
        assert P not in everybody(old).values()
        again = old.clients.create(*rows([P]))
        assert again.client_id == unkeyed_id_for(P)
    assert len(everybody(old)) == 200


def test_a_free_id_may_belong_to_another_client_later(old: Store) -> None:
    """The client who changes to the number is next in the chain; when they have left it too, another client gets a
    new id."""
    client, other = old.clients.find(P).client, old.clients.find(Q).client
    assert client
    assert other
    old.clients.delete(client)
    other = renumber(old, other, P)
    assert (old.clients.find(P).client, other.client_id) == (other, unkeyed_id_for(Q))
    renumber(old, other, "+79190000000")
    new = old.clients.create(*rows([P]))
    assert new.client_id == old.clients._numbers._ids().id_for(P)
    assert old.clients.find(P).client == new


def test_a_client_who_was_removed_before_the_key_is_a_new_one(faulty: Store) -> None:
    """Nothing is left of them; expects them to be added once."""
    before = process(faulty, EARLIER_IDS)
    gone, _ = before.clients.create(*rows([P])), before.clients.create(*rows([Q]))
    before.clients.delete(gone)
    now = process(faulty)
    added = now.clients.create(*rows([P]))
    assert added.client_id == now.clients._numbers._ids().id_for(P)
    assert now.clients.upsert(rows([P, Q], tag="new")) == {"changed": 2}


def test_a_kill_at_any_call_neither_loses_nor_doubles_a_client(faulty: Store) -> None:
    """The first import into an old installation, begun again in a new process after each kill."""
    before = process(faulty, EARLIER_IDS)
    numbers = [f"+7916000{number:04d}" for number in range(120)]
    before.clients.upsert(rows(numbers[:60], tag="old"))
    known, kills = everybody(faulty), 0
    for calls in range(1, 40):
        killed = dies_after(faulty, calls)
        try:
            process(faulty).clients.upsert(rows(numbers, tag="new"))
        except Killed:
            kills += 1
        faulty.aws.after = lambda call: None
        if not killed:
            break
        assert everybody(faulty).items() >= known.items()
    assert kills > 5
    assert sorted(everybody(faulty).values()) == numbers
    assert everybody(faulty).items() >= known.items()
    assert (key_of(faulty) or EARLIER_IDS).unkeyed


def dies_after(store: Store, calls: int) -> list[Call]:
    """Carry out so many calls, and lose every answer from then on; the list contains the first of these calls."""
    seen: list[Call] = []
    killed: list[Call] = []

    def after(call: Call) -> None:
        seen.append(call)
        if len(seen) >= calls:
            killed[:] = killed or [call]
            raise Killed

    store.aws.after = after
    return killed


class Killed(BaseException):
    """The process is gone."""
