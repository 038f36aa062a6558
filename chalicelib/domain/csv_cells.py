"""Cells of CSV files: a spreadsheet must not take one of ours for a formula, and an import must read what we wrote.

A spreadsheet runs a cell that begins with one of = + - @ or a tab or carriage return (OWASP, "CSV Injection"). An
apostrophe before it stops that, and is taken off again when the file is imported. Phone numbers stay as they are: a
plus and digits are a number, not a formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

_GUARD = "'"
_GUARDED = ("=", "+", "-", "@", "\t", "\r", _GUARD)


def guarded(text: str) -> str:
    """The text as a cell that no spreadsheet runs."""
    return _GUARD + text if text.startswith(_GUARDED) else text


def unguarded(cell: str) -> str:
    """The text of a cell that may have been guarded."""
    return cell[1:] if cell.startswith(_GUARD) and cell[1:].startswith(_GUARDED) else cell


def write_rows(rows: Iterable[Iterable[str]]) -> str:
    """The rows as CSV (RFC 4180): commas, and CRLF at the end of each line."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
