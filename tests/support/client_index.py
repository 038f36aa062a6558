"""Clients in great number, for measuring: kept beside the emulator, and found as quickly as in DynamoDB."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from chalicelib.domain.clients import Client
from chalicelib.storage.clients import _row
from chalicelib.storage.models import Tables
from tests.support.aws import InProcessAws


class ClientIndex:
    """Answers queries of the clients' index by tag from a sorted list: the emulator's grow with the table."""

    def __init__(self, aws: InProcessAws, tables: Tables, clients: Iterable[Client]) -> None:
        self._handle = aws._handle
        self._keys: dict[str, list[str]] = defaultdict(list)
        self._items: dict[str, dict[str, Any]] = {}
        for client in clients:
            item = _row(tables.clients, client).serialize()
            self._keys[item["shard"]["S"]].append(item["tag_key"]["S"])
            self._items[item["tag_key"]["S"]] = item
        for keys in self._keys.values():
            keys.sort()
        self._by_id = {item["client_id"]["S"]: item for item in self._items.values()}
        aws._handle = self.handle  # type: ignore[method-assign]

    def handle(self, service: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if target.endswith(".Query") and b'"by_tag"' in body:
            return 200, self._page(json.loads(body))
        if target.endswith(".BatchGetItem") and b"-clients" in body:
            ((table, request),) = json.loads(body)["RequestItems"].items()
            found = [self._by_id[key["client_id"]["S"]] for key in request["Keys"]]
            return 200, {"Responses": {table: found}, "UnprocessedKeys": {}}
        return self._handle(service, target, body)

    def _page(self, request: dict[str, Any]) -> dict[str, Any]:
        values = [value["S"] for value in request["ExpressionAttributeValues"].values()]
        keys = self._keys[next(value for value in values if value in self._keys)]
        after = request.get("ExclusiveStartKey", {}).get("tag_key", {}).get("S", "")
        start = bisect_right(keys, after)
        page = keys[start : start + request["Limit"]]
        answer: dict[str, Any] = {"Items": [self._items[key] for key in page], "Count": len(page)}
        answer["ScannedCount"] = len(page)
        if start + len(page) < len(keys):
            last = self._items[page[-1]]
            answer["LastEvaluatedKey"] = {name: last[name] for name in ("shard", "tag_key", "client_id")}
        return answer
