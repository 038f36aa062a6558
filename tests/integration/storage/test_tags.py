"""Clients with several tags: each is found by all of them, once, and counted with each."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ministack.services import dynamodb as emulated_dynamodb

from chalicelib.domain.attributes import attributes_of
from chalicelib.domain.client_files import ClientFile
from chalicelib.domain.client_ids import SHARDS
from chalicelib.domain.clients import Client, IndexedClient
from chalicelib.domain.errors import Conflict
from chalicelib.domain.segments import Segment
from chalicelib.domain.tags import MOST_TAGS
from chalicelib.storage.client_changes import is_logged
from chalicelib.storage.import_items import client_cells, client_of_cells
from chalicelib.storage.segments import Total
from tests.factories import START, ClientFactory
from tests.integration.storage.engines import SETTINGS, Store
from tests.integration.storage.test_clients import everybody

TAGS, OPERATORS = ("a", "ab", "b", "c"), ("903", "916", "")


def items(store: Store) -> list[dict[str, Any]]:
    """All items of the clients' table in the emulator, except for the key."""
    table = emulated_dynamodb._tables[SETTINGS.clients_table]["items"]
    return [item for some in table.values() for item in some.values() if "shard" in item]


def walked(store: Store, segment: Segment, shard: str, limit: int) -> list[Client]:
    """All pages of a walk."""
    found: list[Client] = []
    cursor, more = "", True
    while more:
        page, cursor = store.clients.walk(segment, shard, cursor, limit)
        more = bool(cursor)
        assert len(page) <= limit
        whole = store.clients.whole(segment, page)
        for shown, client in zip(page, whole, strict=True):
            names = IndexedClient.__dataclass_fields__
            assert [getattr(shown, name) for name in names] == [getattr(client, name) for name in names]
        found += whole
    return found


def people(rng: random.Random, count: int) -> list[Client]:
    """Clients with any of the tags, in any order."""
    return [
        ClientFactory(tags=tuple(rng.sample(TAGS, rng.randrange(5))), operator=rng.choice(OPERATORS))
        for _ in range(count)
    ]


@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(2, 6))])
def test_walks_lists_and_counts_of_any_segment_have_everybody_once(faulty: Store, seed: int) -> None:
    """After random changes, with any page size; a count that is not exact is never too small."""
    rng = random.Random(seed)
    known = people(rng, 60)
    faulty.clients.upsert(known)
    now = {client.client_id: client for client in known}
    for step, client in enumerate(rng.sample(known, 25)):
        at = START + timedelta(milliseconds=step + 1)
        if rng.random() < 0.2:
            faulty.clients.delete(client)
            del now[client.client_id]
        else:
            tags = tuple(rng.sample(TAGS, rng.randrange(5)))
            new = replace(client, tags=tags, operator=rng.choice(OPERATORS), updated_at=at)
            now[client.client_id] = faulty.clients.change(client, new)
    for _ in range(12):
        tags = tuple(rng.sample(("", *TAGS), rng.randrange(5)))
        segment = Segment(tags, tuple(rng.sample(("903", "916", "999"), rng.randrange(3))))
        expected = sorted((one for one in now.values() if segment.matches(one)), key=lambda one: one.client_id)
        limit = rng.choice((1, 2, 5, 200))
        assert [one for shard in SHARDS for one in walked(faulty, segment, shard, limit)] == sorted(
            expected, key=lambda one: (one.shard, one.client_id)
        )
        assert sorted(everybody(faulty, segment, limit), key=lambda one: one.client_id) == expected
        total = faulty.clients.total(segment)
        assert sum(part.count for part in faulty.clients.counts(segment).parts) == total.count
        if total.exact:
            assert total.count == len(expected)
        assert total.count >= len(expected)
        assert total.exact or len(tags) > 1


def test_a_client_leaves_no_item_behind(store: Store) -> None:
    """Expects one item for a client with one tag, as before, and none for a removed one."""
    client = store.clients.create(ClientFactory(tags=("a", "b", "c")))
    assert dict(store.clients.tags(9)) == {"a": 1, "b": 1, "c": 1}
    changed = replace(client, tags=("b", "d"), operator="903", updated_at=START + timedelta(seconds=1))
    store.clients.change(client, changed)
    assert dict(store.clients.tags(9)) == {"b": 1, "d": 1}
    assert everybody(store, Segment(("d",), ("903",)), 9) == [changed]
    assert everybody(store, Segment(("a", "c")), 9) == []
    store.clients.delete(changed)
    assert dict(store.clients.tags(9)) == {}
    assert everybody(store, Segment(("b", "d")), 9) == []


def test_a_single_tag_is_stored_as_before_there_were_several(faulty: Store) -> None:
    """One item with the same attributes, so that it costs the same; items of further tags are no clients."""
    one = faulty.clients.create(ClientFactory(tags=("a",)))
    (item,) = items(faulty)
    assert (item["tag"], "tags" in item) == ({"S": "a"}, False)
    faulty.clients.change(one, replace(one, tags=("a", "b"), updated_at=START + timedelta(seconds=1)))
    assert len(items(faulty)) == 2
    (further,) = (item for item in items(faulty) if "phone_number" not in item)
    assert set(further) == {"client_id", "shard", "tag_key"}
    assert len(everybody(faulty, Segment(), 9)) == 1
    assert faulty.clients.get_many([further["client_id"]["S"]]) == {}


def test_twenty_tags_are_replaced_in_one_transaction(store: Store) -> None:
    """And many such clients are imported in as many transactions as they need."""
    old, new = ([f"{word}{number}" for number in range(MOST_TAGS)] for word in ("old", "new"))
    clients = [ClientFactory(tags=tuple(old)) for _ in range(5)]
    assert store.clients.upsert(clients)["created"] == 5
    later = START + timedelta(seconds=1)
    changed = [
        replace(one, tags=tuple(new), operator="999", timezone="UTC", opted_out=True, updated_at=later)
        for one in clients
    ]
    assert store.clients.upsert(changed)["changed"] == 5
    assert store.clients.total(Segment((new[7],))) == Total(5)
    assert store.clients.total(Segment((old[7],))) == Total(0)
    assert {one.client_id for one in everybody(store, Segment((new[19],)), 2)} == {one.client_id for one in clients}


def test_what_an_index_still_shows_is_left_out(faulty: Store) -> None:
    """The index may still show a tag that a client has lost, or a client who is gone."""
    stays, loses, goes = (faulty.clients.create(ClientFactory(tags=("a", "b"))) for _ in range(3))
    table = emulated_dynamodb._tables[SETTINGS.clients_table]["items"]
    before = {key: dict(some) for key, some in table.items()}
    faulty.clients.change(loses, replace(loses, tags=("a",), updated_at=START + timedelta(seconds=1)))
    faulty.clients.delete(goes)
    stale = {key: some for key, some in before.items() if "#tag#" in str(key)}
    assert len(stale) == 3
    table.update(stale)
    assert everybody(faulty, Segment(("b",)), 9) == [stays]
    assert [one for shard in SHARDS for one in walked(faulty, Segment(("b",)), shard, 1)] == [stays]


def test_nobody_is_left_out_by_a_read_that_lags_behind_the_index(faulty: Store) -> None:
    """Expects clients who are not found, or found without the tag, to be read again consistently, and nobody else."""
    clients = [faulty.clients.create(ClientFactory(tags=("a", "b"))) for _ in range(3)]
    read: list[tuple[bool, int]] = []

    def partly(operation: str, request: dict[str, Any]) -> None:
        if operation == "dynamodb.BatchGetItem":
            (wanted,) = request["RequestItems"].values()
            read.append((wanted["ConsistentRead"], len(wanted["Keys"])))
            if not wanted["ConsistentRead"]:
                for key in wanted["Keys"]:
                    key["client_id"]["S"] = key["client_id"]["S"].replace(clients[1].client_id, "not there yet")

    faulty.aws.partly = partly
    found = [one for shard in SHARDS for one in walked(faulty, Segment(("b",)), shard, 9)]
    assert {one.client_id for one in found} == {one.client_id for one in clients}
    assert sum(count for consistent, count in read if consistent) == 1


def test_changes_of_the_same_clients_tags_do_not_overwrite_each_other(store: Store) -> None:
    """Even if the first tag stays."""
    client = store.clients.create(ClientFactory(tags=("a", "b")))
    store.clients.change(client, replace(client, tags=("a", "c")))
    with pytest.raises(Conflict):
        store.clients.change(client, replace(client, tags=("a", "d")))
    assert store.clients.get(client.client_id).tags == ("a", "c")


def test_a_change_of_any_tag_is_logged() -> None:
    """Even of their order: the index has another item at each place then."""
    client = ClientFactory(tags=("a", "b"))
    assert is_logged(client, replace(client, tags=("a",)))
    assert is_logged(client, replace(client, tags=("b", "a")))
    assert is_logged(client, replace(client, attributes=attributes_of({"age": 3})))
    assert is_logged(client, replace(client, language="ru"))
    assert not is_logged(client, replace(client, opted_out=True))


@pytest.mark.parametrize("tags", [(), ("a",), ("a", "b")])
def test_an_import_keeps_the_tags_of_a_row(tags: tuple[str, ...]) -> None:
    """With one tag as text, as an earlier version stored it."""
    client = ClientFactory(tags=tags)
    file = ClientFile(given={client.phone_number: frozenset({"tags"})})
    cells = client_cells(client, file)
    assert client_of_cells(cells, START).tags == tags
    assert client_of_cells([client.phone_number, None, "a"], START).tags == ("a",)
