"""Exports of listmonk: their column of JSON becomes columns, and the status says who is opted out."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

from .attributes import PREFIX
from .csv_rows import Row, is_blank
from .import_columns import is_field
from .json_rows import MOST_COLUMNS, flat

_HEADER = {"uuid", "attributes", "status"}
_OUT = {"blocklisted": "yes", "blacklisted": "yes", "disabled": "yes", "enabled": "no"}


def unfolded(lines: Iterator[tuple[int, Row]]) -> Iterator[tuple[int, Row]]:
    """The rows of any file. In one of listmonk, the fields of the attributes are added as columns at the end.

    A phone number among the attributes keeps its name, such as phone; the others become attributes.
    """
    for number, header in lines:
        if not isinstance(header, list) or is_blank(header):
            yield number, header
            continue
        places = {name.strip().lower(): place for place, name in enumerate(header)}
        if places.keys() >= _HEADER:
            yield from _table(number, header, places, list(lines))
        else:
            yield from itertools.chain([(number, header)], lines)


def _table(
    number: int, header: list[str], places: dict[str, int], rows: list[tuple[int, Row]]
) -> Iterator[tuple[int, Row]]:
    folded, status = places["attributes"], places["status"]
    values = {place: _values(cells[folded]) for place, cells in rows if isinstance(cells, list) and len(cells) > folded}
    names = list(dict.fromkeys(name for one in values.values() for name in one))[:MOST_COLUMNS]
    named = {folded: "", status: "opted_out"}
    yield (
        number,
        [
            *(named.get(place, name) for place, name in enumerate(header)),
            *(name if is_field(name) else PREFIX + name for name in names),
        ],
    )
    for place, cells in rows:
        if place not in values or not isinstance(cells, list):
            yield place, cells
            continue
        own = cells[: len(header)] + [""] * (len(header) - len(cells))
        own[folded], own[status] = "", _OUT.get(own[status].strip().lower(), own[status])
        yield place, [*own, *(values[place].get(name, "") for name in names)]


def _values(cell: str) -> dict[str, str]:
    """The fields of the JSON in a cell, none if it has none."""
    try:
        values = json.loads(cell)
    except (ValueError, RecursionError):
        return {}
    return dict(flat(values)) if isinstance(values, dict) else {}
