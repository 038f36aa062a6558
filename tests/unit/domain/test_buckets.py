"""Where a message is in its mailing's ledger: the same for everybody who asks, in order, and evenly spread."""

from __future__ import annotations

import base64
import random
from collections import Counter

import pytest

from chalicelib.domain.buckets import PER_BUCKET, Division
from chalicelib.domain.client_ids import SHARDS, shard_of


def ids(count: int) -> list[str]:
    rng = random.Random(7)
    return [base64.b32encode(rng.randbytes(10)).decode().lower() for _ in range(count)]


@pytest.mark.parametrize(
    ("clients", "shards", "buckets"),
    [
        (0, 1, 2),
        (18, 1, 2),
        (19, 1, 3),
        (640, 1, 72),
        (641, 16, 5),
        (1_000_000, 16, 6945),
        (10**12, 16, 2**26),
    ],
)
def test_a_mailing_is_divided_by_its_clients(clients: int, shards: int, buckets: int) -> None:
    """A small one has one shard. Of buckets there are as many as hold nine clients each, and some at least."""
    assert Division.among(clients) == Division(shards, buckets)


def test_an_older_mailing_keeps_its_shards() -> None:
    """Before there were small ones all had sixteen, each with four buckets at least."""
    assert Division.among(9, 16) == Division(16, 4)


@pytest.mark.parametrize("shards", [1, 16])
def test_the_shards_of_clients_are_all_in_those_of_a_mailing(shards: int) -> None:
    """Each of them once; a client's message is where the client's shard is."""
    division = Division(shards, 3)
    assert sorted(one for name in division.names for one in division.of_clients(name)) == list(SHARDS)
    for client_id in ids(200):
        assert shard_of(client_id) in division.of_clients(division.shard_of(client_id))


@pytest.mark.parametrize(("shards", "shard"), [(1, "00"), *((16, one) for one in SHARDS)])
def test_buckets_are_in_the_order_of_ids(shards: int, shard: str) -> None:
    """As DynamoDB orders them, so that a page of clients goes through them one by one; all of them are used."""
    division = Division(shards, 40)
    mine = sorted(one for one in ids(20_000) if division.shard_of(one) == shard)
    places = [division.bucket_of(one) for one in mine]
    assert places == sorted(places)
    assert set(places) == set(range(40))


@pytest.mark.parametrize("shards", [1, 16])
def test_buckets_are_about_equally_full(shards: int) -> None:
    """What is above twelve costs a second unit: that is one bucket in eight."""
    everybody = ids(50_000)
    division = Division.among(len(everybody), shards)
    sizes = Counter((division.shard_of(one), division.bucket_of(one)) for one in everybody)
    assert sum(sizes.values()) / (division.buckets * shards) == pytest.approx(PER_BUCKET, rel=0.01)
    assert sum(size > 12 for size in sizes.values()) / len(sizes) == pytest.approx(0.124, abs=0.01)
    assert max(sizes.values()) < 30


@pytest.mark.parametrize("shards", [1, 16])
def test_clients_of_a_bucket_come_together(shards: int) -> None:
    """Each once, whatever their order was."""
    everybody, division = ids(500), Division(shards, 3)
    groups = division.by_bucket(everybody)
    assert sorted(one for group in groups for one in group) == sorted(everybody)
    assert len(groups) == 3 * shards
    for group in groups:
        assert len({(division.shard_of(one), division.bucket_of(one)) for one in group}) == 1
