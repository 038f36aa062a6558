"""Buckets: an item of the ledger holds about nine messages; which one a message is in follows from its ids.

An item of up to 1 KB costs one unit to write, whether one message is in it or a dozen, and the messages of a hint are
claimed, called and recorded together. A mailing is divided once, at its launch, by the number of clients that it has
then. A large one gets 16 shards, as clients have, a small one gets one, whose progress is a single item. Each shard is
divided into buckets: the ids of its clients, in order, are cut into equal ranges, one for each bucket.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from .client_ids import SHARD_COUNT, SHARDS, shard_of

# Messages in a bucket on average. Ids are evenly spread, so one bucket in eight has more than the twelve that fit into
# 1 KB. A smaller average leaves more room unused; with a larger one more buckets cost a second write unit.
PER_BUCKET = 9
# Buckets of a shard. Clients may be added after the launch, before a shard is read; an item, of up to 400 KB, holds
# 5,000 messages.
LEAST, LEAST_TOGETHER = 4, 8
# Most clients of a mailing with one shard. It takes three calls to feed a shard, so 16 small ones take long. But the
# items of one shard are all in one partition, which takes only a thousand writes a second.
SMALL = 640

# The letters of an id in DynamoDB's order, which is that of their codes.
_LETTERS = "234567abcdefghijklmnopqrstuvwxyz"
_RANKS = {letter: rank for rank, letter in enumerate(_LETTERS)}
_MORE = 5  # letters after the first that count
_SPAN: int = len(_LETTERS) ** _MORE
_MOST = 2 * _SPAN  # buckets of a shard: each still has at least two possible beginnings of ids


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
        """The division that a mailing's row holds. None: it was not launched yet, or before rows held these."""
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
        """The number of a client's bucket in its shard, from 0. It grows with the id, in DynamoDB's order."""
        if self.buckets == 1:
            return 0
        firsts = _firsts(self.shards)
        place = firsts[client_id[0]]
        for letter in client_id[1 : 1 + _MORE]:
            place = place * len(_RANKS) + _RANKS[letter]
        return place * self.buckets // (len(_LETTERS) // self.shards * _SPAN)

    def by_bucket(self, client_ids: Iterable[str]) -> list[list[str]]:
        """Group the clients of a mailing by their buckets."""

        def bucket(client_id: str) -> tuple[str, int]:
            return self.shard_of(client_id), self.bucket_of(client_id)

        return [list(group) for _, group in groupby(sorted(client_ids, key=bucket), key=bucket)]


UNDIVIDED = Division()  # as it is before the launch


def _holder(shard: str, shards: int) -> str:
    """In which of a mailing's shards those messages are whose clients are in one of the 16."""
    return shard if shards == SHARD_COUNT else SHARDS[int(shard) * shards // SHARD_COUNT]


@cache
def _firsts(shards: int) -> dict[str, int]:
    """The place of each letter among the first letters that ids of the same shard have."""
    inside: dict[str, list[str]] = {}
    for letter in _LETTERS:
        inside.setdefault(_holder(shard_of(letter), shards), []).append(letter)
    return {letter: rank for letters in inside.values() for rank, letter in enumerate(letters)}
