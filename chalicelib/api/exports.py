"""/api/clients/export/ and /api/messages/export/: lists as CSV, page by page."""

from __future__ import annotations

from ..domain.errors import NotFound
from ..web.exports import ClientExportQuery, MessageExportQuery, RejectedQuery, clients_csv, messages_csv, rejected_csv
from ..web.parsing import CSV
from ..web.request import Request, Text
from .routing import Header, Routes

routes = Routes("exports")
LINK = Header("Link", 'The next page, as `<…>; rel="next"`; absent on the last one.')
NAME = Header("Content-Disposition", "A name for the file.")


@routes.route("GET", "/api/clients/export", produces=CSV, answers=(LINK, NAME))
def export_clients(request: Request, query: ClientExportQuery) -> Text:
    """Get a page of clients as CSV.

    The first page starts with the column names. The header `Link` gives the next page, if there is one; put together,
    the pages are one file, which can be imported again. Cells that a spreadsheet would run as a formula start with an
    apostrophe.
    """
    return clients_csv(request, query, "/api/clients/export")


@routes.route("GET", "/api/messages/export", errors=(NotFound,), produces=CSV, answers=(LINK, NAME))
def export_messages(request: Request, query: MessageExportQuery) -> Text:
    """Get a page of a mailing's messages as CSV, in pages like the export of clients. A page may be short or empty."""
    return messages_csv(request, query, "/api/messages/export")


@routes.route(
    "GET",
    "/api/clients/imports/{import_id}/rejected/export",
    errors=(NotFound,),
    produces=CSV,
    answers=(LINK, NAME),
)
def export_rejected_rows(request: Request, query: RejectedQuery, import_id: str) -> Text:
    """Get a page of the rejected rows of an import as CSV, as they are in the file, with their row numbers and
    problems.

    Correct them and import the file again: the columns `rejected_row` and `problem` are ignored.
    """
    path = f"/api/clients/imports/{import_id}/rejected/export"
    return rejected_csv(request, query, path, import_id, lambda error: error.message)
