"""Lists of clients: the pages of a segment, from the indexes by tag and by operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..clock import Backoff
from ..domain.client_ids import SHARDS
from ..domain.clients import KEY_SEPARATOR, Client, IndexedClient
from ..domain.segments import Segment
from .client_rows import client_of, is_client
from .dynamodb import Item, read_items, translated
from .tables import Tables
from .tag_items import IndexEntry, index_entry_of

BY_TAG, BY_OPERATOR = "contacts_by_tag", "contacts_by_operator"
LAST, NEXT = "\x7f", "0"  # after every character of an operator or id; before every character of an id
FIRST = "\x01"  # before every key, none of which is empty


@dataclass(frozen=True, slots=True)
class Range:
    """A range of an index that belongs to a segment. `operators` restricts it further if it is not empty."""

    index: str
    prefix: str
    operators: frozenset[str]

    def takes(self, operator: str) -> bool:
        """Whether it includes clients of an operator."""
        return not self.operators or operator in self.operators

    @property
    def is_of_one_operator(self) -> bool:
        """Whether the prefix names an operator, so that the clients are ordered by id."""
        return self.prefix.count(KEY_SEPARATOR) == (2 if self.index == BY_TAG else 1)


def ranges_of(segment: Segment) -> list[Range]:
    """The ranges that make up a segment, one for each of its tags if there are any.

    A client is in the ranges of all their tags.
    """
    if segment.tags:
        if len(segment.operators) == 1:
            tail = segment.operators[0] + KEY_SEPARATOR
            return [Range(BY_TAG, tag + KEY_SEPARATOR + tail, frozenset()) for tag in segment.tags]
        return [Range(BY_TAG, tag + KEY_SEPARATOR, frozenset(segment.operators)) for tag in segment.tags]
    if segment.operators:
        return [Range(BY_OPERATOR, code + KEY_SEPARATOR, frozenset()) for code in segment.operators]
    return [Range(BY_OPERATOR, "", frozenset())]


class ClientLists:
    """Pages of segments. A page may lag behind the last change, mostly by less than a second."""

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff) -> None:
        self._table = tables.clients.Meta.table_name
        self._dynamodb = dynamodb
        self._backoff = backoff

    def page(self, segment: Segment, shard: str, cursor: str, limit: int) -> tuple[list[Client], str]:
        """Up to `limit` clients of a shard of the segment after the cursor ("" at the start), and the next cursor.

        The next cursor is "" at the end of the shard. The page may be short, or empty, before the end.
        """
        found, cursor = self._page(segment, shard, cursor, limit)
        return self._whole(segment, found), cursor

    def _page(self, segment: Segment, shard: str, cursor: str, limit: int) -> tuple[list[Client | str], str]:
        """The clients of a page, or only the ids of those who did not have to be read yet."""
        ranges = ranges_of(segment)
        number, _, last = cursor.partition(":")
        position = int(number or 0)
        clients: list[Client | str] = []
        while position < len(ranges) and len(clients) < limit:
            part = ranges[position]
            low = last + NEXT if last else part.prefix or FIRST
            keys, left = self._keys(part.index, shard, low, part.prefix + LAST, limit - len(clients))
            some = [client_id for operator, client_id in keys if part.takes(operator)]
            if len(segment.tags) > 1:  # a client with several of them is shown at the first
                here = segment.tags[position]
                clients += (one for one in self._whole(segment, some) if segment.first_tag_of(one) == here)
            else:
                clients += some
            if left:
                # A restricted range may return few of the clients it reads: return what there is, the caller continues.
                return clients, f"{position}:{left}"
            position, last = position + 1, ""
        return clients, f"{position}:" if position < len(ranges) else ""

    def _keys(self, index: str, shard: str, low: str, high: str, limit: int) -> tuple[list[tuple[str, str]], str]:
        """Like `between`, but only operator and id of each client, because the rest is read from the table anyway."""
        name = index_key(index)
        # The first of the two is for benchmarks/meter.py, which looks up the item.
        answer = self._query(index, shard, low, high, limit, ProjectionExpression=f"client_id, {name}")
        keys = [item[name]["S"].split(KEY_SEPARATOR) for item in answer["Items"]]
        return [(operator, client_id) for *_, operator, client_id in keys], _last_of(answer, index)

    def between(
        self, segment: Segment, index: str, shard: str, low: str, high: str, limit: int
    ) -> tuple[list[IndexEntry], str]:
        """Up to `limit` clients of an index with keys between two others, and the last key, "" at the end.

        Without PynamoDB, whose rows take five times as long, because dispatch reads every client of every mailing here.
        An entry of a further tag comes with the client read from the table, or without one if they do not belong to the
        segment any more.
        """
        answer = self._query(index, shard, low, high, limit)
        found = [index_entry_of(item) for item in answer["Items"]]
        wanted = [one.client_id for one in found if one.client is None]
        if wanted:
            further = self._read(segment, wanted)
            found = [one if one.client else one._replace(client=further.get(one.client_id)) for one in found]
        return found, _last_of(answer, index)

    def _query(self, index: str, shard: str, low: str, high: str, limit: int, **more: str) -> Any:
        with translated("clients"):
            return self._dynamodb.query(
                TableName=self._table,
                IndexName=index,
                KeyConditionExpression=f"#shard = :shard AND {index_key(index)} BETWEEN :low AND :high",
                ExpressionAttributeNames={"#shard": "shard"},
                ExpressionAttributeValues={":shard": {"S": shard}, ":low": {"S": low}, ":high": {"S": high}},
                Limit=limit,
                **more,
            )

    def whole(self, segment: Segment, found: Sequence[Client | IndexedClient]) -> list[Client]:
        """The clients who belong to the segment, in order, with all their fields."""
        return self._whole(segment, [one if isinstance(one, Client) else one.client_id for one in found])

    def _whole(self, segment: Segment, found: Sequence[Client | str]) -> list[Client]:
        read = self._read(segment, [one for one in found if isinstance(one, str)])
        whole = (read.get(one) if isinstance(one, str) else one for one in found)
        return [one for one in whole if one]

    def _read(self, segment: Segment, client_ids: Sequence[str]) -> dict[str, Client]:
        """The clients who belong to the segment. Tries the cheaper read first, which may lag behind the index."""
        if not client_ids:
            return {}
        found = self._members(segment, client_ids, consistent=False)
        missing = [one for one in client_ids if one not in found]
        return found | self._members(segment, missing, consistent=True)

    def _members(self, segment: Segment, client_ids: Sequence[str], *, consistent: bool) -> dict[str, Client]:
        """Those of the clients who belong to the segment."""
        keys: list[Item] = [{"client_id": {"S": client_id}} for client_id in dict.fromkeys(client_ids)]
        items = read_items(self._dynamodb, self._backoff, self._table, keys, consistent=consistent)
        clients = [client_of(item) for item in items if is_client(item)]
        return {client.client_id: client for client in clients if segment.matches(client)}

    def list(self, segment: Segment, cursor: str, limit: int) -> tuple[list[Client], str]:
        """Up to `limit` clients of the segment from all shards, and the next cursor, "" at the end."""
        shard, _, inner = (cursor or f"{SHARDS[0]}|").partition("|")
        found: list[Client | str] = []
        for name in SHARDS[SHARDS.index(shard) :]:
            while True:
                some, inner = self._page(segment, name, inner, limit - len(found))
                found += some
                if len(found) >= limit:
                    following = name if inner else _after(name)
                    return self._whole(segment, found), f"{following}|{inner}" if following else ""
                if not inner:
                    break
        return self._whole(segment, found), ""


def _last_of(answer: Any, index: str) -> str:
    """The last key of a page, "" at the end."""
    left = answer.get("LastEvaluatedKey")
    return left[index_key(index)]["S"] if left else ""


def _after(shard: str) -> str:
    place = SHARDS.index(shard) + 1
    return SHARDS[place] if place < len(SHARDS) else ""


def index_key(index: str) -> str:
    """The sort key of an index."""
    return "tag_key" if index == BY_TAG else "operator_key"
