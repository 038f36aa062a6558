"""Older attempts of messages that were tried many times; they move from the bucket to an item of their own.

A bucket of nine messages with thirty attempts each would have 6 KB, and each write of it would cost six units. The item
has the same ledger key, comes after all buckets, and is written before the bucket that refers to its number. It never
changes: its number is a hash of its content, so that a bucket always gets its own attempts, whatever others write or
repeat. An unused item stays until its mailing's ledger is deleted or expires.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from ..domain.messages import Attempt
from .bucket_rows import UNIT, Bucket, Older, Place, item_bytes
from .dynamodb import Item
from .message_lines import attempts_of, attempts_text

FIRST = 2**32  # the lowest number; those of buckets are lower
_MOST, _LEFT = 3, 1  # attempts of a message that a large bucket may have, and how many stay if there are more


def is_bucket(item: Item) -> bool:
    """Whether an item of the ledger is a bucket, not older attempts."""
    return int(item["bucket_no"]["N"]) < FIRST


def apart(old: Bucket, bucket: Bucket) -> tuple[Bucket, Item | None]:
    """The bucket without older attempts if it is too large, and the item with these, which must be written first.

    They are moved only if there is a new attempt since the `old` bucket, so that other writes add no items.
    """
    if all(one.attempts[-1:] == _last(old, one.client_id) for one in bucket.messages.values()):
        return bucket, None
    inside = {one: len(message.attempts) - bucket.left_out(one) for one, message in bucket.messages.items()}
    if max(inside.values()) <= _MOST or item_bytes(bucket.values) <= UNIT:
        return bucket, None
    counts = {one: len(m.attempts) - _LEFT for one, m in bucket.messages.items() if len(m.attempts) > _MOST}
    lines = [
        f"{one},{attempts_text(bucket.messages[one].attempts[:count], bucket.since)}"
        for one, count in sorted(counts.items())
    ]
    content: Item = {"attempts": {"S": "\n".join(lines)}, "since": {"N": str(bucket.since)}}
    if bucket.expires_at:
        content["expires_at"] = {"N": str(bucket.expires_at)}
    digest = hashlib.blake2b(f"{bucket.place.number} {content}".encode(), digest_size=6).digest()
    older = Older(FIRST + int.from_bytes(digest, "big"), counts)
    return replace(bucket, older=older), place_of_older(bucket.place, older).key | content


def _last(bucket: Bucket, client_id: str) -> tuple[Attempt, ...]:
    message = bucket.messages.get(client_id)
    return message.attempts[-1:] if message else ()


def place_of_older(place: Place, older: Older) -> Place:
    """The place of a bucket's older attempts."""
    return Place(place.mailing_id, place.shard, older.number)


def together(bucket: Bucket, items: Mapping[Place, Item]) -> Bucket:
    """The bucket with its older attempts, or without them if their item does not exist any more."""
    if bucket.older is None:
        return bucket
    item = items.get(place_of_older(bucket.place, bucket.older))
    whole = _with_attempts(bucket, item) if item else replace(bucket, older=None)
    whole.__dict__["values"] = bucket.values  # the values in the table
    return whole


def _with_attempts(bucket: Bucket, item: Item) -> Bucket:
    messages = dict(bucket.messages)
    for line in item["attempts"]["S"].split("\n"):
        client_id, _, text = line.partition(",")
        message = messages[client_id]
        older = attempts_of(text, int(item["since"]["N"]))
        messages[client_id] = replace(message, attempts=(*older, *message.attempts))
    return replace(bucket, messages=messages)
