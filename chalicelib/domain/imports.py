"""Importing clients from CSV: which rows are good, and what is wrong with the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from .attributes import PREFIX, value_of
from .client_files import ClientFile
from .clients import CLIENT_FIELDS, OPTIONAL_FIELDS, SHARED_ID, Client, ClientFields, new_client, sharing_its_id
from .csv_cells import unguarded
from .csv_rows import Row, is_blank, rows_of, separator_of
from .errors import FieldError, Invalid
from .faults import Fault
from .import_columns import SHARED, Columns, columns_of
from .json_rows import is_json_lines, json_rows
from .listmonk_rows import unfolded
from .phone_numbers import normalize_phone
from .tags import check_tag, check_tags, led_by, tags_of
from .zone_names import zone_named

COLUMNS = CLIENT_FIELDS
MAX_ROWS = 200_000
MOST_PARTS = 100
MOST_ROWS_OF_A_FILE = 50_000_000
_ID = "id:"
_MAX_CELL = 200  # characters; only the column of all tags may be longer
_MAX_TAGS = 20_000  # characters; a JSON list may write each character as an escape


class Mode(StrEnum):
    """What happens to an existing client's fields for which the file has no value."""

    UPDATE = "update"  # they stay
    REPLACE = "replace"  # they get their defaults, except for an opt-out


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The choices of the person who imports a file."""

    mode: Mode = Mode.UPDATE
    allow_opt_in: bool = False
    country: str = ""  # of numbers without a country code
    file_name: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)  # column name to field, "" to leave the column out
    separator: str = ""  # between values; "" to detect it
    encoding: str = ""  # of the file
    hold: bool = False  # start later, after the person has seen what would change
    for_mailing: bool = False  # whether its rows are recipients of one mailing, not clients
    add_tag: str = ""  # a tag for everybody in the file, besides the tags that they have


@dataclass(frozen=True, slots=True)
class FilePart:
    """The place of an upload in a file of several parts: the first part's import, and what comes before.

    Adding `row_offset` to the number of a row in the upload gives its number in the file.
    """

    of: str = ""
    row_offset: int = 0
    parts: int = 1

    @property
    def is_all(self) -> bool:
        """Whether the upload is the whole file."""
        return self.parts == 1 and not self.of


def read_clients(
    text: str,
    now: datetime,
    options: ImportOptions | None = None,
    row_offset: int = 0,
    earlier: Callable[[Iterable[str]], Mapping[str, int]] = lambda _: {},
) -> ClientFile:
    """Read a CSV file with a header, or JSON lines. Raises Invalid if the header names no phone numbers.

    If several rows have the same phone number, the first one counts, so that the same file always gives the same
    result; but an opt-out counts in any row, even a rejected one. `earlier` has the rows of numbers and external ids in
    earlier parts of the file, by the keys of `places_of`.
    """
    options = options or ImportOptions()
    separator = "" if is_json_lines(text) else options.separator or separator_of(text)
    lines = unfolded(rows_of(text, separator)) if separator else json_rows(text)
    # A later part of a JSON lines file may lack a field that the first part has.
    columns = columns_of(_header(lines), options.columns, all_there=not row_offset, for_mailing=options.for_mailing)
    found = ClientFile(
        may_be_refused=bool(options.add_tag),
        left_out=columns.left_out,
        columns=columns.names,
        separator=separator,
        header=columns.header,
    )
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
            _take(found, number, *_read_row(cells, columns, options, now, opted_out))
        except Invalid as error:
            found.reject(number, error.errors, columns.values(cells) if isinstance(cells, list) else {}, cells)
    _leave_out(found, earlier(places_of(found)))
    _opt_out_all(found, opted_out)
    return found


def _read_row(
    cells: Row, columns: Columns, options: ImportOptions, now: datetime, opted_out: dict[str, None]
) -> tuple[Client, frozenset[str], bool]:
    """The client of a row, the fields that it sets, and whether others may have the same external id.

    Raises Invalid with everything that is wrong.

    A number that the row opts out is added to `opted_out`, whatever else is wrong. No mode opts anybody in unless the
    row says so.
    """
    if isinstance(cells, FieldError):
        raise Invalid(cells)
    stripped = {name: cell.strip() for name, cell in columns.values(cells).items()}
    attributes = {
        name.removeprefix(PREFIX): value_of(cell) for name, cell in stripped.items() if cell and name.startswith(PREFIX)
    }
    values = {name: unguarded(cell) for name, cell in stripped.items() if not name.startswith(PREFIX)}
    values.pop("opted_out", None)
    shared = values.pop(SHARED, "")
    if shared and values.get("external_id"):
        attributes.setdefault(SHARED_ID, shared)
        shared = ""
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
    tags: tuple[str, ...] = ()
    try:
        tags = _tags(values.pop("tag", ""), values.pop("tags", ""))
    except Invalid as error:
        errors += error.errors
    texts = {name: value for name, value in (*values.items(), ("external_id", shared)) if value}
    given = frozenset((*texts, *(PREFIX + name for name in attributes)))
    given |= {name for name, said in (("tags", tags), ("opted_out", out is not None)) if said}
    try:
        fields = ClientFields(**{"phone_number": "", **texts}, tags=tags, opted_out=bool(out), attributes=attributes)
        client = new_client(fields, now, options.country)
    except Invalid as error:
        raise Invalid(*error.errors, *errors) from error
    if errors:
        raise Invalid(*errors)
    if options.mode is Mode.REPLACE:
        given |= OPTIONAL_FIELDS - {"opted_out"}
    return client, given, bool(shared)


def _take(found: ClientFile, row: int, client: Client, given: frozenset[str], shares: bool) -> None:
    """Add a good row. Raises Invalid if an earlier row has its number, or an external id that cannot be shared."""
    number, external_id = client.phone_number, client.external_id
    if number in found.row_of:
        raise Invalid.of("phone_number", Fault.NUMBER_IN_ANOTHER_ROW, row=found.row_of[number])
    if external_id in found.row_of_id:
        if not shares:
            raise Invalid.of("external_id", Fault.EXTERNAL_ID_IN_ANOTHER_ROW, row=found.row_of_id[external_id])
        client, given = sharing_its_id(client, given)
    elif external_id:
        found.row_of_id[external_id] = row
    if shares:
        found.sharing.add(number)
    found.row_of[number] = row
    found.clients.append(client)
    found.given[number] = given


def places_of(file: ClientFile) -> dict[str, int]:
    """The row of each phone number of a file, and of each external id, with `id:` in front."""
    return file.row_of | {_ID + external_id: row for external_id, row in file.row_of_id.items()}


def _leave_out(found: ClientFile, earlier: Mapping[str, int]) -> None:
    """Reject the rows whose numbers or external ids are in earlier parts of the file."""
    errors: dict[str, FieldError] = {}
    for place, client in enumerate(found.clients if earlier else ()):
        number, of_id = client.phone_number, earlier.get(_ID + client.external_id)
        if number in earlier:
            errors[number] = FieldError("phone_number", Fault.NUMBER_IN_ANOTHER_ROW, {"row": earlier[number]})
        elif of_id and number in found.sharing:
            found.row_of_id.pop(client.external_id)
            found.clients[place], found.given[number] = sharing_its_id(client, found.given[number])
        elif of_id:
            errors[number] = FieldError("external_id", Fault.EXTERNAL_ID_IN_ANOTHER_ROW, {"row": of_id})
    found.reject_clients(errors)


def _tags(first: str, all_of_them: str) -> tuple[str, ...]:
    """The tags of a row, from the cells of the columns `tag` and `tags`.

    Raises Invalid with what is wrong in either.
    """
    tag = check_tag(first)
    return check_tags(led_by(tag, check_tags(tags_of(all_of_them)) if all_of_them else [tag]))


def _opt_out_all(found: ClientFile, numbers: Iterable[str]) -> None:
    """Let every opt-out in the file count."""
    opted_out = set(numbers)
    for place, client in enumerate(found.clients):
        if client.phone_number in opted_out and not client.opted_out:
            found.clients[place] = replace(client, opted_out=True)
            found.given[client.phone_number] |= {"opted_out"}
    good = {client.phone_number for client in found.clients}
    found.opt_outs = [number for number in numbers if number not in good]


def _number(values: Mapping[str, str], country: str) -> set[str]:
    """The number of a row, if it can be read."""
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
        most = _MAX_TAGS if name == "tags" else _MAX_CELL
        if len(value) > most:
            raise Invalid.of(name, Fault.CELL_TOO_LONG, most=most)
