"""Lists of clients: the pages of a segment, from the indexes by tag and by operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..clock import Backoff
from ..domain.client_ids import SHARDS
from ..domain.clients import KEY_SEPARATOR, Client
from ..domain.segments import Segment
from .client_rows import client_of, is_client
from .dynamodb import Item, read_items, translated
from .models import Tables
from .tag_items import Met, met

LAST, NEXT = "\x7f", "0"  # after every character of an operator or id; before every character of an id
FIRST = "\x01"  # before every key, none of which is empty


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
    """The stretches that make up a segment, one for each of its tags if there are any.

    A client is in those of all their tags, and otherwise in one.
    """
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

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff) -> None:
        self._table = tables.clients.Meta.table_name
        self._dynamodb = dynamodb
        self._backoff = backoff

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
            low = last + NEXT if last else part.prefix or FIRST
            found, left = self.between(segment, part.index, shard, low, part.prefix + LAST, limit - len(clients))
            # Who has several of the tags is shown at the first of them.
            here = segment.tags[position] if segment.tags else None
            clients += (
                one.client
                for one in found
                if one.client and segment.matches(one.client) and here in (None, segment.first_tag_of(one.client))
            )
            if left:
                # Narrowed ranges may give few of what they read: give back what there is, the caller asks on.
                return clients, f"{position}:{left}"
            position, last = position + 1, ""
        return clients, f"{position}:" if position < len(ranges) else ""

    def between(
        self, segment: Segment, index: str, shard: str, low: str, high: str, limit: int
    ) -> tuple[list[Met], str]:
        """Up to `limit` clients of an index whose keys lie between two, and the last one's key, "" at the end.

        Past PynamoDB, whose rows take five times as long to make: dispatch reads every client of every mailing here.
        Who is met by a further tag is read from the table, and comes without the client if they are not of the segment
        any more.
        """
        with translated("clients"):
            answer = self._dynamodb.query(
                TableName=self._table,
                IndexName=index,
                KeyConditionExpression=f"#shard = :shard AND {index_key(index)} BETWEEN :low AND :high",
                ExpressionAttributeNames={"#shard": "shard"},
                ExpressionAttributeValues={":shard": {"S": shard}, ":low": {"S": low}, ":high": {"S": high}},
                Limit=limit,
            )
        found = [met(item) for item in answer["Items"]]
        wanted = [one.client_id for one in found if one.client is None]
        if wanted:
            further = self._members(segment, wanted, consistent=False)
            # The cheaper read may lag behind the index.
            missing = [one for one in wanted if one not in further]
            further |= self._members(segment, missing, consistent=True)
            found = [one if one.client else one._replace(client=further.get(one.client_id)) for one in found]
        left = answer.get("LastEvaluatedKey")
        return found, left[index_key(index)]["S"] if left else ""

    def _members(self, segment: Segment, client_ids: Sequence[str], *, consistent: bool) -> dict[str, Client]:
        """Those of the clients who belong to the segment."""
        keys: list[Item] = [{"client_id": {"S": client_id}} for client_id in dict.fromkeys(client_ids)]
        items = read_items(self._dynamodb, self._backoff, self._table, keys, consistent=consistent)
        clients = [client_of(item) for item in items if is_client(item)]
        return {client.client_id: client for client in clients if segment.matches(client)}

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
