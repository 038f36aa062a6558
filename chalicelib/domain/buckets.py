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
from itertools import groupby

from .client_ids import SHARD_COUNT, SHARDS, shard_of

# Messages in a bucket on average. Ids are evenly spread, so one bucket in eight has more than the twelve that fit into
# 1 KB. A smaller average leaves more room unused; with a larger one more buckets cost a second write unit.
PER_BUCKET = 9
# Buckets of a shard. Clients may be added after the launch, before a shard is read; an item, of up to 400 KB, holds
# 5,000 messages.
LEAST, LEAST_TOGETHER = 4, 2
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
    """How many shards a mailing's ledger has (16, as clients have, or one), and how many buckets each of them has."""

    shards: int = SHARD_COUNT
    buckets: int = 1

    @classmethod
    def among(cls, clients: int, shards: int | None = None) -> Division:
        """The division for a mailing to so many clients. `shards` is given if the mailing has them already."""
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
        return SHARDS if self.shards == 1 else (shard,)

    def shard_of(self, client_id: str) -> str:
        """Which shard a client's message is in."""
        return SHARDS[0] if self.shards == 1 else shard_of(client_id)

    def bucket_of(self, client_id: str) -> int:
        """The number of a client's bucket in its shard, from 0. It grows with the id, in DynamoDB's order."""
        if self.buckets == 1:
            return 0
        place = _RANKS[client_id[0]] // self.shards  # the first letters of a shard's ids are 16 apart
        for letter in client_id[1 : 1 + _MORE]:
            place = place * len(_RANKS) + _RANKS[letter]
        return place * self.buckets // (len(_LETTERS) // self.shards * _SPAN)

    def by_bucket(self, client_ids: Iterable[str]) -> list[list[str]]:
        """Group the clients of a mailing by their buckets."""

        def bucket(client_id: str) -> tuple[str, int]:
            return self.shard_of(client_id), self.bucket_of(client_id)

        return [list(group) for _, group in groupby(sorted(client_ids, key=bucket), key=bucket)]


UNDIVIDED = Division()  # as it is before the launch
