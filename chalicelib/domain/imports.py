"""Importing clients from CSV: which rows are good, and what is wrong with the others."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from .clients import CLIENT_FIELDS, OPTIONAL_FIELDS, Client, ClientFields, new_client
from .csv_cells import unguarded
from .errors import FieldError, Invalid
from .faults import Fault
from .phone_numbers import normalize_phone

COLUMNS = CLIENT_FIELDS
# An export has these too; they say what was, not what is to be.
IGNORED_COLUMNS = frozenset({"id", "created_at", "updated_at"})
MAX_ROWS = 200_000
MOST_PARTS = 100
MOST_ROWS_OF_A_FILE = 50_000_000
_MAX_CELL = 200  # characters; no column has a longer value
_FLAGS = {"": False, "false": False, "no": False, "0": False, "true": True, "yes": True, "1": True}


@dataclass(frozen=True, slots=True)
class RowError:
    """A problem with a field of a row. Rows are counted as in a spreadsheet: the header is row 1."""

    row: int
    field: str
    fault: Fault
    values: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def message(self) -> str:
        """The sentence, in English."""
        return self.fault.sentence(self.values)


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
    rows: int = 0
    rejected: int = 0

    def reject(self, row: int, errors: Iterable[FieldError]) -> None:
        """Note what is wrong with a row."""
        self.rejected += 1
        self.errors += [RowError(row, one.field, one.fault, one.values) for one in errors]


def read_clients(
    text: str,
    now: datetime,
    options: ImportOptions | None = None,
    row_offset: int = 0,
    earlier: Callable[[Iterable[str]], Mapping[str, int]] = lambda _: {},
) -> ClientFile:
    """Read a file with a header and comma or semicolon. Raises Invalid if that says nothing of clients.

    Of several rows with one phone number the first is good, so that the same file always says the same; but an opt-out
    counts wherever it stands, also in a row that is rejected. `earlier` tells which numbers stand in which rows of the
    file's parts before this one.
    """
    lines = _numbered(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)))
    columns = _columns(lines)
    found = ClientFile()
    options = options or ImportOptions()
    opted_out: dict[str, None] = {}
    for place, cells in lines:
        number = place + row_offset
        if isinstance(cells, list) and not any(cells):
            continue
        found.rows += 1
        if found.rows > MAX_ROWS:
            raise Invalid.of("body", Fault.TOO_MANY_ROWS, most=MAX_ROWS)
        try:
            if isinstance(cells, csv.Error):
                raise Invalid.of("row", Fault.UNREADABLE_CSV, what=cells)
            values = {name: unguarded(cell.strip()) for name, cell in zip(columns, cells, strict=False)}
            opted_out |= dict.fromkeys(_opt_out(values, options.country))
            _check(values, columns, cells)
            client = _client(values, now, options.country)
            first = found.row_of.setdefault(client.phone_number, number)
            if first != number:
                raise Invalid.of("phone_number", Fault.NUMBER_IN_ANOTHER_ROW, row=first)
            found.clients.append(client)
            found.given[client.phone_number] = _given(values, options.mode)
        except Invalid as error:
            found.reject(number, error.errors)
    _leave_out(found, earlier(found.row_of))
    _opt_out_all(found, opted_out)
    return found


def _given(values: Mapping[str, str], mode: Mode) -> frozenset[str]:
    """The fields that a row sets of an existing client. No mode opts anybody in without a word about it."""
    given = frozenset(name for name, value in values.items() if value)
    return given | (OPTIONAL_FIELDS - {"opted_out"}) if mode is Mode.REPLACE else given


def _leave_out(found: ClientFile, earlier: Mapping[str, int]) -> None:
    """Reject the rows whose numbers stand in earlier parts of the file."""
    for number, row in earlier.items():
        mine = found.row_of.pop(number)
        found.reject(mine, [FieldError("phone_number", Fault.NUMBER_IN_ANOTHER_ROW, {"row": row})])
    if earlier:
        found.clients = [client for client in found.clients if client.phone_number not in earlier]
        found.errors.sort(key=lambda error: error.row)


def _opt_out_all(found: ClientFile, numbers: Iterable[str]) -> None:
    """Let every opt-out count that stands anywhere in the file."""
    opted_out = set(numbers)
    for place, client in enumerate(found.clients):
        if client.phone_number in opted_out and not client.opted_out:
            found.clients[place] = replace(client, opted_out=True)
            found.given[client.phone_number] |= {"opted_out"}
    good = {client.phone_number for client in found.clients}
    found.opt_outs = [number for number in numbers if number not in good]


def _opt_out(values: dict[str, str], country: str) -> set[str]:
    """The number that a row opts out, even if something else in the row is wrong."""
    if not _FLAGS.get(values.get("opted_out", "").lower()):
        return set()
    try:
        return {normalize_phone(values.get("phone_number", ""), country)}
    except Invalid:
        return set()


def _delimiter(text: str) -> str:
    header = text.lstrip("\r\n").partition("\n")[0]
    return ";" if header.count(";") > header.count(",") else ","


def _numbered(lines: Iterator[list[str]]) -> Iterator[tuple[int, list[str] | csv.Error]]:
    for number in itertools.count(1):
        try:
            yield number, next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, error


def _columns(lines: Iterator[tuple[int, list[str] | csv.Error]]) -> list[str]:
    header = next((cells for _, cells in lines if isinstance(cells, csv.Error) or any(cells)), [])
    if isinstance(header, csv.Error):
        raise Invalid.of("header", Fault.UNREADABLE_CSV, what=header)
    names = [name.strip().lower() for name in header]
    while names and not names[-1]:
        names.pop()
    unknown = [name for name in names if name not in COLUMNS and name not in IGNORED_COLUMNS]
    errors = [FieldError("header", Fault.UNKNOWN_COLUMN, {"name": repr(name[:80])}) for name in unknown[:20]]
    errors += [FieldError("header", Fault.COLUMN_TWICE, {"name": name}) for name in COLUMNS if names.count(name) > 1]
    if "phone_number" not in names:
        errors.append(FieldError("header", Fault.NO_PHONE_NUMBER_COLUMN, {"names": ", ".join(COLUMNS)}))
    if errors:
        raise Invalid(*errors)
    return names


def _check(values: Mapping[str, str], columns: list[str], cells: list[str]) -> None:
    if any(cells[len(columns) :]):
        raise Invalid.of("row", Fault.WRONG_NUMBER_OF_VALUES, given=len(cells), named=len(columns))
    for name, value in values.items():
        if len(value) > _MAX_CELL:
            raise Invalid.of(name, Fault.CELL_TOO_LONG, most=_MAX_CELL)


def _client(values: dict[str, str], now: datetime, country: str) -> Client:
    opted_out = _FLAGS.get(values.get("opted_out", "").lower())
    errors = () if opted_out is not None else (FieldError("opted_out", Fault.NOT_A_FLAG),)
    texts = {name: value for name, value in values.items() if name in COLUMNS and value and name != "opted_out"}
    try:
        client = new_client(ClientFields(**{"phone_number": "", **texts}, opted_out=bool(opted_out)), now, country)
    except Invalid as error:
        raise Invalid(*error.errors, *errors) from error
    if errors:
        raise Invalid(*errors)
    return client
