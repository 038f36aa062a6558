"""JSON lines as rows: each line an object, whose fields are named by their path, such as Demographic.Timezone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import FieldError
from .faults import Fault

_DEPTH = 8
MOST_COLUMNS = 500


def is_json_lines(text: str) -> bool:
    """Whether a file is JSON lines, not CSV."""
    return text.lstrip().startswith("{")


def json_rows(text: str) -> Iterator[tuple[int, list[str] | FieldError]]:
    """First the names of all fields, with number 0, then the values of each line with its number."""
    lines = [(number, _read(line)) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    names = list(dict.fromkeys(name for _, values in lines if isinstance(values, dict) for name in values))
    names = names[:MOST_COLUMNS]
    yield 0, names
    for number, values in lines:
        yield number, values if isinstance(values, FieldError) else [values.get(name, "") for name in names]


def _read(line: str) -> dict[str, str] | FieldError:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return FieldError("row", Fault.NOT_A_JSON_LINE)
    return dict(flat(values)) if isinstance(values, dict) else FieldError("row", Fault.NOT_A_JSON_LINE)


def flat(values: Mapping[str, Any], path: str = "", depth: int = _DEPTH) -> Iterator[tuple[str, str]]:
    """The fields of an object by their paths, as texts."""
    for name, value in values.items():
        if isinstance(value, dict) and depth:
            yield from flat(value, f"{path}{name}.", depth - 1)
        else:
            yield path + name, _cell(value)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return _cell(value[0]) if len(value) == 1 else json.dumps(value, ensure_ascii=False)
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
