"""What a request takes does not grow with the number of clients and messages."""

from __future__ import annotations

from functools import lru_cache

import pytest

from benchmarks import growth
from benchmarks.growth import Work

FEW, MANY = 1000, 2000


@lru_cache
def requests(size: int) -> dict[str, Work]:
    return growth.of_the_api(size)


def test_a_request_costs_the_same_with_twice_the_clients() -> None:
    """Expects the same calls and units, or fewer; longer numbers of buckets may take half a unit more."""
    few, many = requests(FEW), requests(MANY)
    assert few.keys() == many.keys()
    grown = {
        name: (few[name], many[name])
        for name in few
        if many[name].calls > few[name].calls or many[name].read_units > few[name].read_units + 0.5
    }
    assert grown == {}


@pytest.mark.parametrize("size", [FEW, MANY])
def test_a_request_reads_no_more_than_its_page(size: int) -> None:
    """Expects a handful of calls, fewer units than reading all clients would take, and no write."""
    for name, work in requests(size).items():
        assert 0 < work.calls <= 7, name
        # A message that failed is mostly alone in its bucket, which is read for it, as each client of a list is.
        assert work.read_units < (60 if "failed" in name else 32 if "clients" in name or "next" in name else 10), name
        assert work.write_units == 0, name
