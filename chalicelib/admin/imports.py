"""/admin/clients/import: clients from files: which column is what, a check of all rows, the import and its progress.

A browser sends the beginning of a file for a look, and then the file, a large one in parts (static/import.js). It is
held until a person has seen what would change and starts it.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr

from ..domain.attributes import attribute_for
from ..domain.errors import Invalid
from ..domain.faults import Fault
from ..domain.file_samples import Reading
from ..domain.file_texts import text_of
from ..domain.import_columns import COLUMN_FIELDS, FIELDS_FOR_MAILING, columns_told
from ..domain.imports import MAX_ROWS, MOST_PARTS, MOST_ROWS_OF_A_FILE, FilePart, ImportOptions, Mode
from ..domain.workbooks import is_workbook, sheets_of
from ..web import parsing
from ..web.clients import Country, Tag
from ..web.exports import RejectedQuery, rejected_csv
from ..web.fields import query_integer
from ..web.imports import MOST_COLUMNS, Separator
from ..web.paging import PageQuery
from ..web.parsing import BYTES, CSV, MAX_CSV
from ..web.request import Text
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _, wrong

pages = Pages()
# Characters of a part: below the limit of a request, even if each has three bytes.
PART = 1_200_000
PIECE = 3_000_000  # bytes of a workbook's rows in one answer; Lambda's has 6 MB, in which line breaks count twice
_MOST_SHEETS = 30  # sheets that are offered; API Gateway allows 10 KB of headers
MAX_BODY = 10_000_000  # bytes; a larger workbook gets an error that says so
MAX_SAMPLE = 256 * 1024  # bytes; the script sends half of it at most
# Names for people; the keys are those of `file_texts.ENCODINGS`.
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16le": "UTF-16",
    "utf-16be": "UTF-16 BE",
    "cp1251": "Windows-1251",
    "cp1252": "Windows-1252",
    "koi8-r": "KOI8-R",
    "ibm866": "DOS (866)",
    "shift_jis": "Shift JIS",
    "gb18030": "GB 18030",
}
Encoding = Literal["", "utf-8", "utf-16le", "utf-16be", "cp1251", "cp1252", "koi8-r", "ibm866", "shift_jis", "gb18030"]


ForMailing = Literal["", "true"]


class PartQuery(BaseModel):
    """The place of a part in its file: the import of the first part, the rows before it, and the number of parts."""

    model_config = ConfigDict(extra="forbid")

    file_name: StrictStr = Field(default="", max_length=200)
    column: list[StrictStr] = Field(default=[], max_length=MOST_COLUMNS)
    separator: Separator = ""
    encoding: Encoding = ""
    mode: Mode = Mode.UPDATE
    country: Annotated[Country, BeforeValidator(str.upper)] = ""
    add_tag: Tag = ""
    for_mailing: ForMailing = ""
    part_of: StrictStr = Field(default="", max_length=26)
    row_offset: Annotated[int, BeforeValidator(query_integer), Field(ge=0, le=MOST_ROWS_OF_A_FILE)] = 0
    parts: Annotated[int, BeforeValidator(query_integer), Field(ge=1, le=MOST_PARTS)] = 1

    def part(self) -> FilePart:
        return FilePart(self.part_of, self.row_offset, self.parts)

    def options(self) -> ImportOptions:
        return ImportOptions(
            file_name=self.file_name,
            columns=columns_told(self.column),
            separator=self.separator,
            encoding=self.encoding or "utf-8",
            mode=self.mode,
            country=self.country,
            add_tag=self.add_tag,
            for_mailing=bool(self.for_mailing),
            hold=not self.for_mailing,  # a file for a mailing changes nothing in the directory
        )


class LookQuery(BaseModel):
    """How to read a file, if the detected way is wrong."""

    model_config = ConfigDict(extra="forbid")

    separator: Separator = ""
    encoding: Encoding = ""
    for_mailing: ForMailing = ""


class ImportPageQuery(BaseModel):
    """Whether the file is for one mailing only; and the import of a file that is incomplete.

    The page is also shown when a part of a file is refused; that query has more fields.
    """

    model_config = ConfigDict(extra="ignore")

    for_mailing: ForMailing = ""
    part_of: StrictStr = Field(default="", max_length=26)


class WorkbookQuery(BaseModel):
    """The piece of rows, and the sheet of a workbook ("" for the first)."""

    model_config = ConfigDict(extra="forbid")

    start: Annotated[int, BeforeValidator(query_integer), Field(ge=0, le=parsing.MOST_UNPACKED)] = 0
    sheet: StrictStr = Field(default="", max_length=100)


@pages.get("/admin/clients/import")
def show_import(request: PageRequest, query: ImportPageQuery) -> Page:
    """Ask for a file, or again for one with missing parts."""
    begun = request.services.imports.file(query.part_of) if query.part_of else None
    sizes = {"rows": MAX_ROWS, "part": PART, "parts": MOST_PARTS, "workbook": parsing.MAX_WORKBOOK}
    return Page(
        "clients/import.html",
        {
            **sizes,
            "for_mailing": begun.first.for_mailing if begun else query.for_mailing,
            "country": request.services.settings.default_country,
            "begun": begun,
        },
    )


@pages.post("/admin/clients/import/look", consumes=BYTES, max_bytes=MAX_SAMPLE)
def look_at_file(request: PageRequest, query: LookQuery) -> Page:
    """The first rows of a file and the fields of its columns, as a part of the page that asks for a file."""
    how = Reading(query.encoding, query.separator, for_mailing=bool(query.for_mailing))
    try:
        sample = request.services.imports.look(request.body, request.principal.username, how)
    except Invalid as error:
        return Page("clients/look.html", {"problem": _about_the_file(error)}, status=422)
    usable = FIELDS_FOR_MAILING if query.for_mailing else COLUMN_FIELDS
    separators = {",": _("comma"), ";": _("semicolon"), "\t": _("tab"), "|": _("vertical bar")}
    values = {"sample": sample, "encodings": ENCODINGS, "separators": separators, "fields": ("", *usable)}
    values["attribute_for"] = attribute_for
    return Page("clients/look.html", values)


@pages.post("/admin/clients/import/workbook", consumes=BYTES, max_bytes=MAX_BODY)
def read_workbook(request: PageRequest, query: WorkbookQuery) -> Text | Page:
    """A piece of an Excel workbook as CSV: whole rows from an offset in bytes on; empty after the last.

    A header lists its sheets, so that the page can offer them.
    """
    try:
        parsing.check_workbook(request.body)
        raw = text_of(request.body, most=parsing.MOST_UNPACKED, sheet=query.sheet).text.encode()
        sheets = json.dumps(sheets_of(request.body)[:_MOST_SHEETS]) if is_workbook(request.body) else "[]"
    except Invalid as error:
        return Page("clients/look.html", {"problem": _about_the_file(error)}, status=422)
    end = query.start + PIECE
    if end < len(raw):
        end = raw.rfind(b"\n", query.start, end) + 1 or end
    return Text(raw[query.start : end].decode(errors="replace"), f"{CSV}; charset=utf-8", {"X-Sheets": sheets})


@pages.post("/admin/clients/import", shows=show_import, consumes=CSV, max_bytes=MAX_CSV)
def check_file(request: PageRequest, query: PartQuery) -> Redirect:
    """Check a file, or a part of one, and hold it."""
    imports, username = request.services.imports, request.principal.username
    text = request.file.text if request.file else ""
    options = query.options()
    try:
        started = imports.start(text, username, options, query.part())
    except Invalid as error:
        raise Invalid.of("file", Fault.AS_TOLD, text=_about_the_file(error)) from error
    if not query.part_of:
        imports.remember(username, started, options.columns)
    return Redirect(f"/admin/clients/imports/{started.import_id}")


@pages.get("/admin/clients/imports")
def list_imports(request: PageRequest, query: PageQuery) -> Page:
    """The files of the last week, the latest first."""
    files, after = request.services.imports.latest(query.place(), query.limit)
    return Page("clients/imports.html", {"files": files, "first": not query.cursor, "next": query.following(after)})


@pages.get("/admin/clients/imports/{import_id}")
def follow_import(request: PageRequest, query: PageQuery, import_id: str) -> Page:
    """Show the progress of a file, and the errors of its rows."""
    _total, errors, after = request.services.imports.rejected(import_id, query.place(), query.limit)
    return Page(
        "clients/imported.html",
        {
            **_progress(request, import_id),
            "encodings": ENCODINGS,
            "errors": errors,
            "first": not query.cursor,
            "next": query.following(after),
        },
    )


@pages.post("/admin/clients/imports/{import_id}/start")
def start_import(request: PageRequest, import_id: str) -> Redirect:
    """Write what was checked."""
    request.services.imports.release(import_id)
    return Redirect(f"/admin/clients/imports/{import_id}")


@pages.get("/admin/clients/imports/{import_id}/rejected")
def export_rejected_rows(request: PageRequest, query: RejectedQuery, import_id: str) -> Text:
    """The rejected rows as CSV, page by page; static/export.js joins the pages to one file."""
    return rejected_csv(request, query, f"/admin/clients/imports/{import_id}/rejected", import_id, wrong)


@pages.get("/admin/clients/imports/{import_id}/progress")
def follow_progress(request: PageRequest, import_id: str) -> Page:
    """The part of the page that is updated all the time."""
    return Page("clients/progress.html", _progress(request, import_id))


def _progress(request: PageRequest, import_id: str) -> dict[str, Any]:
    """The progress of a file, and its mailing, if it is for one."""
    file = request.services.imports.file(import_id)
    used = file.first.for_mailing and file.finished and not file.first.part_of
    mailing_id = request.services.recipients.get(import_id).mailing_id if used else ""
    return {"progress": file, "import_id": import_id, "mailing_id": mailing_id}


def _about_the_file(error: Invalid) -> str:
    told = [(one.field, wrong(one)) for one in error.errors]
    return "; ".join(_("the header %(told)s", told=text) if field == "header" else text for field, text in told)
