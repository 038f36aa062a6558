"""The ledger: a message for each client of each mailing, in buckets with conditional writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..clock import Backoff
from ..domain.buckets import PER_BUCKET
from ..domain.errors import NotFound
from ..domain.faults import Fault
from ..domain.mailings import Mailing
from ..domain.messages import Message, MessageKey, parse_message_id
from .bucket_rows import TROUBLE_SHARDS, Bucket, Place, bucket_of_item, trouble_key
from .bucket_writes import INSERT_TRIES, UPDATE_TRIES, Applied, BucketWrites, Written
from .dynamodb import Item, read_items, translated
from .ledger_layout import LedgerLayouts, place_of
from .moments import to_ms
from .older_attempts import FIRST, place_of_older, together
from .tables import Tables

__all__ = ["Applied", "Ledger", "Written"]
_PURGED = 500  # buckets at once


class Ledger:
    """Messages in DynamoDB. Callers deal with messages; only this module knows buckets."""

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff, retain: timedelta = timedelta(0)) -> None:
        self._model = tables.ledger
        self._table = tables.ledger.Meta.table_name
        self._dynamodb = dynamodb
        self._backoff = backoff
        self._layouts = LedgerLayouts(tables, dynamodb, backoff, retain)
        self._writes = BucketWrites(
            table=self._table, dynamodb=dynamodb, backoff=backoff, layouts=self._layouts, read=self._buckets
        )

    def begin(self, mailing: Mailing) -> None:
        """Be told of a mailing that was launched this moment, so that how its ledger is laid out need not be read."""
        self._layouts.note(mailing)

    # -- writing

    def insert(self, messages: Sequence[Message]) -> list[bool]:
        """Insert messages. Returns False for each that existed already, which is not changed.

        Raises Unavailable if not all could be inserted: when a table is busy, dispatch waits first.
        """
        return self._writes.insert(messages, INSERT_TRIES)

    def update(
        self, changes: Sequence[tuple[Message, Message]], tries: int = UPDATE_TRIES, until: datetime | None = None
    ) -> Applied:
        """Replace the first of each pair by the second. Returns for each whether it is in the ledger now.

        The second must have the next revision, unless only its delivery differs. If the table is too busy, a write is
        tried `tries` times, or, with `until`, as often as needed up to that moment. A write whose answer was lost is
        recognised by reading it back.
        """
        return self._writes.update(changes, tries, until)

    def delete_page(self, mailing_id: str, shard: str) -> bool:
        """Delete up to 500 buckets of a shard. Returns False if there are none left."""
        with translated("messages"):
            rows = list(
                self._model.query(f"{mailing_id}#{shard}", limit=_PURGED, attributes_to_get=["ledger_key", "bucket_no"])
            )
            with self._model.batch_write() as batch:
                for row in rows:
                    batch.delete(row)
        return bool(rows)

    # -- reading

    def get(self, message_id: str) -> Message:
        """The message with this id. Raises NotFound if there is none."""
        key = parse_message_id(message_id)
        found = self.read([key])
        if key not in found:
            raise NotFound(Fault.NO_SUCH_MESSAGE, name=repr(message_id[:80]))
        return found[key]

    def read(self, keys: Iterable[MessageKey], consistent: bool = True) -> dict[MessageKey, Message]:
        """The messages of these mailings and clients, as far as they exist."""
        wanted = list(dict.fromkeys(keys))
        layouts = self._layouts.of(mailing_id for mailing_id, _ in wanted)
        places = {key: place_of(*key, layouts[key[0]]) for key in wanted}
        buckets = self._buckets(places.values(), consistent=consistent)
        found = {key: buckets[place].messages.get(key[1]) for key, place in places.items() if place in buckets}
        return {key: message for key, message in found.items() if message is not None}

    def _buckets(self, places: Iterable[Place], consistent: bool = True) -> dict[Place, Bucket]:
        keys = [place.key for place in dict.fromkeys(places)]
        items = read_items(self._dynamodb, self._backoff, self._table, keys, consistent=consistent)
        buckets = {bucket.place: bucket for bucket in self._whole(map(bucket_of_item, items))}
        if consistent:
            self._writes.note(buckets.values())
        return buckets

    def _whole(self, buckets: Iterable[Bucket]) -> list[Bucket]:
        """Buckets with their older attempts, which were written before them."""
        found = list(buckets)
        keys = [place_of_older(one.place, one.older).key for one in found if one.older]
        if not keys:
            return found
        items = read_items(self._dynamodb, self._backoff, self._table, keys, consistent=True)
        older = {Place.of(item): item for item in items}
        return [together(bucket, older) for bucket in found]

    def shards(self, mailing_id: str) -> tuple[str, ...]:
        """The shards of a mailing's ledger."""
        return self._layouts.of([mailing_id])[mailing_id].division.names

    def page(self, mailing_id: str, shard: str, after: str, limit: int) -> tuple[list[Message], str]:
        """Up to `limit` messages of a shard after a client's id, and the last id; "" at the end of the shard."""
        # One more bucket than `limit` needs on average, because only the rest of the first may be after the id.
        found, more = self._page(mailing_id, shard, after, {"Limit": -(-limit // PER_BUCKET) + 1})
        if len(found) > limit:
            return found[:limit], found[limit - 1].client_id
        return found, found[-1].client_id if more else ""

    def long_page(self, mailing_id: str, shard: str, after: str) -> tuple[list[Message], str]:
        """Like `page`, with as many as 1 MB holds; for counting."""
        found, more = self._page(mailing_id, shard, after, {})
        return found, found[-1].client_id if more else ""

    def _page(self, mailing_id: str, shard: str, after: str, asked: dict[str, int]) -> tuple[list[Message], bool]:
        """The messages of some buckets ordered by client id, and whether there are more buckets."""
        layout = self._layouts.of([mailing_id])[mailing_id]  # refuses a ledger that would seem to be empty
        first = layout.division.bucket_of(after) if after else 0
        values: Item = {
            ":key": {"S": f"{mailing_id}#{shard}"},
            ":first": {"N": str(first)},
            ":last": {"N": str(FIRST - 1)},
        }
        request: dict[str, Any] = asked | {
            "TableName": self._table,
            "KeyConditionExpression": "ledger_key = :key AND bucket_no BETWEEN :first AND :last",
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
        }
        with translated("messages"):
            answer = self._dynamodb.query(**request)
        read = self._whole(map(bucket_of_item, answer["Items"]))
        self._writes.note(read)
        found = [message for bucket in read for message in bucket.messages.values() if message.client_id > after]
        return found, "LastEvaluatedKey" in answer

    def trouble_page(self, mailing_id: str, after: str, limit: int) -> tuple[list[Message], str]:
        """Like `page`, for the messages of a mailing that failed or whose outcome is unknown, from their own index.

        They come shard by shard; a page may be short, or empty, before the end. The index lags a little behind the
        table, but the messages are read from the table.
        """
        layout = self._layouts.of([mailing_id])[mailing_id]
        division, names = layout.division, layout.division.names
        first = place_of(mailing_id, after, layout) if after else Place(mailing_id, names[0], 0)
        places: list[Place] = []
        for shard in names[int(first.shard) // TROUBLE_SHARDS * TROUBLE_SHARDS :: TROUBLE_SHARDS]:
            found, more = self._in_trouble(trouble_key(mailing_id, shard), first, limit - len(places) + 1)
            places += found
            if more or len(places) > limit:
                break
        else:
            more = False
        buckets = self._buckets(places)
        inside = [message for place in sorted(buckets) for message in buckets[place].messages.values()]
        later = (one for one in inside if one.client_id > after or division.shard_of(one.client_id) != first.shard)
        troubled = [message for message in later if message.status.in_trouble]
        if len(troubled) > limit:
            return troubled[:limit], troubled[limit - 1].client_id
        return troubled, inside[-1].client_id if inside and (more or len(places) > limit) else ""

    def _in_trouble(self, key: str, first: Place, limit: int) -> tuple[list[Place], bool]:
        """Up to `limit` buckets with failed or unknown messages, from a place on, and whether there may be more."""
        with translated("messages"):
            answer = self._dynamodb.query(
                TableName=self._table,
                IndexName="trouble",
                KeyConditionExpression="trouble_of = :key AND trouble_at >= :first",
                ExpressionAttributeValues={":key": {"S": key}, ":first": {"N": str(first.among_all)}},
                Limit=limit,
            )
        return [Place.of(item) for item in answer["Items"]], "LastEvaluatedKey" in answer

    def due(
        self, mailing_id: str, shard: str, until: datetime, after: str, limit: int
    ) -> tuple[list[tuple[datetime, str]], str]:
        """The parked messages of a shard that are due by a time, as (due time, client), from up to `limit` buckets.

        The bucket with the earliest one comes first. Also returns the next cursor, "" at the end.
        """
        key = f"{mailing_id}#{shard}"
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": "parked",
            "KeyConditionExpression": "parked_in = :key AND due_at <= :until",
            "ExpressionAttributeValues": {":key": {"S": key}, ":until": {"N": str(to_ms(until))}},
            "Limit": limit,
        }
        if after:
            due_at, _, number = after.partition("|")
            request["ExclusiveStartKey"] = {
                "parked_in": {"S": key},
                "due_at": {"N": due_at},
                **Place(mailing_id, shard, int(number)).key,
            }
        with translated("messages"):
            answer = self._dynamodb.query(**request)
        places = [Place.of(item) for item in answer["Items"]]
        read = self._buckets(places)
        found = [
            (message.due_at, message.client_id)
            for place in places
            if place in read
            for message in read[place].messages.values()
            if message.due_at is not None and message.due_at <= until
        ]
        last = answer.get("LastEvaluatedKey")
        return sorted(found), f"{last['due_at']['N']}|{last['bucket_no']['N']}" if last else ""
