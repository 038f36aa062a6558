"""Buckets of the ledger as items of DynamoDB: messages that are written together, each as a line of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ..domain.messages import Message
from ..domain.statuses import IN_TROUBLE
from .dynamodb import Item
from .message_lines import attempts_text, left_out_of, line_of, message_of
from .moments import to_ms

UNIT = 1024  # bytes of a write unit
TROUBLE_SHARDS = 4  # shards with the same key in the index of failed messages
_SHARD_SPAN = 2**32  # more than a shard has buckets


def trouble_key(mailing_id: str, shard: str) -> str:
    """The key of the index `trouble` for a shard: four shards share one, so that a list takes four queries, not 16."""
    return f"{mailing_id}#{int(shard) // TROUBLE_SHARDS}"


class Place(NamedTuple):
    """The place of a bucket: its mailing, its shard, and its number there."""

    mailing_id: str
    shard: str
    number: int

    @property
    def ledger_key(self) -> str:
        return f"{self.mailing_id}#{self.shard}"

    @property
    def among_all(self) -> int:
        """A number that orders the buckets of all shards of a mailing."""
        return int(self.shard) * _SHARD_SPAN + self.number

    @property
    def key(self) -> Item:
        return {"ledger_key": {"S": self.ledger_key}, "bucket_no": {"N": str(self.number)}}

    @classmethod
    def of(cls, item: Item) -> Place:
        """The place of an item."""
        mailing_id, _, shard = str(item["ledger_key"]["S"]).partition("#")
        return cls(mailing_id, shard, int(item["bucket_no"]["N"]))


@dataclass(frozen=True, slots=True)
class Older:
    """Attempts that are not in the bucket: the number of their item, and how many there are for each client."""

    number: int
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Bucket:
    """Messages that are written together.

    `revision` grows with every change and guards every write; it is 0 before the first one. `since` is in milliseconds,
    `expires_at` in seconds since 1970, 0 for never.
    """

    place: Place
    messages: Mapping[str, Message]
    revision: int = 0
    since: int = 0
    expires_at: int = 0
    older: Older | None = None

    def left_out(self, client_id: str) -> int:
        """How many attempts of a client's message, the first ones, are not in the bucket."""
        return self.older.counts.get(client_id, 0) if self.older else 0

    def changed(self, messages: Iterable[Message], expires_at: int) -> Bucket:
        """The bucket with these messages added or changed, in its next revision; it never expires earlier."""
        now = {message.client_id: message for message in messages}
        since = self.since or min(to_ms(message.created_at) for message in now.values())
        kept = max(self.expires_at, expires_at) if expires_at else 0
        older = self.older if kept == self.expires_at and self._still_has(now) else None
        return Bucket(
            place=self.place,
            messages={**self.messages, **now},
            revision=self.revision + 1,
            since=since,
            expires_at=kept,
            older=older,
        )

    def _still_has(self, now: Mapping[str, Message]) -> bool:
        """Whether all messages still begin with their older attempts.

        One is dropped from the middle if there are very many.
        """
        pairs = [(now[one], self.messages[one], self.left_out(one)) for one in now if self.left_out(one)]
        texts = [[attempts_text(m.attempts[:count], self.since) for m in (new, old)] for new, old, count in pairs]
        return all(new == old for new, old in texts)

    @cached_property
    def values(self) -> Item:
        """The item without its key and without empty values, so that sparse indexes stay sparse."""
        zones = {zone: place for place, zone in enumerate(dict.fromkeys(m.timezone for m in self.messages.values()))}
        lines = [line_of(one, self.since, zones, self.left_out(name)) for name, one in sorted(self.messages.items())]
        values: Item = {
            "messages": {"S": "\n".join(lines)},
            "revision": {"N": str(self.revision)},
            "since": {"N": str(self.since)},
            "zones": {"S": " ".join(zones)},
        }
        if self.expires_at:
            values["expires_at"] = {"N": str(self.expires_at)}
        if self.older:
            values["older"] = {"N": str(self.older.number)}
        due = [message.due_at for message in self.messages.values() if message.due_at is not None]
        if due:
            values["parked_in"] = {"S": self.place.ledger_key}
            values["due_at"] = {"N": str(to_ms(min(due)))}
        if any(message.status in IN_TROUBLE for message in self.messages.values()):
            values["trouble_of"] = {"S": trouble_key(self.place.mailing_id, self.place.shard)}
            values["trouble_at"] = {"N": str(self.place.among_all)}
        return values


def bucket_of_item(item: Item) -> Bucket:
    """The bucket of an item, with the attempts that are in it."""
    place, since = Place.of(item), int(item["since"]["N"])
    zones = item["zones"]["S"].split(" ")
    lines = item["messages"]["S"].split("\n")
    messages = [message_of(line, place.mailing_id, since, zones) for line in lines]
    expires_at = int(item["expires_at"]["N"]) if "expires_at" in item else 0
    revision = int(item["revision"]["N"])
    older = None
    if "older" in item:
        counts = {m.client_id: left_out_of(line) for m, line in zip(messages, lines, strict=True) if left_out_of(line)}
        older = Older(int(item["older"]["N"]), counts)
    bucket = Bucket(
        place=place,
        messages={message.client_id: message for message in messages},
        revision=revision,
        since=since,
        expires_at=expires_at,
        older=older,
    )
    bucket.__dict__["values"] = {name: value for name, value in item.items() if name not in place.key}
    return bucket


def write_units(before: Item | None, after: Item) -> int:
    """Units of a write: the item's KB, and one for each index entry that is added, removed or moved."""
    units = -(-item_bytes(after) // UNIT)
    for names in (("parked_in", "due_at"), ("trouble_of", "trouble_at")):
        old, new = ([where.get(name) for name in names] if where else [None] for where in (before, after))
        if old != new:
            units += (old[0] is not None) + (new[0] is not None)
    return units


def item_bytes(values: Item) -> int:
    """The approximate size of an item with these values, in bytes."""
    return _KEY_BYTES + sum(len(name) + len(value) for name, one in values.items() for value in one.values())


_KEY_BYTES = 60  # of an item's key, with the names
