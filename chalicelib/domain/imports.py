"""Importing clients from CSV: which rows are good, and what is wrong with the others."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from .attributes import PREFIX, value_of
from .clients import CLIENT_FIELDS, OPTIONAL_FIELDS, Client, ClientFields, new_client
from .csv_cells import unguarded
from .csv_rows import Row, is_blank, rows_of, separator_of
from .errors import FieldError, Invalid
from .faults import Fault
from .import_columns import Columns, columns_of
from .json_rows import is_json_lines, json_rows
from .listmonk_rows import unfolded
from .phone_numbers import normalize_phone
from .zone_names import zone_named

COLUMNS = CLIENT_FIELDS
MAX_ROWS = 200_000
MOST_PARTS = 100
MOST_ROWS_OF_A_FILE = 50_000_000
_MAX_TOLD = 80  # characters of a cell that is told
_MAX_KEPT, _MOST_KEPT = 500, 500  # characters of a cell, and cells of a row, that are kept of a rejected row
_MAX_CELL = 200  # characters; no column has a longer value


@dataclass(frozen=True, slots=True)
class RowError:
    """A problem with a field of a row. Rows are counted as in a spreadsheet: the header is row 1."""

    row: int
    field: str
    fault: Fault
    values: Mapping[str, object] = dataclasses.field(default_factory=dict)
    value: str = ""  # what stands in the cell, or the beginning of it

    @property
    def message(self) -> str:
        """The sentence, in English."""
        return self.fault.sentence(self.values)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row as it stands in the file, as far as it could be read, and everything that is wrong with it."""

    row: int
    cells: Sequence[str]
    errors: Sequence[RowError]


class Mode(StrEnum):
    """What becomes of an existing client's fields that the file has no value for."""

    UPDATE = "update"  # they stay
    REPLACE = "replace"  # they get their defaults, but for an opt-out


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What whoever imports a file wants."""

    mode: Mode = Mode.UPDATE
    allow_opt_in: bool = False
    country: str = ""  # of numbers without a country code
    file_name: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)  # by its name, the field of a column, "" to leave it out
    separator: str = ""  # of values, if it is not to be found out
    encoding: str = ""  # that the file was in
    hold: bool = False  # until they have seen what would become of it


@dataclass(frozen=True, slots=True)
class FilePart:
    """Where an upload stands in a file of several parts: which import has the first, and what comes before its rows.

    `row_offset` is what is added to the number of a row in the upload to have its number in the file.
    """

    of: str = ""
    row_offset: int = 0
    parts: int = 1

    @property
    def is_all(self) -> bool:
        """Whether the upload is the whole file."""
        return self.parts == 1 and not self.of


@dataclass(slots=True)
class ClientFile:
    """What a file holds: the clients of its good rows, and of each bad row everything that is wrong."""

    clients: list[Client] = field(default_factory=list)
    # By phone number, the fields that are set of an existing client; the others stay.
    given: dict[str, frozenset[str]] = field(default_factory=dict)
    # Numbers that an opt-out stands at, but no good row: they are opted out all the same.
    opt_outs: list[str] = field(default_factory=list)
    row_of: dict[str, int] = field(default_factory=dict)
    errors: list[RowError] = field(default_factory=list)
    rejects: list[RejectedRow] = field(default_factory=list)
    header: Sequence[str] = ()
    rows: int = 0
    rejected: int = 0
    other_channels: int = 0  # rows of addresses of mail or push, which Pinpoint has beside numbers
    left_out: Sequence[str] = ()  # columns that no field is
    columns: Mapping[str, str] = field(default_factory=dict)  # by its name, the field of each column, or ""
    separator: str = ""  # "" of JSON lines
    expected: Mapping[str, int] = field(default_factory=dict)  # what an import would do, if that was asked for

    @property
    def attribute_names(self) -> set[str]:
        """The attributes that any row sets."""
        distinct = frozenset().union(*set(self.given.values()))
        return {name.removeprefix(PREFIX) for name in distinct if name.startswith(PREFIX)}

    def reject(self, row: int, errors: Iterable[FieldError], cells: Mapping[str, str], all_cells: Row) -> None:
        """Note what is wrong with a row, by the fields in its cells, and what stands in all of them."""
        self.rejected += 1
        told = [RowError(row, one.field, one.fault, one.values, cells.get(one.field, "")[:_MAX_TOLD]) for one in errors]
        self.errors += told
        kept = [cell[:_MAX_KEPT] for cell in all_cells[:_MOST_KEPT]] if isinstance(all_cells, list) else []
        self.rejects.append(RejectedRow(row, kept, told))


def read_clients(
    text: str,
    now: datetime,
    options: ImportOptions | None = None,
    row_offset: int = 0,
    earlier: Callable[[Iterable[str]], Mapping[str, int]] = lambda _: {},
) -> ClientFile:
    """Read a CSV file with a header, or JSON lines. Raises Invalid if that says nothing of clients.

    Of several rows with one phone number the first is good, so that the same file always says the same; but an opt-out
    counts wherever it stands, also in a row that is rejected. `earlier` tells which numbers stand in which rows of the
    file's parts before this one.
    """
    options = options or ImportOptions()
    separator = "" if is_json_lines(text) else options.separator or separator_of(text)
    lines = unfolded(rows_of(text, separator)) if separator else json_rows(text)
    # A later part of JSON lines may lack a field that the first one has.
    columns = columns_of(_header(lines), options.columns, all_there=not row_offset)
    found = ClientFile(left_out=columns.left_out, columns=columns.names, separator=separator, header=columns.header)
    opted_out: dict[str, None] = {}
    for place, cells in lines:
        if isinstance(cells, list) and columns.is_blank(cells):
            continue
        if isinstance(cells, list) and columns.is_of_other_channel(cells):
            found.other_channels += 1
            continue
        found.rows += 1
        if found.rows > MAX_ROWS:
            raise Invalid.of("body", Fault.TOO_MANY_ROWS, most=MAX_ROWS)
        number = place + row_offset
        try:
            client, given = _read_row(cells, columns, options, now, opted_out)
            first = found.row_of.setdefault(client.phone_number, number)
            if first != number:
                raise Invalid.of("phone_number", Fault.NUMBER_IN_ANOTHER_ROW, row=first)
            found.clients.append(client)
            found.given[client.phone_number] = given
        except Invalid as error:
            found.reject(number, error.errors, columns.values(cells) if isinstance(cells, list) else {}, cells)
    _leave_out(found, earlier(found.row_of), columns)
    _opt_out_all(found, opted_out)
    return found


def _read_row(
    cells: Row, columns: Columns, options: ImportOptions, now: datetime, opted_out: dict[str, None]
) -> tuple[Client, frozenset[str]]:
    """The client of a row, and the fields that it sets. Raises Invalid with everything that is wrong.

    A number that it opts out is added to `opted_out`, whatever else is wrong. No mode opts anybody in without a word.
    """
    if isinstance(cells, FieldError):
        raise Invalid(cells)
    stripped = {name: cell.strip() for name, cell in columns.values(cells).items()}
    attributes = {
        name.removeprefix(PREFIX): value_of(cell) for name, cell in stripped.items() if cell and name.startswith(PREFIX)
    }
    values = {name: unguarded(cell) for name, cell in stripped.items() if not name.startswith(PREFIX)}
    values.pop("opted_out", None)
    if re.fullmatch(r"[0-9]{3}\.0", values.get("operator", "")):  # as pandas writes it
        values["operator"] = values["operator"][:3]
    if values.get("timezone"):
        values["timezone"] = zone_named(values["timezone"])
    errors: tuple[FieldError, ...] = ()
    out: bool | None = None
    try:
        out = columns.opted_out(cells)
    except Invalid as error:
        errors = error.errors
    if out:
        opted_out |= dict.fromkeys(_number(values, options.country))
    _check(values, columns, cells)
    texts = {name: value for name, value in values.items() if value}
    given = frozenset((*texts, *(PREFIX + name for name in attributes))) | ({"opted_out"} if out is not None else set())
    try:
        fields = ClientFields(**{"phone_number": "", **texts}, opted_out=bool(out), attributes=attributes)
        client = new_client(fields, now, options.country)
    except Invalid as error:
        raise Invalid(*error.errors, *errors) from error
    if errors:
        raise Invalid(*errors)
    return client, given | (OPTIONAL_FIELDS - {"opted_out"}) if options.mode is Mode.REPLACE else given


def _leave_out(found: ClientFile, earlier: Mapping[str, int], columns: Columns) -> None:
    """Reject the rows whose numbers stand in earlier parts of the file."""
    clients = {client.phone_number: client for client in found.clients} if earlier else {}
    for number, row in earlier.items():
        mine = found.row_of.pop(number)
        error = FieldError("phone_number", Fault.NUMBER_IN_ANOTHER_ROW, {"row": row})
        found.reject(mine, [error], {"phone_number": number}, _cells_of(clients[number], found, columns))
    if earlier:
        found.clients = [client for client in found.clients if client.phone_number not in earlier]
        found.errors.sort(key=lambda error: error.row)
        found.rejects.sort(key=lambda reject: reject.row)


def _cells_of(client: Client, found: ClientFile, columns: Columns) -> list[str]:
    """A row with the fields that it gave: what else it had is not known any more."""
    given = found.given[client.phone_number] | {"phone_number"}
    named = {place: name for name, place in columns.places.items() if name in given}
    values = [str(getattr(client, named[place])) if place in named else "" for place in range(len(columns.header))]
    return [value.lower() if value in ("True", "False") else value for value in values]


def _opt_out_all(found: ClientFile, numbers: Iterable[str]) -> None:
    """Let every opt-out count that stands anywhere in the file."""
    opted_out = set(numbers)
    for place, client in enumerate(found.clients):
        if client.phone_number in opted_out and not client.opted_out:
            found.clients[place] = replace(client, opted_out=True)
            found.given[client.phone_number] |= {"opted_out"}
    good = {client.phone_number for client in found.clients}
    found.opt_outs = [number for number in numbers if number not in good]


def _number(values: Mapping[str, str], country: str) -> set[str]:
    """The number of a row, none if it cannot be read."""
    try:
        return {normalize_phone(values.get("phone_number", ""), country)}
    except Invalid:
        return set()


def _header(lines: Iterator[tuple[int, Row]]) -> list[str]:
    header = next((cells for _, cells in lines if not (isinstance(cells, list) and is_blank(cells))), [])
    if isinstance(header, FieldError):
        raise Invalid(FieldError("header", header.fault, header.values))
    return header


def _check(values: Mapping[str, str], columns: Columns, cells: list[str]) -> None:
    if any(cell.strip() for cell in cells[len(columns.header) :]):
        raise Invalid.of("row", Fault.WRONG_NUMBER_OF_VALUES, given=len(cells), named=len(columns.header))
    for name, value in values.items():
        if len(value) > _MAX_CELL:
            raise Invalid.of(name, Fault.CELL_TOO_LONG, most=_MAX_CELL)
