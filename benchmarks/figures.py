"""Figures of several runs: the median with minimum and maximum, and tables of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of some runs, with minimum and maximum."""

    median: float
    least: float
    most: float
    runs: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1], len(found))

    def shown(self, digits: int = 0) -> str:
        """Such as "812 (790 to 840)"."""
        return f"{self.median:.{digits}f} ({self.least:.{digits}f} to {self.most:.{digits}f})"


def figures(runs: Sequence[Mapping[str, Any]], names: Iterable[str]) -> dict[str, Figure]:
    """The figures of these names over runs that have them all."""
    return {name: Figure.of(float(run[name]) for run in runs) for name in names}


def percentile(values: Iterable[float], share: float) -> float:
    """The percentile of values for a share, by the nearest rank."""
    found = sorted(values)
    return found[min(len(found) - 1, max(0, -(-int(share * 1000) * len(found) // 1000) - 1))]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
