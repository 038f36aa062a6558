"""The rows of an import as items: compressed, in parts that fit into an item, each row as its cells."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from ..domain.attributes import Attributes
from ..domain.client_files import ClientFile, RejectedRow, RowError
from ..domain.clients import CLIENT_FIELDS, Client, ClientFields, kept_client
from ..domain.faults import Fault

T = TypeVar("T")
_TAGS, _ATTRIBUTES = CLIENT_FIELDS.index("tags"), CLIENT_FIELDS.index("attributes")
_EXTERNAL_ID = CLIENT_FIELDS.index("external_id")


def parts_of(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Divide items into lists of `size`."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def parts_by_size(rows: Iterable[list[Any]], most_rows: int, most_characters: int) -> Iterator[list[list[Any]]]:
    """Divide rows into lists of at most so many rows and characters; a longer row is alone."""
    part: list[list[Any]] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row, ensure_ascii=False).encode())
        if part and (len(part) >= most_rows or size + length > most_characters):
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield part


def packed(rows: list[list[Any]]) -> str:
    """Rows as a compressed text."""
    return base64.b64encode(zlib.compress(json.dumps(rows, ensure_ascii=False).encode())).decode()


def unpacked(content: str) -> list[list[Any]]:
    """The rows of a compressed text."""
    rows: list[list[Any]] = json.loads(zlib.decompress(base64.b64decode(content)))
    return rows


def client_cells(client: Client, file: ClientFile) -> list[Any]:
    """The client's fields in order, None for those that the file does not set."""
    names = file.given.get(client.phone_number, frozenset(CLIENT_FIELDS))
    cells = [getattr(client, name) if name in names or name == "phone_number" else None for name in CLIENT_FIELDS]
    if "tags" in names and len(client.tags) < 2:
        cells[_TAGS] = client.tag  # the form of versions that know one tag only
    if "attributes" in names:
        cells[_ATTRIBUTES] = client.attributes.text
    elif client.attributes:
        cells[_ATTRIBUTES] = [client.attributes.text]  # added to those of an existing client
    if client.external_id or file.may_be_refused:  # with the row that may be rejected; 0 if it is not for this id
        row = 0 if client.phone_number in file.sharing else file.row_of.get(client.phone_number, 0)
        cells[_EXTERNAL_ID] = [client.external_id, row]
    return cells


def is_given(name: str, cell: Any) -> bool:
    """Whether a cell sets a field of an existing client."""
    return cell is not None and not (name == "external_id" and isinstance(cell, list) and not cell[0])


def row_of_cells(cells: list[Any]) -> int | None:
    """The number of the row, if it may be rejected later; 0 if not because of an external id, None if it has none."""
    given = cells[_EXTERNAL_ID] if len(cells) > _EXTERNAL_ID else None
    return given[1] if isinstance(given, list) else None


def attributes_cell(cells: list[Any]) -> Any:
    """The stored attributes: a text, or a list with a text if the client's others stay; None if there are none."""
    return cells[_ATTRIBUTES] if len(cells) > _ATTRIBUTES else None


def opt_out_cells(phone_number: str) -> list[Any]:
    """The cells of a number that is only opted out."""
    known = {"phone_number": phone_number, "opted_out": True}
    return [known.get(name) for name in CLIENT_FIELDS]


def client_of_cells(cells: list[Any], now: datetime) -> Client:
    """The client of these cells, with defaults for those that are None."""
    # An older version may have written fewer cells.
    given = {name: cell for name, cell in zip(CLIENT_FIELDS, cells, strict=False) if cell is not None}
    tags = given.pop("tags", ())
    text = given.pop("attributes", "")
    if "external_id" in given:
        given["external_id"] = given["external_id"][0] if given["external_id"] else ""
    attributes = Attributes(text[0] if isinstance(text, list) else text)
    return kept_client(ClientFields(**given, tags=_tags(tags), attributes=attributes), now)


def _tags(cell: str | list[str]) -> tuple[str, ...]:
    return tuple(cell) if not isinstance(cell, str) else (cell,) if cell else ()


def error_cells(error: RowError) -> list[Any]:
    """The error of a row, for storage."""
    values = {name: str(value) for name, value in error.values.items()}
    told = {"fault": error.fault.code, "values": values, "value": error.value}
    return [error.row, error.field, json.dumps(told)]


def row_error(row: int, field: str, told: str) -> RowError:
    """A stored error. An older version stored a sentence, which is shown as it is."""
    stored = json.loads(told) if told.startswith("{") else {}
    fault = Fault.__members__.get(str(stored.get("fault", "")).upper())
    if fault is None:
        return RowError(row, field, Fault.AS_TOLD, {"text": told})
    return RowError(row=row, field=field, fault=fault, values=stored["values"], value=stored.get("value", ""))


def reject_cells(one: RejectedRow) -> list[Any]:
    """A rejected row and its errors, for storage."""
    return [one.row, list(one.cells), [error_cells(error) for error in one.errors]]


def rejected_row(row: int, cells: list[str], errors: list[list[Any]]) -> RejectedRow:
    """A stored rejected row."""
    return RejectedRow(row, cells, [row_error(*error) for error in errors])
