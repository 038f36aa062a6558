"""An Excel workbook as CSV: one of its sheets, row by row, so that rows keep their numbers."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import TYPE_CHECKING

from .errors import Invalid
from .faults import Fault

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

_MAX_UNPACKED = 200_000_000  # bytes of XML
_SIGNATURE = b"PK\x03\x04"


def is_workbook(raw: bytes) -> bool:
    """Whether a file is an Excel workbook (.xlsx), not just any ZIP archive."""
    if not raw.startswith(_SIGNATURE):
        return False
    try:
        return any(one.filename == "xl/workbook.xml" for one in zipfile.ZipFile(io.BytesIO(raw)).infolist())
    except zipfile.BadZipFile:
        return False


def sheets_of(raw: bytes) -> list[str]:
    """The names of the sheets that are not hidden, in their order. Raises Invalid if the workbook is damaged."""
    with _opened(raw) as book:
        return _shown(book)


def csv_of_workbook(raw: bytes, most: int, sheet: str = "") -> str:
    """The rows of a sheet as CSV; of the first one that is not hidden if `sheet` is "".

    Raises Invalid if there is no such sheet, if the workbook is damaged, or if more than `most` characters come out.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    with _opened(raw) as book:
        shown = _shown(book)
        if sheet and sheet not in shown:
            raise Invalid.of("sheet", Fault.NO_SUCH_SHEET, names=", ".join(shown))
        for row in book.get_sheet_by_name(sheet or shown[0]).iter_rows() if shown else ():
            writer.writerow(_cells(row))
            if text.tell() > most:
                raise Invalid.of("file", Fault.FILE_TOO_LARGE, most=most)
    return text.getvalue()


@contextmanager
def _opened(raw: bytes) -> Iterator[CalamineWorkbook]:
    """The workbook. Raises Invalid if it is damaged, or unpacks to too much."""
    if sum(one.file_size for one in zipfile.ZipFile(io.BytesIO(raw)).infolist()) > _MAX_UNPACKED:
        raise Invalid.of("file", Fault.FILE_TOO_LARGE, most=_MAX_UNPACKED)
    from python_calamine import CalamineError, load_workbook  # imported here because only workbooks need it

    try:
        with load_workbook(io.BytesIO(raw)) as book:
            yield book
    except CalamineError as error:
        raise Invalid.of("file", Fault.NOT_A_TEXT_FILE, kind="a damaged Excel workbook (.xlsx)") from error


def _shown(book: CalamineWorkbook) -> list[str]:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    return [
        one.name
        for one in book.sheets_metadata
        if one.typ == SheetTypeEnum.WorkSheet and one.visible == SheetVisibleEnum.Visible
    ]


def _cells(row: Iterable[object]) -> list[str]:
    """The cells as the sheet shows them, but numbers with all their digits, and dates in ISO 8601."""
    return [_cell(value) for value in row]


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value)
