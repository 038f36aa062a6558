"""Small Excel workbooks, written by hand, so that no library is needed to make what a library reads."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from xml.sax.saxutils import escape

_OOXML = "http://schemas.openxmlformats.org"
_MAIN = f"{_OOXML}/spreadsheetml/2006/main"
_KINDS = f"{_OOXML}/officeDocument/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
Rows = Iterable[Sequence[str | float | bool | None]]


def workbook(rows: Rows, hidden: Mapping[str, Rows] | None = None, more: Mapping[str, Rows] | None = None) -> bytes:
    """A workbook with a sheet List, after those that are hidden, and more of them. `None` is an empty cell."""
    sheets = [
        *((name, True, some) for name, some in (hidden or {}).items()),
        ("List", False, rows),
        *((name, False, some) for name, some in (more or {}).items()),
    ]
    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_TYPE}.worksheet+xml"/>'
        for n in range(len(sheets))
    )
    entries = "".join(
        f'<sheet name="{name}" sheetId="{n + 1}" r:id="r{n}" state="{"hidden" if away else "visible"}"/>'
        for n, (name, away, _) in enumerate(sheets)
    )
    links = "".join(
        f'<Relationship Id="r{n}" Type="{_KINDS}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(len(sheets))
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_OOXML}/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>{types}</Types>',
        "_rels/.rels": _relationships(
            f'<Relationship Id="r0" Type="{_KINDS}/officeDocument" Target="xl/workbook.xml"/>'
        ),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_KINDS}"><sheets>{entries}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relationships(links),
    }
    for number, (_, _, some) in enumerate(sheets):
        parts[f"xl/worksheets/sheet{number}.xml"] = _sheet(some)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)
    return file.getvalue()


def _relationships(links: str) -> str:
    return f'<Relationships xmlns="{_OOXML}/package/2006/relationships">{links}</Relationships>'


def _sheet(rows: Rows) -> str:
    lines = (f'<row r="{number}">{"".join(map(_cell, row))}</row>' if row else "" for number, row in enumerate(rows, 1))
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'


def _cell(value: str | float | bool | None) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return f"<c><v>{value!r}</v></c>"
