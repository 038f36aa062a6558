"""Charts as inline SVG: computes positions; templates/charts.html draws them, admin.css has the colors.

pygal, a maintained library for this, writes a <style> into every image, which the Content-Security-Policy forbids, and
could not switch between light and dark. Widths are percentages, heights are pixels, so that a chart fits on a phone and
its letters keep their size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..domain.statuses import TERMINAL
from .formats import number

HEIGHT = 160  # pixels, the height of the columns' area
_TOP = 16  # pixels above, for the number at the highest line
_TICKS = 6  # labels that fit side by side on a phone
_GAP = 0.2  # of a column's width
_LEAST = 1.5  # pixels, so that one failure among thousands is seen
_STEPS = tuple(
    timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080)
)


@dataclass(frozen=True, slots=True)
class Series:
    """A series of counts. `name` is the suffix of its color's class, chart-<name>."""

    name: str
    label: str


SENT, FAILED, OTHER, SKIPPED = "sent", "failed", "other", "skipped"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A span of time with its counts by the name of the series. `label` stands below it, `full` in the table."""

    label: str
    counts: Mapping[str, int]
    full: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle: `x` and `width` in percent, `y` and `height` in pixels."""

    name: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """A bucket as drawn: its blocks from the bottom up, the area for the pointer, and its tooltip."""

    blocks: tuple[Block, ...]
    place: Block
    label: str
    counts: tuple[int, ...]
    said: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A text beside an axis: `x` in percent, `y` in pixels."""

    text: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Columns:
    """A chart of columns over time, each stacked by series."""

    name: str  # unique on its page
    title: str
    series: tuple[Series, ...]
    columns: tuple[Column, ...]
    ticks: tuple[Mark, ...]
    lines: tuple[Mark, ...]
    totals: tuple[int, ...]
    height: int = _TOP + HEIGHT + 24

    @property
    def empty(self) -> bool:
        return not sum(self.totals)


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a list of bars; `width` in percent of the longest."""

    label: str
    count: int
    width: float


@dataclass(frozen=True, slots=True)
class Bars:
    """A list of bars, the longest first. `rest` says how many rows were left out, with `rest_count` in them."""

    title: str
    label: str
    rows: tuple[Bar, ...]
    rest: int = 0
    rest_count: int = 0


def columns(name: str, title: str, series: Sequence[Series], buckets: Sequence[Bucket]) -> Columns:
    """The chart of these buckets, in their order. `name` must be unique on the page."""
    highest = _round_up(max((_total(bucket, series) for bucket in buckets), default=0))
    slot = 100 / max(1, len(buckets))
    stride = -(-len(buckets) // _TICKS) or 1
    return Columns(
        name=name,
        title=title,
        series=tuple(series),
        columns=tuple(_column(bucket, series, place * slot, slot, highest) for place, bucket in enumerate(buckets)),
        ticks=tuple(
            Mark(bucket.label, round((place + 0.5) * slot, 3), _TOP + HEIGHT + 18)
            for place, bucket in enumerate(buckets)
            if place % stride == stride // 2
        ),
        lines=tuple(
            Mark(number(highest * part // 2), 0, _TOP + HEIGHT - HEIGHT * part / 2)
            for part in ((1, 2) if highest > 1 else (2,))
        ),
        totals=tuple(sum(bucket.counts.get(one.name, 0) for bucket in buckets) for one in series),
    )


def shares(counts: Mapping[str, int]) -> tuple[Block, ...]:
    """A bar with the shares of a mailing's ended messages, from counts that include their `total`."""
    whole = max(1, counts["total"])
    ended = {SENT: counts["sent"], FAILED: counts["failed"]}
    ended[OTHER] = sum(counts[name] for name in TERMINAL if name not in (SENT, FAILED, SKIPPED))
    ended[SKIPPED] = counts["skipped"]
    blocks, x = [], 0.0
    for name, count in ended.items():
        if count > 0:
            width = min(100 - x, max(0.3, 100 * count / whole))
            blocks.append(Block(name=name, x=round(x, 3), y=0, width=round(width, 3), height=12))
            x += width
    return tuple(blocks)


def bars(title: str, label: str, counts: Mapping[str, int], most: int = 10) -> Bars:
    """The list of the largest counts; `label` is the heading of the names."""
    ranked = sorted(((name, count) for name, count in counts.items() if count > 0), key=lambda one: (-one[1], one[0]))
    longest = ranked[0][1] if ranked else 1
    shown = tuple(Bar(name, count, round(max(0.5, 100 * count / longest), 2)) for name, count in ranked[:most])
    rest = ranked[most:]
    return Bars(title=title, label=label, rows=shown, rest=len(rest), rest_count=sum(count for _, count in rest))


def step_for(start: datetime, end: datetime, most: int = 60) -> timedelta:
    """The shortest step of one minute to a week that divides a span into at most so many buckets."""
    for step in _STEPS:
        if (end - start) / step <= most:
            return step
    return _STEPS[-1] * -(-(end - start) // (_STEPS[-1] * most))


def grouped(
    counts: Mapping[datetime, Mapping[str, int]], start: datetime, end: datetime, step: timedelta
) -> list[tuple[datetime, dict[str, int]]]:
    """Counts by moment put together into buckets of one step from `start` until `end`; what is outside is left out."""
    number_of = max(1, -(-(end - start) // step))
    buckets: list[dict[str, int]] = [{} for _ in range(number_of)]
    for moment, more in counts.items():
        place = (moment - start) // step
        if 0 <= place < number_of:
            for name, count in more.items():
                buckets[place][name] = buckets[place].get(name, 0) + count
    return [(start + place * step, bucket) for place, bucket in enumerate(buckets)]


def _total(bucket: Bucket, series: Sequence[Series]) -> int:
    return sum(max(0, bucket.counts.get(one.name, 0)) for one in series)


def _column(bucket: Bucket, series: Sequence[Series], x: float, slot: float, highest: int) -> Column:
    gap = slot * _GAP
    blocks: list[Block] = []
    y = float(_TOP + HEIGHT)
    counts = tuple(max(0, bucket.counts.get(one.name, 0)) for one in series)
    for one, count in zip(series, counts, strict=True):
        if count:
            height = max(_LEAST, HEIGHT * count / highest)
            y -= height
            blocks.append(
                Block(
                    name=one.name,
                    x=round(x + gap / 2, 3),
                    y=round(y, 2),
                    width=round(slot - gap, 3),
                    height=round(height, 2),
                )
            )
    label = bucket.full or bucket.label
    said = ", ".join(f"{one.label} {number(count)}" for one, count in zip(series, counts, strict=True) if count)
    place = Block(name="", x=round(x, 3), y=_TOP, width=round(slot, 3), height=HEIGHT)
    return Column(blocks=tuple(blocks), place=place, label=label, counts=counts, said=f"{label}: {said or 0}")


def _round_up(value: int) -> int:
    """The next round number whose half is round too: 2, 4, 10, 20, 40, 100 ..."""
    if value <= 1:
        return 1
    size = 1
    while True:
        for digit in (2, 4, 6, 10):
            if value <= digit * size:
                return digit * size
        size *= 10
