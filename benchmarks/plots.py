"""Draws how the work grows, one small picture for each thing side by side: lines on top of each other hide each other.

SVG for a light and for a dark page, each with its own ground, so that it can be read on any. Text stays text, in
whatever fonts the reader has; the room for it is that of the widest. `python -m benchmarks.plots FILE DIRECTORY` draws
again what `make bench PARTS=growth` has written into dist/bench/growth.json.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.growth import Work, Works, per_message, per_request

_WIDTH, _ROW = 9.0, 1.75  # inches of 72 pixels
_COLUMNS = 4
_LINES = (("o", 8.0, 3.2), ("s", 5.0, 1.6), ("D", 3.5, 0.9))  # marker, its size, width: all are seen where they meet
_NO_DATE = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # nothing but a change of the figures changes the file


@dataclass(frozen=True, slots=True)
class Look:
    """Colors of a page, and of the lines on it, which also those tell apart who do not see all colors."""

    ground: str
    text: str
    grid: str
    lines: tuple[str, ...]


LOOKS = {
    "": Look("#ffffff", "#1f2328", "#d1d9e0", ("#0072b2", "#d55e00", "#007a5a")),
    "-dark": Look("#0d1117", "#f0f6fc", "#3d444d", ("#56b4e9", "#e69f00", "#2bc79a")),
}
UNITS = {"calls": "calls of AWS", "read_units": "read units", "write_units": "write units"}


def write(by_size: Mapping[int, Works], directory: Path) -> list[Path]:
    """growth-messages and growth-requests, each light and dark; where they are."""
    kinds = {
        "messages": ("For one message of a mailing", per_message, tuple(UNITS)),
        "requests": ("For one request of the API", per_request, ("calls", "read_units")),
    }
    written = []
    for kind, (title, choose, units) in kinds.items():
        chosen = {size: found for size, works in by_size.items() if (found := choose(works))}
        for suffix, look in LOOKS.items():
            written.append(directory / f"growth-{kind}{suffix}.svg")
            written[-1].write_text(draw(title, chosen, units, look), encoding="utf-8")
    return written


def draw(title: str, by_size: Mapping[int, Works], units: Sequence[str], look: Look) -> str:
    """An SVG with a small plot for each thing, the number of clients below it."""
    names = list(dict.fromkeys(name for works in by_size.values() for name in works))
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    with mpl.rc_context(_settings(look)):
        figure = Figure(figsize=(_WIDTH, _ROW * rows + 1.1), layout="constrained")
        figure.suptitle(f"{title}, by the number of clients", fontsize=12, fontweight="bold")
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True).flatten().tolist()
        for name, ax in zip(names, axes, strict=False):
            _panel(ax, name, {size: works[name] for size, works in by_size.items() if name in works}, units, look)
        for ax in axes[len(names) :]:
            ax.set_axis_off()
        axes[0].set_ylim(0, 1.15 * max(_values(by_size, units)))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(units), frameon=False)
        image = io.StringIO()
        figure.savefig(image, format="svg", metadata=_NO_DATE)
    _, start, rest = image.getvalue().partition("<svg")  # without the document type, which is at another place
    return "\n".join(line.rstrip() for line in (start + rest).splitlines()) + "\n"


def _values(by_size: Mapping[int, Works], units: Sequence[str]) -> list[float]:
    return [getattr(work, unit) for works in by_size.values() for work in works.values() for unit in units]


def _panel(ax: Axes, name: str, by_size: Mapping[int, Work], units: Sequence[str], look: Look) -> None:
    sizes = sorted(by_size)
    for unit, color, (marker, size, width) in zip(units, look.lines, _LINES, strict=False):
        values = [getattr(by_size[size], unit) for size in sizes]
        ax.plot(sizes, values, label=UNITS[unit], color=color, marker=marker, markersize=size, linewidth=width)
    ax.set_title(name, fontsize=9)
    ax.set_xscale("log")
    ax.set_xlim(sizes[0] / 2, sizes[-1] * 2)
    ax.set_xticks(sizes, [_short(size) for size in sizes])
    ax.minorticks_off()
    ax.grid(axis="y")
    ax.spines[["top", "right"]].set_visible(False)


def _short(size: int) -> str:
    """Such as 10k."""
    for unit, letter in ((1_000_000, "M"), (1000, "k")):
        if size >= unit:
            return f"{size / unit:g}{letter}"
    return str(size)


def _settings(look: Look) -> dict[Any, Any]:
    return {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Segoe UI", "Helvetica", "Arial"],
        "font.size": 9,
        "figure.constrained_layout.w_pad": 0.08,
        "figure.constrained_layout.h_pad": 0.08,
        "svg.fonttype": "none",
        "svg.hashsalt": "growth",  # names within the file, otherwise drawn at random
        "savefig.facecolor": look.ground,
        "figure.facecolor": look.ground,
        "axes.facecolor": look.ground,
        "axes.edgecolor": look.grid,
        "axes.labelcolor": look.text,
        "text.color": look.text,
        "xtick.color": look.text,
        "ytick.color": look.text,
        "grid.color": look.grid,
        "grid.linewidth": 0.7,
    }


def main(file: str, directory: str) -> int:
    """Draw what was measured before."""
    found = json.loads(Path(file).read_text(encoding="utf-8"))["found"]
    by_size = {int(size): {name: Work(**work) for name, work in works.items()} for size, works in found.items()}
    for path in write(by_size, Path(directory)):
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
