"""Totals of all calls to the gateway: their outcomes and how long they took."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .messages import LOOK_UPS, Attempt, Outcome

BOUNDS_MS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)  # upper bounds; slower calls have a place after them
_MS = "ms"
DELIVERED, UNDELIVERED = "delivered", "undelivered"
_REPLIES = {"kept": "replies", "dropped": "replies_dropped"}
_PLACES = *(f"within_{bound}" for bound in BOUNDS_MS), "longer"


@dataclass(frozen=True, slots=True)
class CallTotals:
    """Counters by name: calls by outcome and by duration, milliseconds of all calls, receipts, replies."""

    counters: Mapping[str, int]

    @classmethod
    def of(cls, attempts: Iterable[Attempt]) -> CallTotals:
        """The totals of these calls alone, without zeros."""
        counters: Counter[str] = Counter()
        for attempt in attempts:
            counters[str(attempt.outcome)] += 1
            counters[_PLACES[bisect_left(BOUNDS_MS, attempt.duration_ms)]] += 1
            counters[_MS] += attempt.duration_ms
        return cls({name: count for name, count in counters.items() if count})

    @classmethod
    def sum_of(cls, several: Iterable[CallTotals]) -> CallTotals:
        """The totals of several gateways together."""
        counters: Counter[str] = Counter()
        for one in several:
            counters.update(one.counters)
        return cls(counters)

    @property
    def by_outcome(self) -> dict[Outcome, int]:
        return {outcome: self.counters.get(outcome, 0) for outcome in Outcome if outcome not in LOOK_UPS}

    @classmethod
    def of_receipts(cls, delivered: int, undelivered: int) -> CallTotals:
        """Totals for receipts."""
        counters = {DELIVERED: delivered, UNDELIVERED: undelivered}
        return cls({name: count for name, count in counters.items() if count})

    @property
    def by_delivery(self) -> dict[str, int]:
        """How many messages were delivered or not, according to receipts."""
        return {name: self.counters.get(name, 0) for name in (DELIVERED, UNDELIVERED)}

    @classmethod
    def of_replies(cls, kept: int, dropped: int) -> CallTotals:
        """Totals for replies."""
        counters = {_REPLIES["kept"]: kept, _REPLIES["dropped"]: dropped}
        return cls({name: count for name, count in counters.items() if count})

    @property
    def by_fate(self) -> dict[str, int]:
        """How many replies were kept, and how many were dropped because there were too many."""
        return {fate: self.counters.get(name, 0) for fate, name in _REPLIES.items()}

    @property
    def seconds(self) -> float:
        """How long all calls together took."""
        return self.counters.get(_MS, 0) / 1000

    @property
    def cumulated(self) -> list[int]:
        """How many calls took no longer than each of the bounds; the last number is all calls."""
        so_far, result = 0, []
        for place in _PLACES:
            so_far += self.counters.get(place, 0)
            result.append(so_far)
        return result
