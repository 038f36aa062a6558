"""The totals of all calls of the gateway: one item, to which every batch adds."""

from __future__ import annotations

from typing import Any

from ..domain.call_totals import CallTotals
from .dynamodb import translated
from .models import Tables

_KEY = {"scope": {"S": "gateway-calls"}, "name": {"S": "totals"}}


class CallTotalsRepository:
    """Where an answer is lost and botocore repeats the call, a batch is counted twice: nothing is decided by it."""

    def __init__(self, tables: Tables, dynamodb: Any) -> None:
        self._table = tables.settings.Meta.table_name
        self._dynamodb = dynamodb

    def add(self, more: CallTotals) -> None:
        """Add to the totals."""
        names = {f"#{place}": name for place, name in enumerate(more.counters)}
        values = {f":{place}": {"N": str(count)} for place, count in enumerate(more.counters.values())}
        parts = (f"{name} {value}" for name, value in zip(names, values, strict=True))
        with translated("settings"):
            self._dynamodb.update_item(
                TableName=self._table,
                Key=_KEY,
                UpdateExpression="ADD " + ", ".join(parts),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )

    def read(self) -> CallTotals:
        """The totals since the tables were made."""
        with translated("settings"):
            answer = self._dynamodb.batch_get_item(RequestItems={self._table: {"Keys": [_KEY], "ConsistentRead": True}})
        items = answer["Responses"].get(self._table, [])
        return CallTotals({name: int(value["N"]) for item in items for name, value in item.items() if "N" in value})
