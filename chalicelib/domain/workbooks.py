"""An Excel workbook as CSV: its first sheet that is not hidden, row by row, so that rows keep their numbers."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable
from datetime import date, datetime, time

from .errors import Invalid
from .faults import Fault

_MAX_UNPACKED = 200_000_000  # bytes of XML
_SIGNATURE = b"PK\x03\x04"


def is_workbook(raw: bytes) -> bool:
    """Whether a file is an Excel workbook (.xlsx), and not just any ZIP archive."""
    if not raw.startswith(_SIGNATURE):
        return False
    try:
        return any(one.filename == "xl/workbook.xml" for one in zipfile.ZipFile(io.BytesIO(raw)).infolist())
    except zipfile.BadZipFile:
        return False


def csv_of_workbook(raw: bytes, most: int) -> str:
    """The rows as CSV. Raises Invalid if the workbook is damaged, or if more than `most` characters come out of it."""
    if sum(one.file_size for one in zipfile.ZipFile(io.BytesIO(raw)).infolist()) > _MAX_UNPACKED:
        raise Invalid.of("file", Fault.FILE_TOO_LARGE, most=_MAX_UNPACKED)
    from python_calamine import CalamineError, SheetTypeEnum, SheetVisibleEnum, load_workbook  # only workbooks need it

    text = io.StringIO()
    writer = csv.writer(text)
    try:
        with load_workbook(io.BytesIO(raw)) as book:
            shown = [
                one.name
                for one in book.sheets_metadata
                if one.typ == SheetTypeEnum.WorkSheet and one.visible == SheetVisibleEnum.Visible
            ]
            for row in book.get_sheet_by_name(shown[0]).iter_rows() if shown else ():
                writer.writerow(_cells(row))
                if text.tell() > most:
                    raise Invalid.of("file", Fault.FILE_TOO_LARGE, most=most)
    except CalamineError as error:
        raise Invalid.of("file", Fault.NOT_A_TEXT_FILE, kind="a damaged Excel workbook (.xlsx)") from error
    return text.getvalue()


def _cells(row: Iterable[object]) -> list[str]:
    """What the sheet shows, but numbers with all their digits, and dates as ISO 8601 has them."""
    return [_cell(value) for value in row]


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value)
