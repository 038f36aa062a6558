"""The directory of clients: one item each, its two indexes, and the counts of every segment."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.audit_acts import client_act
from ..domain.client_ids import ClientIds
from ..domain.clients import Client, Contact, IndexedClient
from ..domain.errors import Conflict, NotFound, Unavailable
from ..domain.faults import Fault
from ..domain.segments import Segment
from .attribute_names import AttributeNames
from .audit import AuditLog
from .client_changes import ClientChanges
from .client_key import ClientKey
from .client_lists import ClientLists
from .client_numbers import ClientNumbers, Place
from .client_rows import client_of, contact_of, is_client, lost_text, row_of, tags_text
from .client_upserts import Also, ClientUpserts, Rows, Upserted
from .client_walks import ClientWalks
from .dynamodb import TRIES, Item, read_items, transact, translated
from .external_ids import ExternalIds
from .models import CONTACT
from .segments import Change, SegmentCounters, SegmentCounts, Total, moves_of
from .tables import Tables
from .tag_items import write as write_tags

_COUNTER_SHARDS = 8  # otherwise imports that run at once would conflict on the same counter
_CONTACT = ("client_id", *CONTACT)
_PERSONAL = ("language", "attributes")


class ClientRepository:
    """Clients in DynamoDB. Every change moves the segment counts in the same transaction."""

    def __init__(
        self, tables: Tables, dynamodb: Any, backoff: Backoff, rng: random.Random, ids: ClientIds | None = None
    ) -> None:
        """`ids` replaces the installation's own."""
        self._model = tables.clients
        self._tag_items = tables.tag_items
        self._table = tables.clients.Meta.table_name
        self._dynamodb = dynamodb
        self._segments = SegmentCounters(tables)
        self._lists = ClientLists(tables, dynamodb, backoff)
        self._walks = ClientWalks(self._lists)
        self._key = ClientKey(tables=tables, dynamodb=dynamodb, backoff=backoff, lists=self._lists, ids=ids)
        self._numbers = ClientNumbers(tables, dynamodb, backoff, self._key.ids)
        self._external_ids = ExternalIds(tables, dynamodb, backoff)
        self.attribute_names = AttributeNames(tables, backoff)
        self.changes = ClientChanges(tables, backoff.clock, rng)
        self._connection = tables.connection
        self._backoff = backoff
        self._rng = rng
        self._audit = AuditLog(tables, backoff)
        self._upserts = ClientUpserts(self._numbers, self._external_ids, self.write, backoff)

    def installation_key(self) -> bytes:
        """The key of this installation. Raises Unavailable if it cannot be read, or is damaged or lost."""
        return self._key.ids().key

    # -- one client

    def get(self, client_id: str) -> Client:
        """The client with this id. Raises NotFound if there is none."""
        found = self.get_many([client_id])
        if not found:
            raise NotFound(Fault.NO_SUCH_CLIENT, name=repr(client_id[:80]))
        return found[client_id]

    def get_many(self, client_ids: Iterable[str]) -> dict[str, Client]:
        """The clients with these ids, as far as they exist."""
        return {client.client_id: client for client in map(client_of, self._read(client_ids, consistent=True))}

    def contacts(
        self, client_ids: Iterable[str], consistent: bool = False, *, personal: bool = False
    ) -> dict[str, Contact]:
        """The contacts of the clients with these ids, as far as they exist.

        A read that is not consistent may be a second old, but a client is missing only if there is none: those that it
        does not find are read again, consistently. With `personal`, language and attributes are included.
        """
        names = (*_CONTACT, *_PERSONAL) if personal else _CONTACT
        wanted = list(dict.fromkeys(client_ids))
        found = self._contacts(wanted, consistent, names)
        missing = [client_id for client_id in wanted if client_id not in found]
        return found if consistent or not missing else found | self._contacts(missing, True, names)

    def _contacts(self, client_ids: Sequence[str], consistent: bool, names: Sequence[str]) -> dict[str, Contact]:
        items = self._read(client_ids, consistent=consistent, names=names)
        return {item["client_id"]["S"]: contact_of(item) for item in items}

    def _read(self, client_ids: Iterable[str], *, consistent: bool, names: Sequence[str] = ()) -> Iterator[Item]:
        keys: list[Item] = [{"client_id": {"S": client_id}} for client_id in dict.fromkeys(client_ids)]
        items = read_items(self._dynamodb, self._backoff, self._table, keys, consistent=consistent, names=names)
        return filter(is_client, items)

    def find(self, phone_number: str) -> Place:
        """The client with a number in E.164 form; else the last one who had it, if known, and the next one's id."""
        return self._numbers.find([phone_number])[phone_number]

    def with_numbers(self, phone_numbers: Sequence[str]) -> dict[str, Client]:
        """The clients with these numbers in E.164 form, as far as they exist, by number."""
        places = self._numbers.find(phone_numbers) if phone_numbers else {}
        return {number: place.client for number, place in places.items() if place.client}

    def usual_id(self, phone_number: str) -> str:
        """The id that a client with a number in E.164 form usually has: the one they get if they are added with it."""
        return self._key.ids().id_for(phone_number)

    def find_external(self, external_id: str) -> Client | None:
        """The client who has an external id now, None if there is none."""
        owner = self._external_ids.owners([external_id]).get(external_id, "") if external_id else ""
        client = self.get_many([owner]).get(owner) if owner else None
        return client if client and client.external_id == external_id else None

    def create(self, client: Client) -> Client:
        """Add a client, and return them with their id. Raises Conflict if their number or external id is taken."""
        place = self._numbers.likely_place(client.phone_number)
        for tries in range(1, TRIES + 1):
            if place.client:
                raise _taken()
            client = replace(client, client_id=place.free)
            if self.write([(None, client)], also=self._note):
                return client
            self._refuse_taken(client)
            place = self.find(client.phone_number)
            self._backoff.wait(tries)
        raise Unavailable("others want the same number; try again")

    def change(self, old: Client, new: Client) -> Client:
        """Replace `old` by `new`, with the same id, and return it. Raises Conflict as `create` does.

        Also raises Conflict if somebody changed the client since `old` was read.
        """
        if new.phone_number == old.phone_number:
            if not self.write([(old, new)], also=self._note):
                self._refuse_taken(new)
                raise _changed()
            return new
        new = replace(new, renumbered=True)
        for tries in range(1, TRIES + 1):
            place = self.find(new.phone_number)
            if place.client:
                raise _taken()
            if self.write([(old, new)], alias=place.free, also=self._note):
                return new
            self._refuse_taken(new)
            if self.get_many([old.client_id]).get(old.client_id) != old:
                raise _changed()
            self._backoff.wait(tries)
        raise Unavailable("others want the same number; try again")

    def _refuse_taken(self, client: Client) -> None:
        if self._external_ids.is_taken(client):
            raise Conflict(Fault.EXTERNAL_ID_TAKEN)

    def delete(self, client: Client) -> None:
        """Delete a client. Raises Conflict if somebody changed them in the meantime."""
        if not self.write([(client, None)], also=self._note):
            raise _changed()

    def _note(self, transaction: TransactWrite, changes: Sequence[Change]) -> None:
        for old, new in changes:
            self._audit.note(transaction, client_act(old, new), new.updated_at if new else None)

    def write(self, changes: Sequence[Change], alias: str = "", also: Also | None = None) -> bool:
        """Make all changes (before, after), or none and return False if one of the clients is not as before any more.

        `alias` is the free id that will lead to the only client of the changes, if their number changes. `also` may add
        actions to the transaction.
        """
        moves = moves_of(changes, str(self._rng.randrange(_COUNTER_SHARDS)))

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                for old, new in changes:
                    if new:
                        transaction.save(row_of(self._model, new), condition=self._unchanged(old))
                    elif old:
                        self._remove(transaction, old)
                    write_tags(transaction, self._tag_items, old, new)
                    if new and alias:
                        leads: list[Any] = [self._model.alias_of.set(new.client_id), self._model.freed.remove()]
                        transaction.update(self._model(alias), actions=leads, condition=self._unchanged(None))
                    self._external_ids.move(transaction, old, new)
                self.changes.note(transaction, changes)
                self._segments.move(transaction, moves)
                if also:
                    also(transaction, changes)

        with translated("clients"):
            return not transact(self._backoff, run)

    def _remove(self, transaction: TransactWrite, client: Client) -> None:
        """Remove a client, leaving the mark that their number needs (`client_numbers`)."""
        model = self._model
        mark = model.gone if client.renumbered else model.freed if self._numbers.is_unkeyed(client) else None
        if mark is None:
            transaction.delete(model(client.client_id), condition=self._unchanged(client))
            return
        actions: list[Any] = [
            one.remove() for one in model.get_attributes().values() if not one.is_hash_key and one is not mark
        ]
        transaction.update(
            model(client.client_id), actions=[*actions, mark.set(True)], condition=self._unchanged(client)
        )

    def _unchanged(self, old: Client | None) -> Condition:
        if old is None:
            free: Condition = self._model.client_id.does_not_exist() | self._model.freed.exists()
            return free
        # All fields that counters and numbers depend on, the time of the last change, and fields that change without
        # it.
        unchanged: Condition = (
            (self._model.updated_at == old.updated_at)
            & (self._model.phone_number == old.phone_number)
            & (self._model.tag == old.tag)
            & (self._model.tags == tags_text(old) if tags_text(old) else self._model.tags.does_not_exist())
            & (self._model.operator == old.operator)
            & (self._model.timezone == old.timezone)
            & (self._model.opted_out == old.opted_out)
            & (
                self._model.external_id == old.external_id
                if old.external_id
                else self._model.external_id.does_not_exist()
            )
            & (self._model.lost == lost_text(old) if old.lost else self._model.lost.does_not_exist())
            & (self._model.unreachable.exists() if old.unreachable else self._model.unreachable.does_not_exist())
        )
        return unchanged

    def upsert(
        self,
        clients: Sequence[Client],
        given: Mapping[str, frozenset[str]] | None = None,
        *,
        allow_opt_in: bool = True,
        also: Also | None = None,
        sharing: Set[str] = frozenset(),
        add_tag: str = "",
    ) -> Upserted:
        """Add or change clients, each once in the list; see `ClientUpserts.upsert`."""
        return self._upserts.upsert(clients, Rows(given or {}, allow_opt_in, sharing, add_tag), also)

    def expected(
        self,
        clients: Sequence[Client],
        given: Mapping[str, frozenset[str]],
        *,
        allow_opt_in: bool,
        sharing: Set[str] = frozenset(),
        add_tag: str = "",
    ) -> Upserted:
        """What `upsert` would do; see `ClientUpserts.expected`."""
        return self._upserts.expected(clients, Rows(given, allow_opt_in, sharing, add_tag))

    # -- many

    def counts(self, segment: Segment) -> SegmentCounts:
        """The counts that make up a segment, by tag, operator, time zone and opt-out. Reads no client."""
        return self._segments.counts(segment)

    def total(self, segment: Segment) -> Total:
        """How many clients a segment has, opted-out ones included, and whether that is exact. Reads no client."""
        return self._segments.total(segment)

    def count(self, segment: Segment) -> int:
        """How many clients a segment has at most; see `total`. It is 0 only if there is none."""
        return self._segments.total(segment).count

    def tags(self, most: int) -> Sequence[tuple[str, int]]:
        """Up to `most` tags with how many clients they have, the largest first. Reads no client."""
        return self._segments.tags(most)

    def page(self, segment: Segment, shard: str, cursor: str, limit: int) -> tuple[list[Client], str]:
        """Up to `limit` clients of a shard of the segment after the cursor; see `ClientLists.page`."""
        return self._lists.page(segment, shard, cursor, limit)

    def walk(
        self, segment: Segment, shard: str, cursor: str, limit: int
    ) -> tuple[Sequence[Client | IndexedClient], str]:
        """Like `page`, but in the order of ids and with the fields in the index; see `ClientWalks.page`."""
        return self._walks.page(segment, shard, cursor, limit)

    def whole(self, segment: Segment, found: Sequence[Client | IndexedClient]) -> list[Client]:
        """The clients of a walk who belong to the segment, with all their fields."""
        return self._lists.whole(segment, found)

    def list(self, segment: Segment, cursor: str, limit: int) -> tuple[list[Client], str]:
        """Up to `limit` clients of the segment from all shards, and the next cursor, "" at the end."""
        return self._lists.list(segment, cursor, limit)


def _taken() -> Conflict:
    return Conflict(Fault.PHONE_NUMBER_TAKEN)


def _changed() -> Conflict:
    return Conflict(Fault.CLIENT_CHANGED)
