"""Counters, changed in the transactions that change the rows they count, so that totals need not read rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pynamodb.transactions import TransactWrite

from .tables import Tables


class Counters:
    """The counters of one scope, such as all clients. Each has a name, such as a tag and an operator."""

    def __init__(self, tables: Tables, scope: str) -> None:
        self._model = tables.settings
        self._connection: Any = tables.connection
        self._scope = scope

    def move(self, transaction: TransactWrite, changes: Counter[str], keep: str = "") -> None:
        """Let the transaction add to the counters, with one action for each that changes.

        The transaction fails if the counter `keep` would become zero.
        """
        for name, change in sorted(changes.items()):
            if change:
                item = self._model(self._scope, name)
                condition = self._model.amount > -change if name == keep and change < 0 else None
                transaction.update(item, actions=[self._model.amount.add(change)], condition=condition)

    def read(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Every counter whose name begins with `prefix`, with its count.

        Without PynamoDB's rows, which would take longer than everything else in a list of the API.
        """
        request: dict[str, Any] = {
            "TableName": self._model.Meta.table_name,
            "KeyConditionExpression": "#scope = :scope",
            "ExpressionAttributeNames": {"#scope": "scope"},
            "ExpressionAttributeValues": {":scope": {"S": self._scope}},
            "ConsistentRead": True,
        }
        if prefix:
            request["KeyConditionExpression"] += " AND begins_with(#name, :prefix)"
            request["ExpressionAttributeNames"]["#name"] = "name"
            request["ExpressionAttributeValues"][":prefix"] = {"S": prefix}
        while True:
            answer = self._connection.client.query(**request)
            for item in answer["Items"]:
                if amount := int(item.get("amount", {"N": "0"})["N"]):
                    yield item["name"]["S"], amount
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
