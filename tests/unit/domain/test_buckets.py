"""Where a message is in its mailing's ledger: the same for everybody who asks, in order, and evenly spread."""

from __future__ import annotations

import base64
import random
from collections import Counter

import pytest

from chalicelib.domain.buckets import PER_BUCKET, bucket_of, buckets_for, by_bucket
from chalicelib.domain.client_ids import SHARDS, shard_of


def ids(count: int) -> list[str]:
    rng = random.Random(7)
    return [base64.b32encode(rng.randbytes(10)).decode().lower() for _ in range(count)]


@pytest.mark.parametrize(
    ("clients", "buckets"), [(0, 4), (1, 4), (576, 4), (577, 5), (1_000_000, 6945), (10**12, 2**26)]
)
def test_a_mailing_has_buckets_for_its_clients(clients: int, buckets: int) -> None:
    """For each shard as many as hold nine of its clients each, and four at least."""
    assert buckets_for(clients) == buckets


@pytest.mark.parametrize("shard", SHARDS)
def test_buckets_are_in_the_order_of_ids(shard: str) -> None:
    """As DynamoDB orders them, so that a page of clients goes through them one by one; all of them are used."""
    mine = sorted(one for one in ids(20_000) if shard_of(one) == shard)
    places = [bucket_of(one, 40) for one in mine]
    assert places == sorted(places)
    assert set(places) == set(range(40))


def test_buckets_are_about_equally_full() -> None:
    """What is above twelve costs a second unit: that is one bucket in eight."""
    everybody = ids(50_000)
    buckets = buckets_for(len(everybody))
    sizes = Counter((shard_of(one), bucket_of(one, buckets)) for one in everybody)
    assert sum(sizes.values()) / (buckets * len(SHARDS)) == pytest.approx(PER_BUCKET, rel=0.01)
    assert sum(size > 12 for size in sizes.values()) / len(sizes) == pytest.approx(0.124, abs=0.01)
    assert max(sizes.values()) < 30


def test_clients_of_a_bucket_come_together() -> None:
    """Each once, whatever their order was."""
    everybody = ids(500)
    groups = by_bucket(everybody, 3)
    assert sorted(one for group in groups for one in group) == sorted(everybody)
    assert len(groups) == 3 * len(SHARDS)
    for group in groups:
        assert len({(shard_of(one), bucket_of(one, 3)) for one in group}) == 1
