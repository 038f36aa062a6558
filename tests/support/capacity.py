"""What a table and its indexes can take in a second, by partition, from DynamoDB's documentation.

A partition takes 1,000 write and 3,000 read units a second, whatever the table's mode; a new on-demand table has four
of them, and so has each of its indexes. Keys lie on them by hash. A table's quota is 40,000 units a second.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html (initial throughput)
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zlib import crc32

Kind = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class Capacity:
    """Units a second; tests scale them down."""

    partitions: int = 4
    partition_writes: float = 1000
    partition_reads: float = 3000
    table_writes: float = 40_000
    table_reads: float = 40_000


@dataclass(frozen=True, slots=True)
class Need:
    """The units that one request needs of a table or an index, named `table` or `table/index`, at one hash key."""

    resource: str
    hash_key: str
    kind: Kind
    units: float = 0.0


@dataclass(slots=True)
class _Second:
    """The units used in a second; an excess is taken from the next seconds."""

    second: int = 0
    spent: float = 0.0

    def take_from(self, second: int, rate: float) -> float:
        """What is spent of this second already."""
        self.spent = max(0.0, self.spent - (second - self.second) * rate)
        self.second = second
        return self.spent


class Throughput:
    """Counts what is spent, second by second: nothing is saved up for later ("burst")."""

    def __init__(self, capacity: Capacity, of_tables: Mapping[str, Capacity]) -> None:
        self._capacity = capacity
        self._of_tables = of_tables
        self._partitions: dict[tuple[str, int, Kind], _Second] = {}
        self._tables: dict[tuple[str, Kind], _Second] = {}

    def lacking(self, needs: Iterable[Need], now: datetime) -> tuple[Need, str] | None:
        """The first need that this second cannot meet, and whether the "partition" or the "table" is used up.

        A need above a whole second's units is allowed if nothing of the second is used yet.
        """
        second = int(now.timestamp())
        for need in needs:
            for meter, rate, name in self._meters(need):
                spent = meter.take_from(second, rate)
                if spent and (spent >= rate or spent + need.units > rate):
                    return need, name
        return None

    def spend(self, needs: Iterable[Need], now: datetime) -> None:
        """Count what requests took."""
        second = int(now.timestamp())
        for need in needs:
            for meter, rate, _ in self._meters(need):
                meter.take_from(second, rate)
                meter.spent += need.units

    def _meters(self, need: Need) -> list[tuple[_Second, float, str]]:
        table = need.resource.partition("/")[0].rpartition("-")[2]
        capacity, write = self._of_tables.get(table, self._capacity), need.kind == "write"
        partition = crc32(f"{need.resource} {need.hash_key}".encode()) % capacity.partitions
        return [
            (
                self._partitions.setdefault((need.resource, partition, need.kind), _Second()),
                capacity.partition_writes if write else capacity.partition_reads,
                "partition",
            ),
            (
                self._tables.setdefault((need.resource, need.kind), _Second()),
                capacity.table_writes if write else capacity.table_reads,
                "table",
            ),
        ]
