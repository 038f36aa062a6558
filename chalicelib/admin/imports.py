"""/admin/clients/import: clients from CSV, with progress and what was rejected.

A browser sends a large file in parts, each an import of its own (static/transfers.js); one page shows them together.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr

from ..domain.errors import Invalid
from ..domain.faults import Fault
from ..domain.file_texts import FileText
from ..domain.imports import COLUMNS, MAX_ROWS, MOST_PARTS, MOST_ROWS_OF_A_FILE, FilePart, ImportOptions
from ..web.fields import query_integer
from ..web.paging import PageQuery
from ..web.parsing import CSV, MAX_CSV
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _, wrong

pages = Pages()
# Characters of a part: below what one request takes even where each has three bytes.
PART = 1_200_000


class PartQuery(BaseModel):
    """Which part of a file comes: the import of its first part, what comes before its rows, and of how many it is."""

    model_config = ConfigDict(extra="forbid")

    file_name: StrictStr = Field(default="", max_length=200)
    part_of: StrictStr = Field(default="", max_length=26)
    row_offset: Annotated[int, BeforeValidator(query_integer), Field(ge=0, le=MOST_ROWS_OF_A_FILE)] = 0
    parts: Annotated[int, BeforeValidator(query_integer), Field(ge=1, le=MOST_PARTS)] = 1

    def part(self) -> FilePart:
        return FilePart(self.part_of, self.row_offset, self.parts)


@pages.get("/admin/clients/import")
def show_import(request: PageRequest) -> Page:
    """Ask for a file."""
    return Page("clients/import.html", {"columns": COLUMNS, "rows": MAX_ROWS, "part": PART, "parts": MOST_PARTS})


@pages.post("/admin/clients/import", shows=show_import, consumes=CSV, max_bytes=MAX_CSV)
def import_clients(request: PageRequest, query: PartQuery) -> Redirect:
    """Begin to import a file, or a part of one."""
    file = request.file or FileText("", "")
    try:
        started = request.services.imports.start(
            file.text,
            request.principal.username,
            ImportOptions(file_name=query.file_name, encoding=file.encoding),
            query.part(),
        )
    except Invalid as error:
        raise Invalid.of("file", Fault.AS_TOLD, text=_about_the_file(error)) from error
    return Redirect(f"/admin/clients/imports/{started.import_id}")


@pages.get("/admin/clients/imports/{import_id}")
def follow_import(request: PageRequest, query: PageQuery, import_id: str) -> Page:
    """Show how far a file has come, and what is wrong with which row."""
    _total, errors, after = request.services.imports.rejected(import_id, query.place(), query.limit)
    return Page(
        "clients/imported.html",
        {
            "progress": request.services.imports.file(import_id),
            "import_id": import_id,
            "errors": errors,
            "first": not query.cursor,
            "next": query.following(after),
        },
    )


@pages.get("/admin/clients/imports/{import_id}/progress")
def follow_progress(request: PageRequest, import_id: str) -> Page:
    """The part of the page that is looked at again and again."""
    values = {"progress": request.services.imports.file(import_id), "import_id": import_id}
    return Page("clients/progress.html", values)


def _about_the_file(error: Invalid) -> str:
    told = [(one.field, wrong(one)) for one in error.errors]
    return "; ".join(_("the header %(told)s", told=text) if field == "header" else text for field, text in told)
