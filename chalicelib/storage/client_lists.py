"""Lists of clients: the pages of a segment, from the indexes by tag and by operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..domain.client_ids import SHARDS
from ..domain.clients import KEY_SEPARATOR, Client
from ..domain.mailings import Segment
from .client_rows import client_of
from .dynamodb import translated
from .models import Tables


@dataclass(frozen=True, slots=True)
class Range:
    """One stretch of an index that belongs to a segment; `operators` narrows it further where it is not empty."""

    index: str
    prefix: str
    operators: frozenset[str]

    @property
    def is_of_one_operator(self) -> bool:
        """Whether the prefix names an operator, so that the clients stand in the order of their ids."""
        return self.prefix.count(KEY_SEPARATOR) == (2 if self.index == "by_tag" else 1)


def ranges_of(segment: Segment) -> list[Range]:
    """The stretches that make up a segment. Each client of the segment is in exactly one of them."""
    if segment.tags:
        if len(segment.operators) == 1:
            tail = segment.operators[0] + KEY_SEPARATOR
            return [Range("by_tag", tag + KEY_SEPARATOR + tail, frozenset()) for tag in segment.tags]
        return [Range("by_tag", tag + KEY_SEPARATOR, frozenset(segment.operators)) for tag in segment.tags]
    if segment.operators:
        return [Range("by_operator", code + KEY_SEPARATOR, frozenset()) for code in segment.operators]
    return [Range("by_operator", "", frozenset())]


class ClientLists:
    """Pages of segments. What a page shows may lag behind the last change, mostly by less than a second."""

    def __init__(self, tables: Tables, dynamodb: Any) -> None:
        self._table = tables.clients.Meta.table_name
        self._dynamodb = dynamodb

    def page(self, segment: Segment, shard: str, cursor: str, limit: int) -> tuple[list[Client], str]:
        """Up to `limit` clients of a shard of the segment after the cursor ("" at the start), and the next cursor.

        The next cursor is "" at the end of the shard. The page may be short, or empty, before the end.
        """
        ranges = ranges_of(segment)
        number, _, last = cursor.partition(":")
        position = int(number or 0)
        clients: list[Client] = []
        while position < len(ranges) and len(clients) < limit:
            part = ranges[position]
            found, left = self._query(part, shard, last, limit - len(clients))
            clients += (client for client in found if not part.operators or client.operator in part.operators)
            if left:
                # Narrowed ranges may give few of what they read: give back what there is, the caller asks on.
                return clients, f"{position}:{left}"
            position, last = position + 1, ""
        return clients, f"{position}:" if position < len(ranges) else ""

    def _query(self, part: Range, shard: str, last: str, limit: int) -> tuple[list[Client], str]:
        """Up to `limit` clients after the index key, and the last one's index key, "" at the end.

        Past PynamoDB, whose rows take five times as long to make: dispatch reads every client of every mailing here.
        """
        sort_key = index_key(part.index)
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": part.index,
            "KeyConditionExpression": "#shard = :shard",
            "ExpressionAttributeNames": {"#shard": "shard"},
            "ExpressionAttributeValues": {":shard": {"S": shard}},
            "Limit": limit,
        }
        if part.prefix:
            request["KeyConditionExpression"] += f" AND begins_with({sort_key}, :prefix)"
            request["ExpressionAttributeValues"][":prefix"] = {"S": part.prefix}
        if last:
            client_id = last.rpartition(KEY_SEPARATOR)[2]
            request["ExclusiveStartKey"] = {"shard": {"S": shard}, sort_key: {"S": last}, "client_id": {"S": client_id}}
        with translated("clients"):
            answer = self._dynamodb.query(**request)
        left = answer.get("LastEvaluatedKey")
        return [client_of(item) for item in answer["Items"]], left[sort_key]["S"] if left else ""

    def list(self, segment: Segment, cursor: str, limit: int) -> tuple[list[Client], str]:
        """Up to `limit` clients of the segment over all shards, and the next cursor, "" at the end."""
        shard, _, inner = (cursor or f"{SHARDS[0]}|").partition("|")
        clients: list[Client] = []
        for name in SHARDS[SHARDS.index(shard) :]:
            while True:
                some, inner = self.page(segment, name, inner, limit - len(clients))
                clients += some
                if len(clients) >= limit:
                    following = name if inner else _after(name)
                    return clients, f"{following}|{inner}" if following else ""
                if not inner:
                    break
        return clients, ""


def _after(shard: str) -> str:
    place = SHARDS.index(shard) + 1
    return SHARDS[place] if place < len(SHARDS) else ""


def index_key(index: str) -> str:
    """The attribute by which an index is sorted."""
    return "tag_key" if index == "by_tag" else "operator_key"
