"""Units: what DynamoDB and SQS bill for one call, by their published rules.

DynamoDB: "Read and write operations" and "Item sizes and formats" in its developer guide. A write costs a unit for each
KB of the larger of the item before and after it, and as much again in each index whose entry it adds, removes or
changes (both, if an entry gets another key). A write that its condition refuses costs what the item would have. A
transaction costs double. A read costs a unit for each 4 KB, half of that unless it is consistent; a query is rounded up
over all that it reads, other reads item by item. SQS: a request for each 64 KB of a call's payload.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Item = dict[str, dict[str, Any]]

_WRITE, _READ, _CHUNK = 1024, 4096, 65536  # bytes


@dataclass(frozen=True, slots=True)
class Index:
    """An index. It holds the keys and these `attributes`, or whole items if `attributes` is None."""

    name: str
    keys: tuple[str, ...]
    attributes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table's keys and indexes."""

    keys: tuple[str, ...]
    indexes: tuple[Index, ...] = ()

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> Table:
        """The table that a CloudFormation resource describes."""
        indexes = tuple(
            Index(one["IndexName"], _keys(one), _projected(one["Projection"]))
            for one in properties.get("GlobalSecondaryIndexes", [])
        )
        return cls(_keys(properties), indexes)

    def key_of(self, item: Item) -> Item:
        return {name: item[name] for name in self.keys}

    def entry(self, index: Index, item: Item | None) -> Item | None:
        """The entry of an index for an item, None if there is none."""
        if item is None or any(name not in item for name in index.keys):
            return None
        if index.attributes is None:
            return item
        return {
            name: item[name] for name in dict.fromkeys((*self.keys, *index.keys, *index.attributes)) if name in item
        }


def _keys(properties: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(one["AttributeName"] for one in properties["KeySchema"])


def _projected(projection: Mapping[str, Any]) -> tuple[str, ...] | None:
    return None if projection["ProjectionType"] == "ALL" else tuple(projection.get("NonKeyAttributes", ()))


def item_size(item: Item) -> int:
    """Bytes of an item: names and values."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: Mapping[str, Any]) -> int:
    """Bytes of an attribute's value."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(str(content).encode())
        case "N":
            # About a byte for two significant digits and one more; leading and trailing zeros take nothing.
            digits = str(content).lstrip("-").replace(".", "").strip("0")
            return (len(digits) + 1) // 2 + (2 if content.startswith("-") else 1)
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + value_size(one) for one in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + value_size(one) for name, one in content.items())
        case "SS":
            return sum(len(one.encode()) for one in content)
    raise ValueError(f"no size is known for the type {kind}")


def _rounded(size: int, unit: int) -> int:
    return max(1, -(-size // unit))


def write_units(table: Table, before: Item | None, after: Item | None) -> tuple[int, dict[str, int]]:
    """Units of a write in the table, and in each index that it touches."""
    sizes = [item_size(item) for item in (before, after) if item is not None]
    in_indexes = {index.name: _index_units(table, index, before, after) for index in table.indexes}
    return _rounded(max(sizes, default=0), _WRITE), {name: units for name, units in in_indexes.items() if units}


def _index_units(table: Table, index: Index, before: Item | None, after: Item | None) -> int:
    old, new = table.entry(index, before), table.entry(index, after)
    if old == new:
        return 0
    if old is None or new is None:
        return _rounded(item_size(old or new or {}), _WRITE)
    if any(old[name] != new[name] for name in index.keys):
        return _rounded(item_size(old), _WRITE) + _rounded(item_size(new), _WRITE)
    return _rounded(max(item_size(old), item_size(new)), _WRITE)


def read_units(sizes: Iterable[int], *, consistent: bool) -> float:
    """Units of reading items one by one; one that is not there counts as an empty one."""
    return sum(_rounded(size, _READ) for size in sizes) * (1.0 if consistent else 0.5)


def query_units(sizes: Iterable[int], *, consistent: bool) -> float:
    """Units of a query that reads items of these sizes."""
    return _rounded(sum(sizes), _READ) * (1.0 if consistent else 0.5)


def queue_requests(payload: int) -> int:
    """Requests that SQS bills for a call with so many bytes of messages."""
    return _rounded(payload, _CHUNK)
