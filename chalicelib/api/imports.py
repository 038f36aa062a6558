"""/api/clients/imports/: adding and changing many clients at once, from CSV."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..domain.errors import NotFound
from ..domain.imports import RowError
from ..storage.imports import Import
from ..web.fields import MomentOut, View
from ..web.paging import PageQuery
from ..web.parsing import CSV, MAX_CSV
from ..web.problems import TooLarge
from ..web.request import Request
from .routing import Created, Routes

routes = Routes("clients")


class ImportView(View):
    """An import. `done` of the `accepted` rows have been created, changed or found unchanged.

    `opt_outs_kept` counts clients who stayed opted out although the file said otherwise, because `allow_opt_in` was
    not set.
    """

    id: str
    status: Literal["running", "finished"]
    rows: int
    accepted: int
    rejected: int
    done: int
    created: int
    changed: int
    unchanged: int
    opt_outs_kept: int
    created_by: str
    created_at: MomentOut

    @classmethod
    def of(cls, one: Import) -> ImportView:
        return cls(
            id=one.import_id,
            status="finished" if one.finished else "running",
            rows=one.rows,
            accepted=one.accepted,
            rejected=one.rejected,
            done=one.done,
            created=one.created,
            changed=one.changed,
            unchanged=one.unchanged,
            opt_outs_kept=one.opt_outs_kept,
            created_by=one.created_by,
            created_at=one.created_at,
        )


class RowErrorView(View):
    """A problem with a field of a row. Rows are counted as in a spreadsheet: the header is row 1."""

    row: int
    field: str
    message: str

    @classmethod
    def of(cls, error: RowError) -> RowErrorView:
        return cls(row=error.row, field=error.field, message=error.message)


class RowErrorPage(View):
    """A page of problems, in the order of the file; `next` is the cursor of the next page."""

    total: int
    rows: list[RowErrorView]
    next: str | None


class ImportQuery(BaseModel):
    """`allow_opt_in=true` lets a row with `opted_out` false opt in somebody who had opted out."""

    model_config = ConfigDict(extra="forbid")

    allow_opt_in: Literal["true", "false"] = "false"


@routes.route("POST", "/api/clients/imports", consumes=CSV, max_bytes=MAX_CSV, errors=(TooLarge,))
def import_clients(request: Request, query: ImportQuery, body: str) -> Created[ImportView]:
    """Import clients from a CSV file in UTF-8, separated by commas or semicolons.

    The header names the columns in any order: `phone_number`, and optionally any other field of a client
    (`opted_out` is true or false). If a column is missing or a value is empty, an existing client keeps their value and
    a new client gets the default. Clients who have opted out stay opted out, unless the row says `false` and the
    request says `allow_opt_in=true`. If a number comes twice and one row opts out, the opt-out counts. Correct rows
    are written in the background, about 100,000 in half a minute; the answer says how many rows were rejected.
    Importing the same file again changes nothing.
    """
    allowed = query.allow_opt_in == "true"
    started = request.services.imports.start(body, request.principal.username, allow_opt_in=allowed)
    return Created(ImportView.of(started), f"/api/clients/imports/{started.import_id}")


@routes.route("GET", "/api/clients/imports/{import_id}", errors=(NotFound,))
def read_import(request: Request, import_id: str) -> ImportView:
    """Read the progress of an import. It is kept for a week."""
    return ImportView.of(request.services.imports.get(import_id))


@routes.route("GET", "/api/clients/imports/{import_id}/rejected", errors=(NotFound,))
def list_rejected_rows(request: Request, import_id: str, query: PageQuery) -> RowErrorPage:
    """List the rejected rows of an import and why they were rejected."""
    total, errors, after = request.services.imports.rejected(import_id, query.place(), query.limit)
    return RowErrorPage(total=total, rows=[RowErrorView.of(one) for one in errors], next=query.following(after))
