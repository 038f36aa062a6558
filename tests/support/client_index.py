"""Very many clients, for measuring: stored beside the emulator, and found as fast as in DynamoDB."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from chalicelib.domain.client_ids import SHARDS
from chalicelib.domain.clients import Client
from chalicelib.storage.client_rows import row_of
from chalicelib.storage.segments import moves_of
from chalicelib.storage.tables import Tables
from tests.support.aws import InProcessAws


def _count(tables: Tables, like: Client, count: int) -> None:
    """Set the counters to so many clients of one tag, because they decide how a mailing is divided."""
    for name in moves_of([(None, like)], "").totals:
        counter = tables.settings("client-totals", name)
        counter.update(actions=[tables.settings.amount.set(count)])


class ClientIndex:
    """Answers queries of the clients' index by tag from a sorted list: the emulator's grow with the table.

    Items are kept as JSON, a sixth of what they take as dicts: there may be a million of them.
    """

    def __init__(self, aws: InProcessAws, tables: Tables, clients: Iterable[Client]) -> None:
        self._handle = aws._handle
        self._keys: dict[str, list[str]] = defaultdict(list)
        self._items: dict[str, bytes] = {}
        self._key_of: dict[str, str] = {}
        for client in clients:
            item = row_of(tables.clients, client).serialize()
            key = item["tag_key"]["S"]
            self._keys[item["shard"]["S"]].append(key)
            self._items[key] = json.dumps(item).encode()
            self._key_of[item["client_id"]["S"]] = key
        for keys in self._keys.values():
            keys.sort()
        if self._items:
            _count(tables, client, len(self._items))
        aws._handle = self.handle  # type: ignore[method-assign]

    def handle(self, service: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if target.endswith(".Query") and b'"contacts_by_tag"' in body:
            return 200, self._page(json.loads(body))
        if target.endswith(".BatchGetItem") and b"-clients" in body:
            ((table, request),) = json.loads(body)["RequestItems"].items()
            found = [self._item(self._key_of[key["client_id"]["S"]]) for key in request["Keys"]]
            return 200, {"Responses": {table: found}, "UnprocessedKeys": {}}
        return self._handle(service, target, body)

    def _item(self, key: str) -> dict[str, Any]:
        item: dict[str, Any] = json.loads(self._items[key])
        return item

    def _page(self, request: dict[str, Any]) -> dict[str, Any]:
        values = [value["S"] for value in request["ExpressionAttributeValues"].values()]
        keys = self._keys[next(value for value in values if value in SHARDS)]
        low, high = (request["ExpressionAttributeValues"][name]["S"] for name in (":low", ":high"))
        start, end = bisect_left(keys, low), bisect_right(keys, high)
        page = [self._item(key) for key in keys[start : min(end, start + request["Limit"])]]
        answer: dict[str, Any] = {"Items": page, "Count": len(page), "ScannedCount": len(page)}
        if len(page) == request["Limit"]:
            answer["LastEvaluatedKey"] = {name: page[-1][name] for name in ("shard", "tag_key", "client_id")}
        return answer
