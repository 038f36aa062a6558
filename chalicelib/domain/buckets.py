"""Buckets: the ledger holds the messages of a mailing about nine to an item, and where each is follows from its ids.

An item of up to 1 KB costs one unit to write, whether one message is in it or a dozen, and the messages of a hint are
claimed, called and recorded together. So a mailing is divided when it is launched, by the number of its clients then,
and never again: a large one into a shard for each of the 16 of its clients, a small one into a single shard, whose
progress is one item; and each shard into buckets, of which bucket n has the n-th part of the clients' ids, in order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from .client_ids import SHARD_COUNT, SHARDS, shard_of

# Messages of a bucket on the average. Ids are evenly spread, so that one bucket in eight has more than twelve, which is
# what 1 KB holds: fewer would leave more room unused, with more too many buckets would cost a second unit.
PER_BUCKET = 9
# Of a shard. Clients may be added between the launch and the reading of a shard; an item, of up to 400 KB, holds 5,000.
LEAST, LEAST_TOGETHER = 4, 8
# Clients of a mailing that is in one shard. A shard takes three calls to be fed, so that many small ones take long; the
# items of one are all on one partition, which takes a thousand writes a second.
SMALL = 640

# The letters of an id as DynamoDB orders them, which is by their codes.
_LETTERS = "234567abcdefghijklmnopqrstuvwxyz"
_RANKS = {letter: rank for rank, letter in enumerate(_LETTERS)}
_MORE = 5  # letters after the first that count
_SPAN: int = len(_LETTERS) ** _MORE
_MOST = 2 * _SPAN  # buckets of a shard, of whose ids two begin differently at least


@dataclass(frozen=True, slots=True)
class Division:
    """Into how many shards a mailing's ledger is divided, and into how many buckets each of these is.

    The number of shards divides 16: each holds the messages to as many of the clients' shards.
    """

    shards: int = SHARD_COUNT
    buckets: int = 1

    @classmethod
    def among(cls, clients: int, shards: int | None = None) -> Division:
        """That of a mailing to so many clients, if it has not so many shards already."""
        shards = shards or (1 if clients <= SMALL else SHARD_COUNT)
        least = LEAST_TOGETHER if shards == 1 else LEAST
        return cls(shards, min(_MOST, max(least, math.ceil(clients / shards / PER_BUCKET))))

    @classmethod
    def kept(cls, shards: float | None, buckets: float | None) -> Division:
        """That of a mailing whose row holds these. None: it is not launched, or was before a row held that."""
        return cls(int(shards or SHARD_COUNT), int(buckets or 1))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the shards, in their order."""
        return SHARDS[: self.shards]

    def of_clients(self, shard: str) -> tuple[str, ...]:
        """The clients' shards whose messages are in this one."""
        return tuple(name for name in SHARDS if _holder(name, self.shards) == shard)

    def shard_of(self, client_id: str) -> str:
        """Which shard a client's message is in."""
        return _holder(shard_of(client_id), self.shards)

    def bucket_of(self, client_id: str) -> int:
        """Which of its shard's buckets a client's message is in, from 0. It grows with the id, in DynamoDB's order."""
        if self.buckets == 1:
            return 0
        firsts = _firsts(self.shards)
        place = firsts[client_id[0]]
        for letter in client_id[1 : 1 + _MORE]:
            place = place * len(_RANKS) + _RANKS[letter]
        return place * self.buckets // (len(_LETTERS) // self.shards * _SPAN)

    def by_bucket(self, client_ids: Iterable[str]) -> list[list[str]]:
        """The clients of a mailing, those of one bucket together."""

        def bucket(client_id: str) -> tuple[str, int]:
            return self.shard_of(client_id), self.bucket_of(client_id)

        return [list(group) for _, group in groupby(sorted(client_ids, key=bucket), key=bucket)]


UNDIVIDED = Division()  # as it is before the launch


def _holder(shard: str, shards: int) -> str:
    """In which of a mailing's shards those messages are whose clients are in one of the 16."""
    return shard if shards == SHARD_COUNT else SHARDS[int(shard) * shards // SHARD_COUNT]


@cache
def _firsts(shards: int) -> dict[str, int]:
    """The place of each letter among those with which the ids of its shard begin."""
    inside: dict[str, list[str]] = {}
    for letter in _LETTERS:
        inside.setdefault(_holder(shard_of(letter), shards), []).append(letter)
    return {letter: rank for letters in inside.values() for rank, letter in enumerate(letters)}
