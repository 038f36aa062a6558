"""The rows of a CSV file as other programs write it: finds its separator, and quotation marks that are not closed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from .errors import FieldError
from .faults import Fault

_SEPARATORS = ",;\t"
_SEP_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # only Excel reads and writes this line
Row = list[str] | FieldError


def separator_of(text: str) -> str:
    """The separator: what a line `sep=` says, else the one of comma, semicolon and tab that the header has most of."""
    for line in io.StringIO(text):
        told = _SEP_LINE.fullmatch(line.strip("\r\n \ufeff")) or re.fullmatch(r"sep=(\t)", line.strip("\r\n"))
        if told:
            return told[1]
        if any(map(str.isalnum, line)):
            return max(_SEPARATORS, key=line.count)
    return ","


def rows_of(text: str, separator: str = "") -> Iterator[tuple[int, Row]]:
    """Each row with its number, as a spreadsheet counts them. For a row that cannot be read, what is wrong with it.

    A line `sep=` is skipped.
    """
    separator = separator or separator_of(text)
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    number = 0
    while True:
        start = lines.place
        number += 1
        try:
            row: Row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row = _what_is_wrong(lines, start, separator, str(error))
            reader = csv.reader(lines, delimiter=separator, strict=True)
        if not (isinstance(row, list) and _is_sep_line(lines.at(start))):
            yield number, row


def is_blank(cells: list[str]) -> bool:
    """Whether all cells of a row are empty."""
    return not any(cell.strip() for cell in cells)


class _Lines:
    """The lines of a text, and how many were taken."""

    def __init__(self, text: str) -> None:
        self._lines = list(io.StringIO(text, newline=""))
        self.place = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self.place >= len(self._lines):
            raise StopIteration
        self.place += 1
        return self._lines[self.place - 1]

    def at(self, place: int) -> str:
        return self._lines[place]

    @property
    def left(self) -> int:
        return len(self._lines) - self.place

    def end(self) -> None:
        self.place = len(self._lines)


def _what_is_wrong(lines: _Lines, start: int, separator: str, told: str) -> Row:
    """The error of a row with a quotation mark that is not closed correctly."""
    taken = lines.place - start
    if taken > 1:
        if "limit" in told:  # a cell this long must be the rest of the file
            lines.end()
        return FieldError("row", Fault.UNCLOSED_QUOTE, {"lines": lines.place - start - 1})
    try:
        return next(csv.reader([lines.at(start)], delimiter=separator))
    except csv.Error as error:
        return FieldError("row", Fault.UNREADABLE_CSV, {"what": error})


def _is_sep_line(line: str) -> bool:
    line = line.strip("\r\n \ufeff")
    return bool(_SEP_LINE.fullmatch(line)) or line.lower().rstrip("\t") == "sep="
