"""Walks of a segment in the order of its clients' ids, which is that of the ledger's buckets: each is written once.

The indexes have clients in the order of tag, operator and id. So a segment is divided into stretches, one for each tag
with each operator, and these are merged. The place that a walk has come to is an id: who moves from one stretch to
another meanwhile stands at the same place there.
"""

from __future__ import annotations

import heapq
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from ..domain.clients import KEY_SEPARATOR, Client
from ..domain.mailings import Segment
from .client_lists import ClientLists, Range, index_key, ranges_of
from .client_rows import client_of
from .dynamodb import Item, translated
from .models import Tables

_WALK = "walk:"  # begins a cursor of these; others are of versions that went from tag to tag
_LEAST = 10  # clients of a stretch at once
_OPERATORS = 2000  # more than there are codes of three digits
_LAST, _NEXT = "\x7f", "0"  # after every character of an operator or id; before every character of an id
_FIRST = "\x01"  # before every key, none of which is empty


@dataclass(slots=True)
class _Stretch:
    """The clients whose keys begin alike: those that were read and not used, and whether there may be more."""

    name: str
    found: deque[Client] = field(default_factory=deque)
    more: bool = True


class ClientWalks:
    """Pages of a shard of a segment. What a page shows may lag behind the last change, mostly by less than a second."""

    def __init__(self, tables: Tables, dynamodb: Any, lists: ClientLists) -> None:
        self._table = tables.clients.Meta.table_name
        self._dynamodb = dynamodb
        self._lists = lists

    def page(self, segment: Segment, shard: str, cursor: str, limit: int) -> tuple[list[Client], str]:
        """Up to `limit` clients of a shard after the cursor ("" at the start), by their ids, and the next cursor.

        The next cursor is "" at the end. Who came into the segment since the walk began may be left out.
        """
        if cursor and not cursor.startswith(_WALK):
            return self._lists.page(segment, shard, cursor, limit)
        ranges = ranges_of(segment)
        if cursor:
            after, names = json.loads(cursor.removeprefix(_WALK))
            begun = [_Stretch(name) for name in names]
        else:
            after, begun = "", [stretch for part in ranges for stretch in self._begin(part, shard, limit)]
        at_once = max(_LEAST, -(-limit // max(1, len(begun))))
        heads: list[tuple[str, int]] = []  # the next client of each stretch, by ids
        for number, stretch in enumerate(begun):
            if self._filled(ranges[0].index, shard, stretch, after, at_once):
                heads.append((stretch.found[0].client_id, number))
        heapq.heapify(heads)
        clients: dict[str, Client] = {}
        while heads and len(clients) < limit:
            after, number = heads[0]
            stretch = begun[number]
            clients[after] = stretch.found.popleft()
            # At the end of the page nothing is read for the next one.
            if (len(clients) < limit or stretch.found) and self._filled(
                ranges[0].index, shard, stretch, after, at_once
            ):
                heapq.heapreplace(heads, (stretch.found[0].client_id, number))
            else:
                heapq.heappop(heads)
        if heads or any(stretch.more for stretch in begun):
            return list(clients.values()), _WALK + json.dumps([after, [stretch.name for stretch in begun]])
        return list(clients.values()), ""

    def _filled(self, index: str, shard: str, stretch: _Stretch, after: str, at_once: int) -> bool:
        """Whether a stretch has clients after an id; the next ones are read if those that were are used up."""
        if not stretch.found and stretch.more:
            low = stretch.name + after + _NEXT if after else stretch.name
            found, stretch.more = self._between(index, shard, low, stretch.name + _LAST, at_once)
            stretch.found.extend(found)
        return bool(stretch.found)

    def _begin(self, part: Range, shard: str, limit: int) -> Iterator[_Stretch]:
        """The stretches of a range, each with its first clients: one query does for few clients, however many these."""
        if part.operators or part.is_of_one_operator:
            for name in [f"{part.prefix}{one}{KEY_SEPARATOR}" for one in sorted(part.operators)] or [part.prefix]:
                found, more = self._between(part.index, shard, name, name + _LAST, limit)
                yield _Stretch(name, deque(found), more)
            return
        low, more, operators = part.prefix or _FIRST, True, 0
        while more and operators < _OPERATORS:
            found, more = self._between(part.index, shard, low, part.prefix + _LAST, limit)
            by_operator = [(one, list(some)) for one, some in groupby(found, key=lambda client: client.operator)]
            for place, (operator, some) in enumerate(by_operator, 1):
                name = part.prefix + operator + KEY_SEPARATOR
                yield _Stretch(name, deque(some), more and place == len(by_operator))  # the last one may go on
                low = name + _LAST
            operators += len(by_operator)
            limit = _LEAST

    def _between(self, index: str, shard: str, low: str, high: str, limit: int) -> tuple[list[Client], bool]:
        """Up to `limit` clients whose keys lie between two, and whether there may be more.

        Past PynamoDB, whose rows take five times as long to make: dispatch reads every client of every mailing here.
        """
        values: Item = {":shard": {"S": shard}, ":low": {"S": low}, ":high": {"S": high}}
        with translated("clients"):
            answer = self._dynamodb.query(
                TableName=self._table,
                IndexName=index,
                KeyConditionExpression=f"#shard = :shard AND {index_key(index)} BETWEEN :low AND :high",
                ExpressionAttributeNames={"#shard": "shard"},
                ExpressionAttributeValues=values,
                Limit=limit,
            )
        return [client_of(item) for item in answer["Items"]], "LastEvaluatedKey" in answer
