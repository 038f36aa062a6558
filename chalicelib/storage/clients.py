"""The directory of clients: one item each, its two indexes, and the counts of every segment."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.clients import KEY_SEPARATOR, SHARDS, Client, Contact
from ..domain.errors import Conflict, NotFound, Unavailable
from ..domain.mailings import Segment
from .client_changes import ClientChanges
from .models import ClientModel, Tables, from_ms
from .retries import TRIES, Item, read_items, transact, translated
from .segments import Change, SegmentCount, SegmentCounters, moves_of

_COUNTER_SHARDS = 8  # imports that run at once would otherwise conflict on the same counter
_ACTIONS = 100  # in a transaction; DynamoDB takes no more
_CONTACT = ("client_id", "phone_number", "timezone", "opted_out")
_AT_ONCE = 100  # clients that are read and changed together


@dataclass(frozen=True, slots=True)
class _Range:
    """One stretch of an index that belongs to a segment; `operators` narrows it further where it is not empty."""

    index: str
    prefix: str
    operators: frozenset[str]


def _ranges(segment: Segment) -> list[_Range]:
    """The stretches that make up a segment. Each client of the segment is in exactly one of them."""
    if segment.tags:
        if len(segment.operators) == 1:
            tail = segment.operators[0] + KEY_SEPARATOR
            return [_Range("by_tag", tag + KEY_SEPARATOR + tail, frozenset()) for tag in segment.tags]
        return [_Range("by_tag", tag + KEY_SEPARATOR, frozenset(segment.operators)) for tag in segment.tags]
    if segment.operators:
        return [_Range("by_operator", code + KEY_SEPARATOR, frozenset()) for code in segment.operators]
    return [_Range("by_operator", "", frozenset())]


class ClientRepository:
    """Clients in DynamoDB. Every change moves the segment counts in the same transaction."""

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff, rng: random.Random) -> None:
        self._model = tables.clients
        self._table = tables.clients.Meta.table_name
        self._dynamodb = dynamodb
        self._segments = SegmentCounters(tables)
        self.changes = ClientChanges(tables, backoff.clock, rng)
        self._connection = tables.connection
        self._backoff = backoff
        self._rng = rng

    # -- one client

    def get(self, client_id: str) -> Client:
        """The client of that id; NotFound where there is none."""
        found = self.get_many([client_id])
        if not found:
            raise NotFound(f"there is no client {client_id[:80]!r}")
        return found[client_id]

    def get_many(self, client_ids: Iterable[str]) -> dict[str, Client]:
        """The clients of those ids that there are."""
        return {client.client_id: client for client in map(_client, self._read(client_ids, consistent=True))}

    def contacts(self, client_ids: Iterable[str], consistent: bool = False) -> dict[str, Contact]:
        """How to reach each of the clients that there are.

        The cheapest read may lag a second behind the last change, in what it finds of a client. A client is missing
        only if there is none: those that it does not find are looked for again, consistently.
        """
        wanted = list(dict.fromkeys(client_ids))
        found = self._contacts(wanted, consistent)
        missing = [client_id for client_id in wanted if client_id not in found]
        return found if consistent or not missing else found | self._contacts(missing, True)

    def _contacts(self, client_ids: Sequence[str], consistent: bool) -> dict[str, Contact]:
        items = self._read(client_ids, consistent=consistent, names=_CONTACT)
        return {
            item["client_id"]["S"]: Contact(item["phone_number"]["S"], item["timezone"]["S"], item["opted_out"]["BOOL"])
            for item in items
        }

    def _read(self, client_ids: Iterable[str], *, consistent: bool, names: Sequence[str] = ()) -> Iterator[Item]:
        keys: list[Item] = [{"client_id": {"S": client_id}} for client_id in dict.fromkeys(client_ids)]
        return read_items(self._dynamodb, self._backoff, self._table, keys, consistent=consistent, names=names)

    def create(self, client: Client) -> None:
        """Add a client; Conflict where its number is taken."""
        if not self.write([(None, client)]):
            raise Conflict("a client with this phone number exists already")

    def change(self, old: Client, new: Client) -> None:
        """Put `new` in the place of `old`, under another id where the number changed; Conflict as for `create`."""
        moved = old.client_id != new.client_id
        if not self.write([(old, None), (None, new)] if moved else [(old, new)]):
            if moved and self.get_many([new.client_id]):
                raise Conflict("a client with this phone number exists already")
            raise Conflict("the client was changed by somebody else meanwhile; read it again")

    def delete(self, client: Client) -> None:
        """Remove a client; Conflict where somebody changed it meanwhile."""
        if not self.write([(client, None)]):
            raise Conflict("the client was changed by somebody else meanwhile; read it again")

    def write(self, changes: Sequence[Change]) -> bool:
        """Make all changes (before, after) or, where one of the befores is not so any more, none: False then."""
        moves = moves_of(changes, str(self._rng.randrange(_COUNTER_SHARDS)))

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                for old, new in changes:
                    if new:
                        transaction.save(_row(self._model, new), condition=self._unchanged(old))
                    elif old:
                        transaction.delete(self._model(old.client_id), condition=self._unchanged(old))
                self.changes.note(transaction, changes)
                self._segments.move(transaction, moves)

        with translated("clients"):
            return not transact(self._backoff, run)

    def _unchanged(self, old: Client | None) -> Condition:
        if old is None:
            return self._model.client_id.does_not_exist()
        # All fields that counters depend on, and the time of the last change.
        unchanged: Condition = (
            (self._model.updated_at == old.updated_at)
            & (self._model.tag == old.tag)
            & (self._model.operator == old.operator)
            & (self._model.timezone == old.timezone)
            & (self._model.opted_out == old.opted_out)
        )
        return unchanged

    def upsert(self, clients: Sequence[Client]) -> Counter[str]:
        """Add or change so many clients, each in the list once; the answer counts created, changed, unchanged.

        What has these clients' own times already counts as created or changed, so that a repeat after a crash answers
        the same. Unavailable where others change the same clients again and again meanwhile.
        """
        result: Counter[str] = Counter()
        for start in range(0, len(clients), _AT_ONCE):
            result += self._upsert_some(clients[start : start + _AT_ONCE])
        return result

    def _upsert_some(self, clients: Sequence[Client]) -> Counter[str]:
        left = clients
        result: Counter[str] = Counter()
        for tries in range(1, TRIES + 1):
            existing = self.get_many(client.client_id for client in left)
            changes: list[Change] = []
            for client in left:
                old = existing.get(client.client_id)
                new = replace(client, created_at=old.created_at) if old else client
                if old and replace(new, updated_at=old.updated_at) == old:
                    result[_came_about(old, client)] += 1
                else:
                    changes.append((old, new))
            left = []
            for group in _transactions(changes):
                if self.write(group):
                    result.update("changed" if old else "created" for old, _ in group)
                else:
                    left = [*left, *(new for _, new in group if new)]
            if not left:
                return result
            self._backoff.wait(tries)
        raise Unavailable("the clients are being changed by others; try again")

    # -- many

    def counts(self, segment: Segment) -> Iterator[SegmentCount]:
        """The counts that make up a segment, by tag, operator, time zone and opt-out. Reads no client."""
        return self._segments.counts(segment)

    def count(self, segment: Segment) -> int:
        """How many clients a segment has, opted-out ones included. Reads no client."""
        return self._segments.count(segment)

    def tags(self, most: int) -> Sequence[tuple[str, int]]:
        """Up to `most` tags with how many clients they have, the largest first. Reads no client."""
        return self._segments.tags(most)

    def page(self, segment: Segment, shard: str, cursor: str, limit: int) -> tuple[list[Client], str]:
        """Up to `limit` clients of a shard of the segment after the cursor ("" at the start), and the next cursor.

        The next cursor is "" at the end of the shard. The page may be short, or empty, before the end.
        """
        ranges = _ranges(segment)
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

    def _query(self, part: _Range, shard: str, last: str, limit: int) -> tuple[list[Client], str]:
        """Up to `limit` clients after the index key, and the last one's index key, "" at the end.

        Past PynamoDB, whose rows take five times as long to make: dispatch reads every client of every mailing here.
        """
        sort_key = _sort_key(part.index)
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
        return [_client(item) for item in answer["Items"]], left[sort_key]["S"] if left else ""

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


def _transactions(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """The changes in groups that fit a transaction each.

    Every client is an action, every counter that moves, and the note in the log.
    """
    group: list[Change] = []
    counters: set[str] = set()
    for change in changes:
        touched = moves_of([change], "").names()
        if len(group) + 2 + len(counters | touched) > _ACTIONS:
            yield group
            group, counters = [], set()
        group.append(change)
        counters |= touched
    if group:
        yield group


def _came_about(old: Client, client: Client) -> str:
    """What made a client what it is already: these very changes, or others before them."""
    if old.created_at == client.created_at:
        return "created"
    return "changed" if old.updated_at == client.updated_at else "unchanged"


def _after(shard: str) -> str:
    place = SHARDS.index(shard) + 1
    return SHARDS[place] if place < len(SHARDS) else ""


def _sort_key(index: str) -> str:
    return "tag_key" if index == "by_tag" else "operator_key"


def _row(model: type[ClientModel], client: Client) -> ClientModel:
    return model(
        client.client_id,
        shard=client.shard,
        tag_key=KEY_SEPARATOR.join((client.tag, client.operator, client.client_id)),
        operator_key=KEY_SEPARATOR.join((client.operator, client.client_id)),
        phone_number=client.phone_number,
        operator=client.operator,
        tag=client.tag,
        timezone=client.timezone,
        opted_out=client.opted_out,
        created_at=client.created_at,
        updated_at=client.updated_at,
    )


def _client(item: Item) -> Client:
    return Client(
        item["client_id"]["S"],
        item["phone_number"]["S"],
        item["operator"]["S"],
        item["tag"]["S"],
        item["timezone"]["S"],
        item["opted_out"]["BOOL"],
        from_ms(float(item["created_at"]["N"])),
        from_ms(float(item["updated_at"]["N"])),
    )
