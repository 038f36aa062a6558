"""The directory: one client for each number, pages over shards and ranges, counts that are always right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.attributes import attributes_of
from chalicelib.domain.client_ids import SHARDS
from chalicelib.domain.clients import Client, Contact
from chalicelib.domain.errors import Conflict, NotFound, Unavailable
from chalicelib.domain.segments import Segment
from chalicelib.storage.client_changes import place_of
from tests.factories import START, ClientFactory
from tests.integration.storage.engines import Store
from tests.support.aws import Call

LATER = START + timedelta(seconds=1)


def add(store: Store, count: int, **fields: object) -> list[Client]:
    """Add so many clients to the table."""
    clients = ClientFactory.build_batch(count, **fields)
    store.clients.upsert(clients)
    return clients


def everybody(store: Store, segment: Segment, limit: int) -> list[Client]:
    """All pages of a list together."""
    found: list[Client] = []
    cursor = ""
    for _ in range(1000):
        page, cursor = store.clients.list(segment, cursor, limit)
        assert len(page) <= limit
        found += page
        if not cursor:
            return found
    raise AssertionError("the list does not end")


def total(store: Store, segment: Segment) -> int:
    """The count of a segment; there are two kinds of counters for it."""
    detailed = sum(part.count for part in store.clients.counts(segment).parts)
    assert store.clients.count(segment) == detailed
    return detailed


def test_a_client_is_read_as_it_was_written(store: Store) -> None:
    """Expects every field, empty ones too."""
    for client in (
        ClientFactory(opted_out=True, updated_at=LATER),
        ClientFactory(phone_number="+4915112345678", tag="", timezone="UTC"),
    ):
        store.clients.create(client)
        assert store.clients.get(client.client_id) == client


def test_an_unknown_client_is_not_found(store: Store) -> None:
    """Expects it to be missing if many are read."""
    (client,) = add(store, 1)
    unknown = ClientFactory().client_id
    with pytest.raises(NotFound):
        store.clients.get(unknown)
    assert store.clients.get_many([unknown, client.client_id, client.client_id]) == {client.client_id: client}
    assert store.clients.get_many([]) == {}


def test_a_number_is_taken_once(store: Store) -> None:
    """Expects the second client to change nothing, not even the counts."""
    client = ClientFactory()
    store.clients.create(client)
    with pytest.raises(Conflict, match="phone number"):
        store.clients.create(replace(client, tags=("other",), updated_at=LATER))
    assert store.clients.get(client.client_id) == client
    assert total(store, Segment()) == 1


def test_changes_of_the_same_client_do_not_overwrite_each_other(store: Store) -> None:
    """Expects the second to have to read again, also if it is a removal."""
    (client,) = add(store, 1)
    store.clients.change(client, replace(client, tags=("first",), updated_at=LATER))
    with pytest.raises(Conflict):
        store.clients.change(client, replace(client, tags=("second",), updated_at=LATER))
    with pytest.raises(Conflict):
        store.clients.delete(client)
    assert store.clients.get(client.client_id).tag == "first"
    assert (total(store, Segment(("first",))), total(store, Segment(("second",)))) == (1, 0)


def test_a_removed_client_is_gone_from_lists_and_counts(store: Store) -> None:
    """Expects a second removal to be refused."""
    client, other = add(store, 2)
    store.clients.delete(client)
    assert everybody(store, Segment(), 10) == [other]
    assert total(store, Segment()) == 1
    with pytest.raises(Conflict):
        store.clients.delete(client)


def test_an_import_can_be_repeated(store: Store) -> None:
    """Expects it to report the results, keep the time of creation, and count nobody twice."""
    clients = ClientFactory.build_batch(70)
    assert store.clients.upsert(clients) == Counter(created=70)
    again = [replace(client, created_at=LATER, updated_at=LATER) for client in clients]
    assert store.clients.upsert(again) == Counter(unchanged=70)
    again[3] = replace(again[3], tags=("other",))
    again += [ClientFactory()]
    assert store.clients.upsert(again) == Counter(unchanged=69, changed=1, created=1)
    assert store.clients.get(clients[3].client_id) == replace(clients[3], tags=("other",), updated_at=LATER)
    assert (total(store, Segment()), total(store, Segment(("other",)))) == (71, 1)


def contact(client: Client) -> Contact:
    return Contact(client.phone_number, client.timezone, client.opted_out)


@pytest.mark.parametrize("consistent", [False, True])
def test_contacts_are_read_for_clients_who_exist(store: Store, consistent: bool) -> None:
    """Expects number, zone and opt-out, for more clients than one read can return."""
    inside, outside = add(store, 120), add(store, 3, opted_out=True)
    unknown = ClientFactory().client_id
    found = store.clients.contacts([one.client_id for one in [*inside, *outside, inside[0]]] + [unknown], consistent)
    assert found == {client.client_id: contact(client) for client in [*inside, *outside]}


def test_a_sender_reads_language_and_attributes_only_if_needed(store: Store) -> None:
    """Expects neither in the plain read, which every message costs."""
    attributes = attributes_of({"first_name": "Anna", "vip": True})
    store.clients.upsert([ClientFactory(language="ru", attributes=attributes)])
    ((client,), _) = store.clients.list(Segment(), "", 9)
    assert (client.language, client.attributes) == ("ru", attributes)
    assert store.clients.contacts([client.client_id]) == {client.client_id: contact(client)}
    personal = replace(contact(client), language="ru", attributes=attributes)
    assert store.clients.contacts([client.client_id], personal=True) == {client.client_id: personal}


def test_a_read_that_lags_does_not_make_clients_disappear(faulty: Store) -> None:
    """The cheap read may not have the latest client yet; expects those it does not find to be read consistently."""
    clients = add(faulty, 3)

    def partly(operation: str, request: dict[str, Any]) -> Callable[[dict[str, Any]], None] | None:
        if operation != "dynamodb.BatchGetItem":
            return None
        lagging = [wanted for wanted in request["RequestItems"].values() if not wanted["ConsistentRead"]]
        for wanted in lagging:
            wanted["Keys"] = [key for key in wanted["Keys"] if key["client_id"]["S"] != clients[1].client_id]
        return None

    faulty.aws.partly = partly
    calls = faulty.calls_of(lambda: faulty.clients.contacts([clients[0].client_id, clients[2].client_id]))
    assert calls == ["dynamodb.BatchGetItem"]
    found = faulty.clients.contacts(client.client_id for client in clients)
    assert found == {client.client_id: contact(client) for client in clients}


SEGMENTS = [
    (Segment(), lambda tag, operator: True),
    (Segment(("a",)), lambda tag, operator: tag == "a"),
    (Segment(("a", "")), lambda tag, operator: tag in ("a", "")),
    (Segment(operators=("916",)), lambda tag, operator: operator == "916"),
    (Segment(operators=("903", "916")), lambda tag, operator: operator in ("903", "916")),
    (Segment(("a",), ("916",)), lambda tag, operator: (tag, operator) == ("a", "916")),
    (Segment(("a", "b"), ("916",)), lambda tag, operator: tag in ("a", "b") and operator == "916"),
    (Segment(("a", "b"), ("903", "999")), lambda tag, operator: tag in ("a", "b") and operator == "903"),
    (Segment(("nobody",)), lambda tag, operator: False),
]


@pytest.mark.parametrize("limit", [1, 2, 7, 200])
def test_every_segment_is_listed_once_and_counted(faulty: Store, limit: int) -> None:
    """Expects each of its clients on just one page, of any size, in the list and in the shards."""
    clients = [
        client
        for tag in ("", "a", "ab", "b")
        for operator in ("903", "916", "91", "")
        for client in add(faulty, 3, tag=tag, operator=operator)
    ]
    for segment, matches in SEGMENTS:
        expected = sorted(client.client_id for client in clients if matches(client.tag, client.operator))
        assert sorted(client.client_id for client in everybody(faulty, segment, limit)) == expected
        assert total(faulty, segment) == len(expected)
        found = []
        for shard in SHARDS:
            cursor, pages = "", 0
            while cursor or not pages:
                page, cursor = faulty.clients.page(segment, shard, cursor, limit)
                assert len(page) <= limit
                assert {client.shard for client in page} <= {shard}
                found += [client.client_id for client in page]
                pages += 1
                assert pages < 500
        assert sorted(found) == expected


@pytest.mark.parametrize("limit", [1, 2, 7, 200])
def test_a_walk_has_every_client_of_a_segment_once_in_the_order_of_ids(faulty: Store, limit: int) -> None:
    """With any tags and operators: so a bucket of the ledger is filled by one page, or by two at its end."""
    clients = [
        client
        for tag in ("", "a", "ab", "b")
        for operator in ("903", "916", "91", "")
        for client in add(faulty, 6, tag=tag, operator=operator)
    ]
    for segment, matches in SEGMENTS:
        expected = [client for client in clients if matches(client.tag, client.operator)]
        for shard in SHARDS:
            found, cursor, pages = [], "", 0
            while cursor or not pages:
                page, cursor = faulty.clients.walk(segment, shard, cursor, limit)
                assert len(page) <= limit
                found += [client.client_id for client in page]
                pages += 1
                assert pages < 500
            assert found == sorted(client.client_id for client in expected if client.shard == shard)


def test_a_walk_that_an_earlier_version_began_can_go_on(faulty: Store) -> None:
    """Its place is a key of the index; expects every client after that."""
    clients = add(faulty, 40, tag="a") + add(faulty, 40, tag="b")
    segment = Segment(("a", "b"))
    for shard in SHARDS:
        found, cursor = faulty.clients.page(segment, shard, "", 2)
        while cursor:
            page, cursor = faulty.clients.walk(segment, shard, cursor, 2)
            found += page
        assert {one.client_id for one in found} == {one.client_id for one in clients if one.shard == shard}


def test_both_engines_list_segments_alike(store: Store) -> None:
    """Across the ends of pages, ranges and shards."""
    clients = add(store, 20, tag="a") + add(store, 5, tag="b")
    for segment, count in [(Segment(), 25), (Segment(("a",)), 20), (Segment(("a", "b")), 25)]:
        found = everybody(store, segment, 4)
        assert sorted(client.client_id for client in found) == sorted(client.client_id for client in clients[:count])
        assert total(store, segment) == count


def test_counts_distinguish_time_zones_and_opt_outs(store: Store) -> None:
    """So that a preview can say how many will be reached, and when."""
    add(store, 3, timezone="UTC", operator="916")
    add(store, 2, timezone="Europe/Moscow", operator="916", opted_out=True)
    add(store, 1, timezone="UTC", operator="903")
    parts = {
        (part.operator, part.timezone, part.opted_out): part.count
        for part in store.clients.counts(Segment(("vip",), ("916",))).parts
    }
    assert parts == {("916", "UTC", False): 3, ("916", "Europe/Moscow", True): 2}


@pytest.mark.parametrize(
    "code", ["ProvisionedThroughputExceededException", "ThrottlingException", "AccessDeniedException"]
)
def test_a_failing_engine_is_unavailable(faulty: Store, code: str) -> None:
    """Whatever was requested."""
    (client,) = add(faulty, 1)
    faulty.aws.refuse("dynamodb.", code)
    for ask in (
        lambda: faulty.clients.get(client.client_id),
        lambda: faulty.clients.contacts([client.client_id]),
        lambda: faulty.clients.create(ClientFactory()),
        lambda: faulty.clients.upsert([ClientFactory()]),
        lambda: faulty.clients.list(Segment(), "", 10),
        lambda: faulty.clients.counts(Segment()),
        lambda: faulty.clients.count(Segment()),
    ):
        with pytest.raises(Unavailable):
            ask()


def test_a_lost_answer_to_an_import_counts_nobody_twice(faulty: Store) -> None:
    """The repeat is refused; expects what is found then to be what was to be written."""
    clients = ClientFactory.build_batch(30)
    faulty.aws.lose_answers("dynamodb.TransactWriteItems")
    assert faulty.clients.upsert(clients) == Counter(created=30)
    assert total(faulty, Segment()) == 30


def test_an_import_goes_on_if_others_change_the_same_clients(faulty: Store) -> None:
    """What was read is out of date when it is written: expects it to be read again, and the counts to follow."""
    (client,) = add(faulty, 1)
    meddled: list[bool] = []

    def meddle(call: Call) -> None:
        if call.operation == "dynamodb.TransactWriteItems" and not meddled:
            meddled.append(True)
            faulty.clients.change(client, replace(client, tags=("meddled",), updated_at=LATER))

    faulty.aws.before = meddle
    wanted = replace(client, tags=("wanted",), updated_at=LATER + timedelta(seconds=1))
    assert faulty.clients.upsert([wanted]) == Counter(changed=1)
    assert {part.tag: part.count for part in faulty.clients.counts(Segment()).parts} == {"wanted": 1}
    assert len(faulty.clock.waits) == 1


def test_an_import_that_never_succeeds_ends(faulty: Store) -> None:
    """After some tries, with a wait before each."""
    faulty.aws.refuse("dynamodb.TransactWriteItems", "TransactionConflictException")
    with pytest.raises(Unavailable):
        faulty.clients.upsert([ClientFactory()])
    assert 3 <= len(faulty.clock.waits) <= 20


def test_clients_that_come_in_two_answers_are_all_read(faulty: Store) -> None:
    """DynamoDB answers a batch in part when it is busy, and says what is missing."""
    clients = add(faulty, 10)
    halves: list[int] = []

    def partly(operation: str, request: dict[str, Any]) -> Callable[[dict[str, Any]], None] | None:
        if operation != "dynamodb.BatchGetItem" or halves:
            return None
        ((table, wanted),) = request["RequestItems"].items()
        rest = wanted["Keys"][4:]
        del wanted["Keys"][4:]
        halves.append(len(rest))
        return lambda answer: answer.update(UnprocessedKeys={table: {**wanted, "Keys": rest}})

    faulty.aws.partly = partly
    assert faulty.clients.get_many(client.client_id for client in clients) == {
        client.client_id: client for client in clients
    }
    assert halves == [6]


def test_waiting_for_missing_clients_ends(faulty: Store) -> None:
    """After some tries, with a wait before each."""
    (client,) = add(faulty, 1)

    def nothing(operation: str, request: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
        return lambda answer: answer.update(Responses={}, UnprocessedKeys=request["RequestItems"])

    faulty.aws.partly = nothing
    with pytest.raises(Unavailable, match="clients: DynamoDB is too busy"):
        faulty.clients.get_many([client.client_id])
    assert 3 <= len(faulty.clock.waits) <= 20


def log_since(store: Store, moment: datetime, limit: int = 100) -> list[set[str]]:
    """What the log has from a moment on, page by page."""
    found: list[set[str]] = []
    place = place_of(moment)
    while place:
        changes, place = store.clients.changes.page(place, limit)
        assert len(changes) <= limit
        found += [set(change.client_ids) for change in changes]
    return found


def test_changes_that_move_a_client_or_their_day_are_logged(store: Store) -> None:
    """Tag, operator and zone, but not additions, opt-outs or removals; one note for all that are written together."""
    before = store.clock.now()
    clients = add(store, 5)
    client = clients[0]
    for number, field in enumerate(
        ({"opted_out": True}, {"tags": ("a",)}, {"operator": "903"}, {"timezone": "Asia/Tokyo"})
    ):
        changed = replace(client, **field, updated_at=LATER + timedelta(seconds=number))
        store.clients.change(client, changed)
        client = changed
    store.clients.delete(clients[1])
    assert log_since(store, before) == [{client.client_id}] * 3
    store.clients.upsert([replace(one, tags=("b",), updated_at=LATER) for one in clients[2:]])
    assert log_since(store, before, limit=2)[3:] == [{one.client_id for one in clients[2:]}]
    assert log_since(store, store.clock.now() + timedelta(seconds=1)) == []
    for row in store.tables.settings.query("changed-clients"):
        assert 86_000 < row.expires_at - before.timestamp() < 86_500


def test_a_change_that_is_refused_is_not_logged(store: Store) -> None:
    (client,) = add(store, 1)
    with pytest.raises(Conflict):
        store.clients.change(replace(client, tags=("other",)), replace(client, tags=("new",), updated_at=LATER))
    assert log_since(store, START - timedelta(days=1)) == []
