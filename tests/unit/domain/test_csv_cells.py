"""Cells that no spreadsheet runs, and that we read back as they were."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.csv_cells import guarded, unguarded, write_rows

TEXTS = st.text(st.sampled_from("=+-@\t\r'a,;\"\n é"), max_size=6)


@given(TEXTS)
def test_no_guarded_cell_begins_a_formula(text: str) -> None:
    """Expects none of the six characters at the beginning."""
    assert not guarded(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@given(TEXTS)
def test_what_was_guarded_comes_back(text: str) -> None:
    """Expects the very text, apostrophes of its own included."""
    assert unguarded(guarded(text)) == text


@given(st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=4))
def test_rows_are_read_as_they_were_written(rows: list[list[str]]) -> None:
    """Expects separators, quotes and line breaks inside cells to survive."""
    assert list(csv.reader(io.StringIO(write_rows(rows), newline=""))) == rows
