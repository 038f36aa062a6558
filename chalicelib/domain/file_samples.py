"""The first rows of a file and what kind of file it seems to be, which people see before they import it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .csv_rows import is_blank, rows_of, separator_of
from .errors import FieldError, Invalid
from .file_texts import text_of_sample
from .import_columns import Columns, proposed
from .json_rows import is_json_lines, json_rows
from .listmonk_rows import unfolded

_ROWS, _MAX_CELL = 5, 60


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a file. What is empty is detected; with `columns` None, columns are matched by their names."""

    encoding: str = ""
    separator: str = ""
    columns: Mapping[str, str] | None = None
    for_mailing: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """What is found at the beginning of a file. `separator` is "" for JSON lines."""

    encoding: str
    separator: str
    columns: Columns
    by_name: Columns  # as matched by their names alone
    rows: Sequence[Sequence[str]]
    errors: Sequence[FieldError]

    @property
    def names(self) -> Sequence[str]:
        """The names of the columns, each once."""
        return list(self.columns.names)

    def values(self, name: str) -> Sequence[str]:
        """The values of a column in the first rows."""
        place = self.columns.header.index(name)
        return [row[place] for row in self.rows if place < len(row) and row[place]]


def sample_of(raw: bytes, how: Reading) -> Sample:
    """What a piece of a file seems to be. Raises Invalid if it is not text, or its header cannot be read."""
    text, encoding = text_of_sample(raw, how.encoding)
    separator = "" if is_json_lines(text) else how.separator or separator_of(text)
    lines = (row for _, row in (unfolded(rows_of(text, separator)) if separator else json_rows(text)))
    rows = [row for row in itertools.islice(lines, 2 * _ROWS) if isinstance(row, FieldError) or not is_blank(row)]
    header = rows.pop(0) if rows else []
    if isinstance(header, FieldError):
        raise Invalid(FieldError("header", header.fault, header.values))
    columns, errors = proposed(header, how.columns or {}, for_mailing=how.for_mailing)
    shown = [[cell.strip()[:_MAX_CELL] for cell in row] for row in rows if isinstance(row, list)]
    return Sample(
        encoding=encoding,
        separator=separator,
        columns=columns,
        by_name=proposed(header, {}, for_mailing=how.for_mailing)[0],
        rows=shown[:_ROWS],
        errors=errors,
    )
