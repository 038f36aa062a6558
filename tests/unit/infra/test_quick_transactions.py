"""The emulator's quick transactions: nobody can tell them from MiniStack's own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from inspect import unwrap
from typing import Any
from unittest import mock

import pytest
from ministack.services import dynamodb as engine

from infra.local.quick_transactions import transacting

TABLE: dict[str, Any] = {
    "TableName": "ttt",
    "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("k", "place")],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_place",
            "KeySchema": [{"AttributeName": "place", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


def _put(key: str, **more: str) -> dict[str, Any]:
    item = {name: {"S": value} for name, value in {"k": key, **more}.items()}
    return {"Put": {"TableName": "ttt", "Item": item, "ConditionExpression": "attribute_not_exists(k)"}}


def _update(key: str, expression: str, value: dict[str, Any], condition: str = "") -> dict[str, Any]:
    update = {"TableName": "ttt", "Key": {"k": {"S": key}}, "UpdateExpression": expression}
    more = {"ConditionExpression": condition} if condition else {}
    return {"Update": {**update, **more, "ExpressionAttributeValues": {":v": value}}}


def _delete(key: str) -> dict[str, Any]:
    return {"Delete": {"TableName": "ttt", "Key": {"k": {"S": key}}}}


# One after the other, on the same table.
TRANSACTIONS: list[dict[str, Any]] = [
    {"TransactItems": [_put("a", place="here"), _put("b"), _update("c", "ADD n :v", {"N": "1"})]},
    {"TransactItems": [_put("a"), _update("c", "ADD n :v", {"N": "1"})]},  # refused by its condition
    {"TransactItems": [_update("c", "ADD n :v", {"N": "2"}), _update("d", "ADD n :v", {"N": "2"})]},
    {"TransactItems": [_update("a", "ADD place :v", {"N": "2"})]},  # of another type
    {"TransactItems": [_update("a", "SET place = :v", {"S": ""})]},  # no key of an index
    {"TransactItems": [_update("a", "SET place = :v", {"N": "1"})]},
    {"TransactItems": [_update("c", "SET m = :v", {"M": {"x": {"L": [{"S": "y"}]}}}, "n = :w")]},  # of no value
    {
        "TransactItems": [_update("a", "SET place = :v", {"S": "there"}), _delete("b")],
        "ReturnConsumedCapacity": "TOTAL",
    },
    {"TransactItems": [_update("a", "SET place = :v", {"S": "else"})], "ReturnConsumedCapacity": "INDEXES"},
    {"TransactItems": [_update("e", "SET m = :v", {"M": {"x": {"N": "1"}}})], "ClientRequestToken": "once"},
    {"TransactItems": [_update("e", "SET m = :v", {"M": {"x": {"N": "1"}}})], "ClientRequestToken": "once"},
    {"TransactItems": [_update("e", "SET m.x = :v", {"N": "7"}), _delete("a")]},
]


@pytest.fixture(autouse=True)
def _as_it_is() -> Iterator[None]:
    with mock.patch.object(engine, "_transact_write_items", unwrap(engine._transact_write_items)):
        yield
    engine.reset()


def _outcomes(transact: Callable[[dict[str, Any]], Any]) -> list[Any]:
    engine.reset()
    engine._create_table(copy.deepcopy(TABLE))
    found = []
    for one in TRANSACTIONS:
        status, _, body = transact(copy.deepcopy(one))
        found.append((status, body, copy.deepcopy(engine._tables["ttt"]["items"])))
    return found


def test_answers_and_items_are_those_of_ministack() -> None:
    usual = _outcomes(engine._transact_write_items)
    assert {status for status, *_ in usual} == {200, 400}

    assert _outcomes(transacting(engine)) == usual


def test_each_update_is_worked_out_once_and_no_unit_is_counted_unasked() -> None:
    apply, units = engine._apply_update_expression, engine._index_write_units
    with (
        mock.patch.object(engine, "_apply_update_expression", side_effect=apply) as applied,
        mock.patch.object(engine, "_index_write_units", side_effect=units) as counted,
    ):
        engine._create_table(copy.deepcopy(TABLE))
        transact = transacting(engine)
        transact({"TransactItems": [_update("a", "ADD n :v", {"N": "1"}), _update("b", "ADD n :v", {"N": "1"})]})
        assert (applied.call_count, counted.call_count) == (2, 0)
        transact({"TransactItems": [_update("a", "ADD n :v", {"N": "1"})], "ReturnConsumedCapacity": "TOTAL"})
        assert (applied.call_count, counted.call_count) == (3, 1)
        assert engine._apply_update_expression is applied
    assert engine._tables["ttt"]["items"]["a"]["__no_sort__"]["n"] == {"N": "2"}
