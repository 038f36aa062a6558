"""/api/clients/imports/: adding and changing many clients at once, from CSV."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr

from ..domain.client_files import ClientFile, RowError
from ..domain.errors import Conflict, NotFound
from ..domain.file_texts import FileText
from ..domain.import_columns import columns_told
from ..domain.imports import MOST_PARTS, MOST_ROWS_OF_A_FILE, FilePart, ImportOptions, Mode
from ..services.imported_files import ImportedFile, Status
from ..web.clients import Country, Tag
from ..web.fields import MomentOut, View, query_integer
from ..web.imports import MOST_COLUMNS, Separator
from ..web.paging import MAX_LIMIT, PageQuery
from ..web.parsing import CSV, MAX_CSV
from ..web.problems import TooLarge
from ..web.request import Request
from .routing import Created, Routes

routes = Routes("clients")


class ExpectedCounts(View):
    """What an import would do with the directory, as it was when the file was checked; the names are those of an
    import.
    """

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    opted_out: int = 0
    opted_in_again: int = 0
    opt_outs_kept: int = 0


class ImportView(View):
    """An import. `done` of the `accepted` rows have been `created` (new), `changed` or found `unchanged`.

    `opted_out` counts the clients whom the file opts out, new ones and rejected rows among them, `opted_in_again` those
    whom it opts in. `opt_outs_kept` counts clients who stayed opted out although the file said otherwise, because
    `allow_opt_in` was not set, or because they were opted out after the file was uploaded. `columns` says by the name
    of each column which field it is, "" if it is left out; `left_out` names those. `other_channels` counts Pinpoint's
    rows of mail and push, which are no `rows`. `encoding` and `separator` are those that the file was read with.
    `status` is `checked` if it is held and nothing is written yet, and `incomplete` if parts of the file have not come.
    `expected` has what the check of a held import found. With `for_mailing` its rows are for one mailing, and no
    clients: all of them are `created`.
    """

    id: str
    file_name: str
    status: Status
    rows: int
    accepted: int
    rejected: int
    done: int
    created: int
    changed: int
    unchanged: int
    opted_out: int
    opted_in_again: int
    opt_outs_kept: int
    other_channels: int
    encoding: str
    separator: str
    columns: dict[str, str]
    left_out: list[str]
    parts: int
    parts_received: int
    for_mailing: bool
    expected: ExpectedCounts
    created_by: str
    created_at: MomentOut

    @classmethod
    def of(cls, one: ImportedFile) -> ImportView:
        return cls(
            id=one.import_id,
            file_name=one.first.file_name,
            status=one.status,
            rows=one.rows,
            accepted=one.accepted,
            rejected=one.rejected,
            done=one.done,
            created=one.created,
            changed=one.changed,
            unchanged=one.unchanged,
            opted_out=one.opted_out,
            opted_in_again=one.opted_in_again,
            opt_outs_kept=one.opt_outs_kept,
            other_channels=one.other_channels,
            encoding=one.first.encoding,
            separator=one.first.separator,
            columns=dict(one.first.columns),
            left_out=list(one.left_out),
            parts=one.first.parts,
            parts_received=len(one.parts),
            for_mailing=one.first.for_mailing,
            expected=ExpectedCounts(**{name: one.expected(name) for name in ExpectedCounts.model_fields}),
            created_by=one.created_by,
            created_at=one.created_at,
        )


class RowErrorView(View):
    """A problem with a field of a row, and the `value` in its cell. Rows are counted as in a spreadsheet: the header is
    row 1.
    """

    row: int
    field: str
    value: str
    message: str

    @classmethod
    def of(cls, error: RowError) -> RowErrorView:
        return cls(row=error.row, field=error.field, value=error.value, message=error.message)


class RowErrorPage(View):
    """A page of problems, in the order of the file; `next` is the cursor of the next page."""

    total: int
    rows: list[RowErrorView]
    next: str | None


class ImportPage(View):
    """A page of imports; `next` is the cursor of the next page."""

    rows: list[ImportView]
    next: str | None


class ImportCheck(View):
    """What an import would do with a file. `expected` says what would happen to the directory. `columns` says for each
    column which field it is, "" if it is left out; `left_out` lists those. `encoding` and `separator` are those that
    the file was read with. `opted_out` counts the clients with an opt-out in the file. `errors` has the first 200
    problems.
    """

    rows: int
    accepted: int
    rejected: int
    opted_out: int
    other_channels: int
    expected: ExpectedCounts
    encoding: str
    separator: str
    columns: dict[str, str]
    left_out: list[str]
    errors: list[RowErrorView]

    @classmethod
    def of(cls, file: ClientFile, encoding: str) -> ImportCheck:
        return cls(
            rows=file.rows,
            accepted=file.rows - file.rejected,
            rejected=file.rejected,
            opted_out=sum(client.opted_out for client in file.clients) + len(file.opt_outs),
            other_channels=file.other_channels,
            expected=ExpectedCounts(**file.expected),
            encoding=encoding,
            separator=file.separator,
            columns=dict(file.columns),
            left_out=list(file.left_out),
            errors=[RowErrorView.of(one) for one in file.errors[:MAX_LIMIT]],
        )


class ImportQuery(BaseModel):
    """`mode` says what becomes of the fields of an existing client that the file has no value for: they stay
    (`update`), or get their defaults (`replace`, but an opt-out stays). `allow_opt_in=true` lets a row with `opted_out`
    false opt in somebody who had opted out. `country` is that of numbers without a country code (ISO 3166, two
    letters; the setting DEFAULT_COUNTRY if it is absent).

    Each `column` says which field a column is: a field (or `subscribed`, which is the opposite of `opted_out`), a colon
    and the column's name as it stands in the file, such as `phone_number:Mobile`; `:Plan` leaves the column Plan out.
    Columns that are not told of are taken by their names. `separator` is the sign between values, if what is found is
    wrong; `sheet` is the name of a workbook's sheet, the first one that is not hidden if it is absent. With
    `for_mailing=true` the numbers are for one mailing only, which names the import as its `clients.recipients`: no
    client is added or changed, and columns that are no field become values for its text.
    Everybody in the file gets the tag `add_tag` besides those that they have. With `hold=true` the file is
    checked and kept, and nothing is written until the import is started.

    A file that is too large for one upload comes in `parts`, each with the header, one after the other: `part_of` is
    the `id` of the first part, and `row_offset` what is added to a row's number to have that in the whole file. Later
    parts have the first one's `mode`, `allow_opt_in`, `country`, `add_tag`, columns and `file_name`, which is shown in
    the list of imports.
    """

    model_config = ConfigDict(extra="forbid")

    mode: Mode = Mode.UPDATE
    allow_opt_in: Literal["true", "false"] = "false"
    country: Country = ""
    add_tag: Tag = ""
    for_mailing: Literal["true", "false"] = "false"
    file_name: StrictStr = Field(default="", max_length=200)
    hold: Literal["true", "false"] = "false"
    column: list[StrictStr] = Field(default=[], max_length=MOST_COLUMNS)
    separator: Separator = ""
    sheet: StrictStr = Field(default="", max_length=100)
    part_of: StrictStr = Field(default="", max_length=26)
    row_offset: Annotated[int, BeforeValidator(query_integer), Field(ge=0, le=MOST_ROWS_OF_A_FILE)] = 0
    parts: Annotated[int, BeforeValidator(query_integer), Field(ge=1, le=MOST_PARTS)] = 1

    def options(self, encoding: str) -> ImportOptions:
        return ImportOptions(
            mode=self.mode,
            allow_opt_in=self.allow_opt_in == "true",
            country=self.country,
            add_tag=self.add_tag,
            for_mailing=self.for_mailing == "true",
            file_name=self.file_name,
            columns=columns_told(self.column),
            separator=self.separator,
            encoding=encoding,
            hold=self.hold == "true",
        )

    def part(self) -> FilePart:
        return FilePart(self.part_of, self.row_offset, self.parts)


@routes.route("POST", "/api/clients/imports", consumes=CSV, max_bytes=MAX_CSV, errors=(TooLarge, NotFound))
def import_clients(request: Request, query: ImportQuery, body: FileText) -> Created[ImportView]:
    """Import clients from CSV or JSON lines, as spreadsheets and other programs export them.

    The encoding (UTF-8, UTF-16, Windows-1251, Windows-1252; `charset` of the content type overrides it) and the
    separator are detected; gzip is unpacked. The header names the columns in any order: `phone_number`, and optionally
    any other field of a client, also in the usual spellings of other programs; other columns are left out and named in
    `left_out`. If a column is missing or a value is empty, an existing client keeps their value and a new client gets
    the default (`mode=replace`: so does an existing one). Clients who have opted out stay opted out, unless the row
    says `false` and the request says `allow_opt_in=true`. If a number comes twice and one row opts out, the opt-out
    counts, also in a row that is rejected and in another part of the file. Correct rows are written in the background,
    about 100,000 in half a minute; the answer says how many rows were rejected. Importing the same file again changes
    nothing.
    """
    started = request.services.imports.start(
        body.text, request.principal.username, query.options(body.encoding), query.part()
    )
    return Created(ImportView.of(ImportedFile([started])), f"/api/clients/imports/{started.import_id}")


@routes.route("POST", "/api/clients/imports/check", consumes=CSV, max_bytes=MAX_CSV, errors=(NotFound, TooLarge))
def check_import(request: Request, query: ImportQuery, body: FileText) -> ImportCheck:
    """Check a file without importing it (a dry run): what an import with the same query would take and reject."""
    found = request.services.imports.check(body.text, query.options(body.encoding), query.part())
    return ImportCheck.of(found, body.encoding)


@routes.route("GET", "/api/clients/imports")
def list_imports(request: Request, query: PageQuery) -> ImportPage:
    """List the imports of the last week, the latest first. A file of several parts is one."""
    files, after = request.services.imports.latest(query.place(), query.limit)
    return ImportPage(rows=[ImportView.of(one) for one in files], next=query.following(after))


@routes.route("GET", "/api/clients/imports/{import_id}", errors=(NotFound,))
def read_import(request: Request, import_id: str) -> ImportView:
    """Read the progress of an import: of all parts of a file, if its first is asked for. It is kept for a week."""
    return ImportView.of(request.services.imports.file(import_id))


@routes.route("POST", "/api/clients/imports/{import_id}/start", errors=(NotFound, Conflict))
def start_import(request: Request, import_id: str) -> ImportView:
    """Start writing a file that was uploaded with `hold=true`. If it was started before, nothing happens."""
    return ImportView.of(request.services.imports.release(import_id))


@routes.route("GET", "/api/clients/imports/{import_id}/rejected", errors=(NotFound,))
def list_rejected_rows(request: Request, import_id: str, query: PageQuery) -> RowErrorPage:
    """List the rejected rows of an import and why they were rejected."""
    total, errors, after = request.services.imports.rejected(import_id, query.place(), query.limit)
    return RowErrorPage(total=total, rows=[RowErrorView.of(one) for one in errors], next=query.following(after))
