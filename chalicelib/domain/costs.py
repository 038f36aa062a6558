"""Costs: what AWS asks for the work of sending messages, from counted units and one dated table of prices."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date


@dataclass(frozen=True, slots=True)
class Usage:
    """Units as AWS bills them.

    A write unit is up to 1 KB of an item or of an index, a read unit up to 4 KB read consistently (half of one
    otherwise), a queue request up to 64 KB. `gb_seconds` are those of functions, by their duration and memory.
    """

    write_units: float = 0.0
    read_units: float = 0.0
    queue_requests: float = 0.0
    invocations: float = 0.0
    gb_seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Usage)))

    def __mul__(self, times: float) -> Usage:
        return Usage(*(getattr(self, one.name) * times for one in fields(Usage)))


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars for a million units, in one region, on demand, without free tiers, discounts and taxes."""

    as_of: date
    region: str
    per_million: Usage

    def lines(self, usage: Usage) -> dict[str, float]:
        """Dollars for each kind of unit, by its name."""
        return {one.name: getattr(usage, one.name) * getattr(self.per_million, one.name) / 1e6 for one in fields(Usage)}

    def total(self, usage: Usage) -> float:
        """Dollars for all of it."""
        return sum(self.lines(usage).values())


# aws.amazon.com: /dynamodb/pricing/on-demand, /sqs/pricing (standard queues), /lambda/pricing (arm64, first tier).
PRICES = Prices(
    as_of=date(2026, 11, 24),
    region="us-east-1",
    per_million=Usage(write_units=0.625, read_units=0.125, queue_requests=0.40, invocations=0.20, gb_seconds=13.3334),
)
