"""What LocalEmu is told that calls of DynamoDB need is what the service's own contract tests say."""

from __future__ import annotations

from typing import Any

import pytest

from infra.localstack.inside.permissions import needed

TABLES = "arn:aws:dynamodb:eu-west-1:111111111111:table/"


@pytest.mark.parametrize(
    ("operation", "params", "expected"),
    [
        ("GetItem", {"TableName": "t"}, [("GetItem", "t")]),
        ("Query", {"TableName": "t", "IndexName": "i"}, [("Query", "t/index/i")]),
        ("BatchGetItem", {"RequestItems": {"a": {}, "b": {}}}, [("BatchGetItem", "a"), ("BatchGetItem", "b")]),
        ("BatchWriteItem", {"RequestItems": {"a": []}}, [("BatchWriteItem", "a")]),
        (
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "a"}}, {"ConditionCheck": {"TableName": "b"}, "Update": None}]},
            [("PutItem", "a"), ("ConditionCheckItem", "b")],
        ),
        (
            "BatchExecuteStatement",
            {"Statements": [{"Statement": 'UPDATE "a-b" SET x=? WHERE y=?'}, {"Statement": 'INSERT INTO "c" VALUE ?'}]},
            [("PartiQLUpdate", "a-b"), ("PartiQLInsert", "c")],
        ),
        ("ExecuteStatement", {"Statement": 'SELECT * FROM "a"."i" WHERE x=?'}, [("PartiQLSelect", "a/index/i")]),
        ("ExecuteStatement", {"Statement": "DELETE FROM a WHERE x=?"}, [("PartiQLDelete", "a")]),
        ("ListTables", {}, []),
    ],
)
def test_a_call_needs_each_table_that_it_names(
    operation: str, params: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """Expects action and ARN for each, of batches, transactions and statements too."""
    found = needed(operation, params, "eu-west-1", "111111111111")
    assert found == [(f"dynamodb:{action}", TABLES + resource) for action, resource in expected]


def test_a_statement_that_is_none_is_not_let_through() -> None:
    """Expects an error, not a call that needs nothing."""
    with pytest.raises((ValueError, KeyError)):
        needed("ExecuteStatement", {"Statement": "EXPLAIN x"}, "eu-west-1", "111111111111")
