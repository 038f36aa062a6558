"""What is stored of the rows that an import rejects: a code with its values, and sentences of older versions."""

from __future__ import annotations

import pytest

from chalicelib.domain.client_files import RowError
from chalicelib.domain.faults import Fault
from chalicelib.storage.import_items import error_cells, row_error


@pytest.mark.parametrize(
    "error",
    [
        RowError(2, "phone_number", Fault.PHONE_NUMBER),
        RowError(3, "tag", Fault.TOO_LONG, {"most": "64"}),
        RowError(4, "header", Fault.COLUMN_TWICE, {"name": "'{\"a\"}'"}),
    ],
)
def test_a_rejected_row_is_read_as_it_was_stored(error: RowError) -> None:
    """So that its page can say it in the language of whoever looks."""
    row, field, told = error_cells(error)
    assert row_error(row, field, told) == error


@pytest.mark.parametrize("told", ["must have at most 64 characters", '{"fault": "from_the_future", "values": {}}'])
def test_what_another_version_stored_is_told_as_it_is(told: str) -> None:
    """It is in English then."""
    assert row_error(2, "tag", told).message == told
