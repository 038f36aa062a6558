"""Draws the panels of Grafana's dashboard from a Prometheus' answers, where there is no Grafana to ask.

It is no Grafana: what it shares with it are the panels of infra/grafana, their expressions, and the answers to these.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from infra.dashboard import Panel

COLUMN, ROW, GAP = 56, 30, 8  # pixels of the grid
_COLORS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#e02f44", "#b877d9", "#8ab8ff", "#ffb357")
_TITLE, _LEGEND, _AXIS, _EDGE = 26, 20, 44, 14  # pixels at the top, the bottom, the left, and to be left free
_LINES = 4  # of a grid
_LETTER = 6.2  # pixels, about
_LONGEST_STEP = 1.5  # seconds between two points of one line
_STYLE = """body{margin:0;background:#111217;color:#ccccdc;font:12px system-ui,sans-serif}
svg{display:block}.panel{fill:#181b1f;stroke:#2c3235}.title{font-weight:600;fill:#ccccdc}.tick{fill:#9fa7b3;font-size:10px}
.grid{stroke:#2c3235}.value{fill:#73bf69;font-weight:600}.legend{fill:#ccccdc;font-size:11px}"""


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its label, and its values by time, in seconds since 1970."""

    label: str
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float | None:
        return self.points[-1][1] if self.points else None


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is shown, in seconds since 1970."""

    begin: float
    end: float


def series(legend: str, result: Sequence[Mapping[str, object]]) -> list[Series]:
    """The lines of an answer to `query_range`, named as a panel's legend says; what is not a number is left out."""
    lines = []
    for one in result:
        metric: Mapping[str, str] = one["metric"]  # type: ignore[assignment]
        label = legend
        for name, value in metric.items():
            label = label.replace("{{" + name + "}}", value)
        values: Sequence[tuple[float, str]] = one["values"]  # type: ignore[assignment]
        points = ((float(at), float(text)) for at, text in values)
        lines.append(Series(label, tuple(point for point in points if math.isfinite(point[1]))))
    return lines


def shown(value: float, unit: str) -> str:
    """A number as people read it, with its unit as Grafana names it."""
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit == "s":
        return f"{value * 1000:.0f} ms" if 0 < abs(value) < 1 else f"{value:.3g} s"
    text = (
        f"{value / 1000:.3g}k" if abs(value) >= 10_000 else f"{value:,.0f}" if value == int(value) else f"{value:.3g}"
    )
    return f"{text}/s" if unit == "ops" else text


def page(panels: Mapping[Panel, Sequence[Series]], span: Span) -> str:
    """The whole dashboard as a page of HTML."""
    width = COLUMN * max(panel.x + panel.width for panel in panels)
    height = ROW * max(panel.y + panel.height for panel in panels)
    drawn = "".join(_panel(panel, lines, span) for panel, lines in panels.items())
    return (
        f'<!doctype html><meta charset="utf-8"><title>Message Service</title><style>{_STYLE}</style>'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{drawn}</svg>'
    )


def _panel(panel: Panel, lines: Sequence[Series], span: Span) -> str:
    width, height = panel.width * COLUMN - GAP, panel.height * ROW - GAP
    draw = {"stat": _stat, "state-timeline": _states}.get(panel.kind, _lines)
    return (
        f'<svg x="{panel.x * COLUMN + GAP / 2}" y="{panel.y * ROW + GAP / 2}" width="{width}" height="{height}">'
        f'<rect class="panel" width="{width}" height="{height}" rx="2"/>'
        f'<text class="title" x="10" y="18">{escape(panel.title)}</text>'
        f"{''.join(draw(panel, lines, span, width, height))}</svg>"
    )


def _stat(panel: Panel, lines: Sequence[Series], span: Span, width: float, height: float) -> Iterator[str]:
    """The last value; where the legend names labels, the label whose line is there at the end."""
    del span
    ended = max((line.points[-1][0] for line in lines if line.points), default=0.0)
    current = [line for line in lines if line.points and line.points[-1][0] == ended]
    text = "no data"
    if current:
        named = "{{" in panel.queries[0].legend
        text = current[0].label if named else shown(current[0].last or 0.0, panel.unit)
    yield (
        f'<text class="value" x="{width / 2}" y="{height / 2 + 20}" text-anchor="middle" font-size="32">'
        f"{escape(text)}</text>"
    )


def _lines(panel: Panel, lines: Sequence[Series], span: Span, width: float, height: float) -> Iterator[str]:
    """Lines over time, or areas upon each other where the panel stacks them."""
    drawn = _stacked(lines) if panel.stacked else [(line, (0.0,) * len(line.points)) for line in lines]
    tops = [value + base for line, bases in drawn for (_, value), base in zip(line.points, bases, strict=True)]
    top = _round_up(max(tops, default=0.0))
    left, right, above, below = _AXIS, width - _EDGE, _TITLE + 8, height - _LEGEND - 18

    def at(moment: float, value: float) -> str:
        x = left + (right - left) * (moment - span.begin) / (span.end - span.begin)
        return f"{x:.1f},{below - (below - above) * value / top:.1f}"

    for number in range(_LINES + 1):
        y = below - (below - above) * number / _LINES
        yield f'<path class="grid" d="M{left} {y:.1f}H{right}"/>'
        yield f'<text class="tick" x="{left - 6}" y="{y + 3:.1f}" text-anchor="end">'
        yield f"{escape(shown(top * number / _LINES, panel.unit))}</text>"
    yield from _times(span, left, right, below + 14)
    for place, (line, bases) in enumerate(drawn):
        color = _COLORS[place % len(_COLORS)]
        for piece in _pieces(line, bases):
            path = [at(moment, base + value) for moment, base, value in piece]
            if panel.stacked:
                floor = [at(moment, base) for moment, base, _ in piece]
                yield f'<polygon points="{" ".join([*path, *reversed(floor)])}" fill="{color}" fill-opacity=".35"/>'
            yield f'<polyline points="{" ".join(path)}" fill="none" stroke="{color}" stroke-width="1.5"/>'
    yield from _legend([line.label for line in lines], left, right, height - 8)


def _states(panel: Panel, lines: Sequence[Series], span: Span, width: float, height: float) -> Iterator[str]:
    """A row for each line, filled while it is not nought."""
    del panel
    left, right, above, below = _AXIS + 16, width - _EDGE, _TITLE + 8, height - 26
    row = (below - above) / max(1, len(lines))
    scale = (right - left) / (span.end - span.begin)
    for place, line in enumerate(lines):
        y = above + place * row
        yield f'<text class="legend" x="{left - 8}" y="{y + row / 2 + 4:.1f}" text-anchor="end">'
        yield f"{escape(line.label)}</text>"
        yield f'<rect x="{left}" y="{y + 4:.1f}" width="{right - left}" height="{row - 8:.1f}" fill="#22252b"/>'
        for (moment, value), (following, _) in zip(line.points, line.points[1:], strict=False):
            if value:
                x = left + (moment - span.begin) * scale
                yield f'<rect x="{x:.1f}" y="{y + 4:.1f}" width="{(following - moment) * scale + 0.5:.1f}"'
                yield f' height="{row - 8:.1f}" fill="#ff9830"/>'
    yield from _times(span, left, right, below + 14)


def _pieces(line: Series, bases: Sequence[float]) -> Iterator[list[tuple[float, float, float]]]:
    """Moments with base and value, split if Prometheus had no number for a while."""
    piece: list[tuple[float, float, float]] = []
    for (moment, value), base in zip(line.points, bases, strict=True):
        if piece and moment - piece[-1][0] > _LONGEST_STEP:
            yield piece
            piece = []
        piece.append((moment, base, value))
    if piece:
        yield piece


def _stacked(lines: Sequence[Series]) -> list[tuple[Series, tuple[float, ...]]]:
    """Each line with what lies below it at each of its moments."""
    below: dict[float, float] = {}
    placed = []
    for line in lines:
        placed.append((line, tuple(below.get(moment, 0.0) for moment, _ in line.points)))
        for moment, value in line.points:
            below[moment] = below.get(moment, 0.0) + value
    return placed


def _times(span: Span, left: float, right: float, y: float) -> Iterator[str]:
    for number in range(_LINES + 1):
        moment = datetime.fromtimestamp(span.begin + (span.end - span.begin) * number / _LINES, UTC)
        x = left + (right - left) * number / _LINES
        anchor = "end" if number == _LINES else "middle"
        yield f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{moment:%H:%M:%S}</text>'


def _legend(labels: Sequence[str], left: float, right: float, y: float) -> Iterator[str]:
    """One line of labels, closer to each other where there are many."""
    needed = sum(28 + _LETTER * len(label) for label in labels)
    scale = min(1.0, (right - left) / needed) if labels else 1.0
    yield f'<g transform="translate({left} {y}) scale({scale:.3f})">'
    x = 0.0
    for place, label in enumerate(labels):
        yield f'<rect x="{x:.0f}" y="-6" width="12" height="3" fill="{_COLORS[place % len(_COLORS)]}"/>'
        yield f'<text class="legend" x="{x + 16:.0f}" y="0">{escape(label)}</text>'
        x += 28 + _LETTER * len(label)
    yield "</g>"


def _round_up(value: float) -> float:
    """The next number of the kind 1, 2, 4, 8 times a power of ten."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 8, 10) if step * power >= value)
