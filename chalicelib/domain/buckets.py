"""Buckets: the ledger holds the messages of a mailing about nine to an item, and where each is follows from its ids.

An item of up to 1 KB costs one unit to write, whether one message is in it or a dozen, and the messages of a hint are
claimed, called and recorded together. So a mailing is divided into buckets when it is launched, by the number of its
clients then, and never again: bucket n of a shard has the n-th part of the clients' ids, in their order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import groupby

from .client_ids import SHARD_COUNT, SHARDS, shard_of

# Messages of a bucket on the average. Ids are evenly spread, so that one bucket in eight has more than twelve, which is
# what 1 KB holds: fewer would leave more room unused, with more too many buckets would cost a second unit.
PER_BUCKET = 9
# Of a shard. Clients may be added between the launch and the reading of a shard; an item, of up to 400 KB, holds 5,000.
LEAST = 4

# The letters of an id as DynamoDB orders them, which is by their codes. Ids of one shard begin with one of two letters.
_LETTERS = "234567abcdefghijklmnopqrstuvwxyz"
_RANKS = {letter: rank for rank, letter in enumerate(_LETTERS)}
_FIRST = {
    letter: rank
    for shard in SHARDS
    for rank, letter in enumerate(letter for letter in _LETTERS if shard_of(letter) == shard)
}
_MORE = 5  # letters after the first that count
_PLACES: int = 2 * len(_LETTERS) ** _MORE


def buckets_for(clients: int) -> int:
    """How many buckets each shard of a mailing to so many clients has."""
    return min(_PLACES, max(LEAST, math.ceil(clients / SHARD_COUNT / PER_BUCKET)))


def bucket_of(client_id: str, buckets: int) -> int:
    """Which of a shard's buckets a client's message is in, from 0. It grows with the id, in the order of DynamoDB."""
    if buckets == 1:
        return 0
    place = _FIRST[client_id[0]]
    for letter in client_id[1 : 1 + _MORE]:
        place = place * len(_RANKS) + _RANKS[letter]
    return place * buckets // _PLACES


def by_bucket(client_ids: Iterable[str], buckets: int) -> list[list[str]]:
    """The clients of a mailing, those of one bucket together."""

    def bucket(client_id: str) -> tuple[str, int]:
        return shard_of(client_id), bucket_of(client_id, buckets)

    return [list(group) for _, group in groupby(sorted(client_ids, key=bucket), key=bucket)]
