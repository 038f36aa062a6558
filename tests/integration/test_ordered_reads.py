"""The emulator's quick reads: the same answers as without them, after reading fewer items."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from ministack.services import dynamodb as engine

from chalicelib.domain.segments import Segment
from infra.local.ordered_reads import OrderedReads
from tests.support.aws import Call
from tests.support.simulation import new_simulation

TABLE = "people"
_NAMES = ("", "a", "ab", "abc", "b", "\u05e9", "\N{PARTY POPPER}")
CONDITIONS: dict[str, list[str]] = {
    "key": [
        "#p = :p",
        "#p = :p AND #s >= :s",
        "#p = :p AND begins_with(#s, :s)",
        "#p = :p AND #s BETWEEN :s AND :t",
    ],
    "by_name": [
        "#p = :p",
        "#p = :p AND begins_with (#s, :s)",
        "(#p = :p AND begins_with (#s, :s))",
        "#p = :p AND #s = :s",
        "#p = :p AND #s < :s",
        "#s > :s AND #p = :p",
        "#p = :p AND #s BETWEEN :s AND :t",
    ],
    "by_age": [
        "#p = :p",
        "#p = :p AND #s <= :s",
        "#p = :p AND #s > :s",
        ":s = #s AND #p = :p",
        "#p = :p AND #s between :s AND :t",
    ],
}
KEYS = {"key": ("shard", "id"), "by_name": ("shard", "name"), "by_age": ("shard", "age")}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[OrderedReads]:
    """An empty table with an index by text and one by number, and reads that keep all partitions in order."""
    monkeypatch.setattr("infra.local.ordered_reads._LARGE", 1)
    engine.reset()
    made = OrderedReads(engine)
    for name in ("query", "set_item", "remove_item"):
        monkeypatch.setattr(engine, f"_{name}", getattr(made, name))
    kinds = {"shard": "S", "id": "S", "name": "S", "age": "N"}

    def schema(hash_key: str, range_key: str) -> list[dict[str, str]]:
        keys = (("HASH", hash_key), ("RANGE", range_key))
        return [{"KeyType": kind, "AttributeName": name} for kind, name in keys]

    created = engine._create_table(
        {
            "TableName": TABLE,
            "KeySchema": schema("shard", "id"),
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()],
            "GlobalSecondaryIndexes": [
                {"IndexName": name, "KeySchema": schema(*KEYS[name]), "Projection": {"ProjectionType": "ALL"}}
                for name in ("by_name", "by_age")
            ],
            "BillingMode": "PAY_PER_REQUEST",
        }
    )
    assert created[0] == 200, created
    yield made
    engine.reset()


def item(rng: random.Random) -> dict[str, Any]:
    """An item that may lack an index's sort key."""
    made = {"shard": {"S": rng.choice("xy")}, "id": {"S": f"{rng.randrange(40):02d}"}}
    if rng.random() < 0.8:
        made["name"] = {"S": rng.choice(_NAMES[1:]) + rng.choice(_NAMES)}
    if rng.random() < 0.8:
        made["age"] = {"N": str(rng.randrange(-5, 120))}
    return made


def write(rng: random.Random) -> None:
    """Put, change or delete an item."""
    one = item(rng)
    key = {name: one[name] for name in ("shard", "id")}
    action = rng.choice(("put", "put", "update", "delete"))
    if action == "put":
        answer = engine._put_item({"TableName": TABLE, "Item": one})
    elif action == "delete":
        answer = engine._delete_item({"TableName": TABLE, "Key": key})
    else:
        change = {"UpdateExpression": "SET #a = :a", "ExpressionAttributeNames": {"#a": "age"}}
        values = {":a": {"N": str(rng.randrange(-5, 120))}}
        answer = engine._update_item({"TableName": TABLE, "Key": key, **change, "ExpressionAttributeValues": values})
    assert answer[0] == 200, answer


def question(rng: random.Random) -> dict[str, Any]:
    """A query of the table or an index, with or without a limit, in either direction. A few have a wrong value."""
    index = rng.choice(list(KEYS))
    condition = rng.choice(CONDITIONS[index])
    partition, sort = KEYS[index]

    def value() -> dict[str, str]:
        if rng.random() < 0.05:
            return rng.choice([{"S": ""}, {"N": "7"}, {"S": "7"}])
        if index == "by_age":
            return {"N": str(rng.randrange(-5, 120))}
        return {"S": f"{rng.randrange(5)}" if index == "key" else rng.choice(_NAMES[1:])}

    low, high = sorted((value(), value()), key=lambda one: next(iter(one.values())))
    values = {":p": {"S": rng.choice("xyz")}, ":s": low, ":t": high}
    names = {"#p": partition, "#s": sort}
    made: dict[str, Any] = {
        "TableName": TABLE,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": {name: one for name, one in values.items() if name in condition},
        "ExpressionAttributeNames": {name: one for name, one in names.items() if name in condition},
        "ScanIndexForward": rng.random() < 0.7,
    }
    if index != "key":
        made["IndexName"] = index
    if rng.random() < 0.7:
        made["Limit"] = rng.randrange(1, 8)
    if rng.random() < 0.3:
        made["ProjectionExpression"] = "id, age"
    return made


@pytest.mark.parametrize("seed", range(20))
def test_answers_are_the_same_as_without_quick_reads(reads: OrderedReads, seed: int) -> None:
    """Expects every page of every kind of query, between writes of every kind, to be the engine's own."""
    rng = random.Random(seed)
    for _ in range(30):
        for _ in range(10):
            write(rng)
        asked = question(rng)
        for _ in range(50):
            answer, own = reads.query(dict(asked)), reads._query(dict(asked))
            assert answer == own, asked
            if answer[0] != 200:
                break
            following = json.loads(answer[2]).get("LastEvaluatedKey")
            if not following:
                break
            asked["ExclusiveStartKey"] = following
        else:
            pytest.fail("a query without end")


def test_a_page_checks_only_its_own_items(reads: OrderedReads, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects a page of 10 out of 1,000 to check the condition for 10 items, not 1,000."""
    for number in range(1000):
        engine._put_item(
            {"TableName": TABLE, "Item": {"shard": {"S": "x"}, "id": {"S": f"{number:04d}"}, "name": {"S": "a"}}}
        )
    looked: list[object] = []
    evaluate = engine._evaluate_condition
    monkeypatch.setattr(
        engine, "_evaluate_condition", lambda *given, **named: looked.append(given) or evaluate(*given, **named)
    )
    for cursor in ({}, {"ExclusiveStartKey": {"shard": {"S": "x"}, "id": {"S": "0500"}, "name": {"S": "a"}}}):
        answer = reads.query(
            {
                "TableName": TABLE,
                "IndexName": "by_name",
                "KeyConditionExpression": "(#p = :p AND begins_with (#s, :s))",
                "ExpressionAttributeNames": {"#p": "shard", "#s": "name"},
                "ExpressionAttributeValues": {":p": {"S": "x"}, ":s": {"S": "a"}},
                "Limit": 10,
                **cursor,
            }
        )
        assert json.loads(answer[2])["Count"] == 10
    assert len(looked) < 25


def test_a_form_is_checked_once(reads: OrderedReads, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects the engine to see a query's form once, and each again whose value is a number, empty or long."""
    seen: list[object] = []
    own = reads._query
    monkeypatch.setattr(reads, "_query", lambda data: seen.append(data) or own(data))

    def ask(value: dict[str, str]) -> None:
        values = {"ExpressionAttributeNames": {"#p": "shard"}, "ExpressionAttributeValues": {":p": value}}
        reads.query({"TableName": TABLE, "KeyConditionExpression": "#p = :p", **values})

    for text in "xyx":
        ask({"S": text})
    assert len(seen) == 1
    for value in ({"N": "1"}, {"S": ""}, {"S": "x" * 201}):
        ask(value)
    assert len(seen) == 4


def test_a_wrong_query_is_refused_as_before(reads: OrderedReads) -> None:
    """Expects the engine's own refusals."""
    engine._put_item({"TableName": TABLE, "Item": {"shard": {"S": "x"}, "id": {"S": "1"}}})
    good: dict[str, Any] = {
        "TableName": TABLE,
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": "shard"},
        "ExpressionAttributeValues": {":p": {"S": "x"}},
    }
    wrong: list[dict[str, Any]] = [
        {"TableName": "nobody"},
        {"TableName": None},
        {"Limit": 0},
        {"IndexName": "by_nothing"},
        {"ExclusiveStartKey": {"id": {"S": "1"}}},
        {"ExpressionAttributeValues": {}},
        {"KeyConditionExpression": "#p < :p"},
    ]
    for change in wrong:
        answer = reads.query({**good, **change})
        assert answer[0] == 400
        assert answer == reads._query({**good, **change})


def test_no_query_of_a_mailing_checks_more_than_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects each kind of query for a mailing, to a tag or to everybody, to be one whose range can be found
    directly."""
    monkeypatch.setattr("infra.local.ordered_reads._LARGE", 0)
    reads, queries = OrderedReads(engine), dict[tuple[str, str, str], dict[str, Any]]()

    def note(call: Call) -> None:
        if call.operation == "dynamodb.Query":
            asked = json.loads(call.body)
            queries[asked["TableName"], asked.get("IndexName", ""), asked["KeyConditionExpression"]] = asked

    with new_simulation(seed=1) as simulation:
        simulation.aws.after = note
        simulation.add_clients(40)
        simulation.add_clients(20, tag="others")
        # One with a rate is fed from the ledger.
        for mailing in (simulation.create_mailing(rate_limit=100), simulation.create_mailing(segment=Segment(()))):
            simulation.run_until_finished(mailing)
        for asked in queries.values():
            assert reads._found(engine._tables.get(asked["TableName"]), asked) is not None, asked
    assert {key[0].rpartition("-")[2] for key in queries} >= {"clients", "ledger", "mailings"}
