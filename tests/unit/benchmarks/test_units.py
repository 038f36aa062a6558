"""The arithmetic of AWS's bill, against the examples and rules of its documentation."""

from __future__ import annotations

import pytest

from benchmarks.units import Index, Item, Table, item_size, query_units, queue_requests, read_units, write_units

TABLE = Table(("id",), (Index("whole", ("group",), None), Index("keys", ("group", "due"), ())))


def _item(**values: str) -> Item:
    return {name: {"S": value} for name, value in values.items()}


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"name": {"S": "Zoë"}}, 8),
        ({"n": {"N": "1790000000123"}}, 9),
        ({"n": {"N": "-5"}}, 4),
        ({"n": {"N": "1000"}}, 3),
        ({"b": {"BOOL": True}}, 2),
        ({"l": {"L": [{"M": {"at": {"N": "12"}}}]}}, 13),
    ],
)
def test_an_item_has_the_size_of_names_and_values(item: Item, size: int) -> None:
    """Expects UTF-8 lengths, numbers by their significant digits, and the overhead of lists and maps."""
    assert item_size(item) == size


@pytest.mark.parametrize(("size", "units"), [(1, 1), (1024, 1), (1025, 2), (3000, 3)])
def test_a_write_costs_a_unit_for_each_kilobyte(size: int, units: int) -> None:
    """Expects sizes to be rounded up."""
    assert write_units(TABLE, None, _item(id="x" * (size - 2))) == (units, {})


def test_the_larger_of_both_counts() -> None:
    """Expects a write that makes an item smaller to cost what it was."""
    assert write_units(TABLE, _item(id="1", text="x" * 2000), _item(id="1"))[0] == 2


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [
        ({}, {"group": "a"}, {"whole": 1}),
        ({}, {"group": "a", "due": "1"}, {"whole": 1, "keys": 1}),
        ({"group": "a"}, {"group": "a"}, {}),
        ({"group": "a", "text": "1"}, {"group": "a", "text": "2"}, {"whole": 1}),
        ({"group": "a", "due": "1"}, {"group": "a", "due": "1", "text": "2"}, {"whole": 1}),
        ({"group": "a", "due": "1"}, {"group": "a", "due": "2"}, {"whole": 1, "keys": 2}),
        ({"group": "a"}, {"group": "b"}, {"whole": 2}),
        ({"group": "a", "due": "1"}, {}, {"whole": 1, "keys": 1}),
    ],
)
def test_an_index_costs_what_changes_in_it(before: dict, after: dict, units: dict) -> None:
    """Expects sparse indexes to cost nothing for what is not in them, and another key to cost twice."""
    assert write_units(TABLE, _item(id="1", **before), _item(id="1", **after))[1] == units


def test_reads_are_rounded_item_by_item_and_queries_over_all() -> None:
    """Expects 4 KB for a unit, half of it without consistency, and what is not there to cost a unit too."""
    sizes = [100] * 100
    assert read_units(sizes, consistent=True) == 100
    assert read_units([0, 5000], consistent=False) == 1.5
    assert query_units(sizes, consistent=True) == 3
    assert query_units([], consistent=False) == 0.5


@pytest.mark.parametrize(("payload", "requests"), [(0, 1), (65536, 1), (65537, 2)])
def test_a_request_of_a_queue_carries_64_kilobytes(payload: int, requests: int) -> None:
    """Expects every further chunk to be one request more."""
    assert queue_requests(payload) == requests
