"""The totals of all calls to gateways: an item for each gateway, to which every batch adds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..domain.call_totals import CallTotals
from ..domain.gateway_routes import ONLY
from .dynamodb import translated
from .tables import Tables

_SCOPE, _NAME = "gateway-calls", "totals"


class CallTotalsRepository:
    """Totals of calls.

    If an answer is lost and botocore repeats the call, a batch counts twice; no decision uses them.
    """

    def __init__(self, tables: Tables, dynamodb: Any) -> None:
        self._table = tables.settings.Meta.table_name
        self._dynamodb = dynamodb

    def add(self, more: CallTotals, gateway: str = ONLY) -> None:
        """Add to the totals of a gateway."""
        names = {f"#{place}": name for place, name in enumerate(more.counters)}
        values = {f":{place}": {"N": str(count)} for place, count in enumerate(more.counters.values())}
        parts = (f"{name} {value}" for name, value in zip(names, values, strict=True))
        with translated("settings"):
            self._dynamodb.update_item(
                TableName=self._table,
                Key=_key(gateway),
                UpdateExpression="ADD " + ", ".join(parts),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )

    def read(self, gateways: Collection[str] = (ONLY,)) -> dict[str, CallTotals]:
        """The totals of these gateways since the tables were made."""
        keys = [_key(gateway) for gateway in gateways]
        with translated("settings"):
            answer = self._dynamodb.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
        items = {item["name"]["S"]: item for item in answer["Responses"].get(self._table, [])}
        found = {gateway: items.get(_key(gateway)["name"]["S"], {}) for gateway in gateways}
        return {
            gateway: CallTotals({name: int(value["N"]) for name, value in item.items() if "N" in value})
            for gateway, item in found.items()
        }


def _key(gateway: str) -> dict[str, Any]:
    return {"scope": {"S": _SCOPE}, "name": {"S": f"{_NAME}#{gateway}" if gateway else _NAME}}
