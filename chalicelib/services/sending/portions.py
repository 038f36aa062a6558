"""Portions: results of the same hint are recorded together, because they are in one bucket of the ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from .batch import Job, Result

ENOUGH = 25  # results of complete hints
HELD_AT_MOST = timedelta(seconds=1)  # how long a result waits for the others of its hint; a crash loses waiting results


class Portions:
    """Results that are not recorded yet."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._left = Counter(job.received.item for job in jobs)
        self._held: defaultdict[str, list[Result]] = defaultdict(list)
        self._whole: list[Result] = []
        self._since: datetime | None = None

    def add(self, result: Result, now: datetime) -> None:
        """Add the result of a job."""
        item = result[0].received.item
        self._since = self._since or now
        self._held[item].append(result)
        self._left[item] -= 1
        if not self._left[item]:
            self._whole += self._held.pop(item)

    def must_go_in(self, now: datetime) -> float | None:
        """Seconds until the first result has waited long enough, None if no result waits."""
        if self._since is None:
            return None
        return max(0.0, (self._since + HELD_AT_MOST - now).total_seconds())

    def ready(self, now: datetime) -> list[Result]:
        """The results to record now: those of complete hints if there are enough, all if one has waited too long."""
        if self.must_go_in(now) == 0.0:
            return self.rest()
        if len(self._whole) < ENOUGH:
            return []
        portion, self._whole = self._whole, []
        self._since = now if self._held else None
        return portion

    def rest(self) -> list[Result]:
        """All results that are not recorded yet."""
        portion = [*self._whole, *(result for held in self._held.values() for result in held)]
        self._whole, self._since = [], None
        self._held.clear()
        return portion
