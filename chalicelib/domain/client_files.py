"""What a file of clients holds: the clients of its good rows, and the errors of the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from .attributes import PREFIX, word_of
from .clients import SHARED_ID, Client
from .csv_rows import Row
from .errors import FieldError
from .faults import Fault
from .import_columns import SHARED
from .tags import cell_of

_MAX_TOLD = 80  # characters of a cell in an error
_MAX_KEPT, _MOST_KEPT = 500, 500  # characters of a cell, and cells, that are kept of a rejected row


@dataclass(frozen=True, slots=True)
class RowError:
    """A problem with a field of a row. Rows are counted as in a spreadsheet: the header is row 1."""

    row: int
    field: str
    fault: Fault
    values: Mapping[str, object] = dataclasses.field(default_factory=dict)
    value: str = ""  # the cell, or the beginning of it

    @classmethod
    def of(cls, row: int, error: FieldError, value: str) -> RowError:
        """The error of a row whose cell has this value."""
        return cls(row=row, field=error.field, fault=error.fault, values=error.values, value=value[:_MAX_TOLD])

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


@dataclass(slots=True)
class ClientFile:
    """What a file holds: the clients of its good rows, and of each bad row everything that is wrong."""

    clients: list[Client] = field(default_factory=list)
    # By phone number: the fields that the row sets. An existing client keeps the others.
    given: dict[str, frozenset[str]] = field(default_factory=dict)
    # Numbers that are opted out by a rejected row: the opt-out counts all the same.
    opt_outs: list[str] = field(default_factory=list)
    row_of: dict[str, int] = field(default_factory=dict)
    row_of_id: dict[str, int] = field(default_factory=dict)  # by external id
    # Numbers whose external id several people may have. If they do, it becomes an attribute instead.
    sharing: set[str] = field(default_factory=set)
    may_be_refused: bool = False  # any row, when it is written, even if it has no external id
    errors: list[RowError] = field(default_factory=list)
    rejects: list[RejectedRow] = field(default_factory=list)
    header: Sequence[str] = ()
    rows: int = 0
    rejected: int = 0
    other_channels: int = 0  # rows of Pinpoint with an address for e-mail or push
    left_out: Sequence[str] = ()  # columns that match no field
    columns: Mapping[str, str] = field(default_factory=dict)  # column name to field, "" if left out
    separator: str = ""  # "" of JSON lines
    expected: Mapping[str, int] = field(default_factory=dict)  # what an import would do, if the caller asked

    @property
    def attribute_names(self) -> set[str]:
        """The attributes that any row sets or may set."""
        distinct = frozenset().union(*set(self.given.values()))
        names = {name.removeprefix(PREFIX) for name in distinct if name.startswith(PREFIX)}
        return names | {SHARED_ID} if self.sharing else names

    def reject(self, row: int, errors: Iterable[FieldError], cells: Mapping[str, str], all_cells: Row) -> None:
        """Add a rejected row: its errors, its cells by field, and all its cells."""
        self.rejected += 1
        told = [RowError.of(row, one, cells.get(one.field, "")) for one in errors]
        self.errors += told
        kept = [cell[:_MAX_KEPT] for cell in all_cells[:_MOST_KEPT]] if isinstance(all_cells, list) else []
        self.rejects.append(RejectedRow(row, kept, told))

    def reject_clients(self, errors: Mapping[str, FieldError]) -> None:
        """Reject rows that were good, by their numbers. Their opt-outs still count."""
        for client in self.clients:
            number = client.phone_number
            if number in errors:
                rejected = rejected_row(
                    self.row_of.pop(number), client, self.given[number], errors[number], self.header, self.columns
                )
                self.row_of_id.pop(client.external_id, None)
                self.rejected += 1
                self.errors += rejected.errors
                self.rejects.append(rejected)
                if client.opted_out and "opted_out" in self.given[number]:
                    self.opt_outs.append(number)
        self.clients = [client for client in self.clients if client.phone_number not in errors]
        self.errors.sort(key=lambda error: error.row)
        self.rejects.sort(key=lambda reject: reject.row)


def rejected_row(
    row: int, client: Client, given: Set[str], error: FieldError, header: Sequence[str], columns: Mapping[str, str]
) -> RejectedRow:
    """A row that was good at first, with the cells of the fields that it gave: the others are not known any more."""
    cells = [""] * len(header)
    for place, field_name in enumerate(columns.get(name, "") for name in header):
        known = "tags" if field_name == "tag" else field_name
        if known in given or field_name == "phone_number" or (field_name == SHARED and client.external_id):
            cells[place] = _cell(client, field_name)
            given -= {field_name}  # if two columns have it, only the first
    return RejectedRow(row, cells, [RowError.of(row, error, _cell(client, error.field))])


def _cell(client: Client, field_name: str) -> str:
    if field_name.startswith(PREFIX):
        return word_of(client.attributes[field_name.removeprefix(PREFIX)])
    if field_name == "tags":
        return cell_of(client.tags)
    value = client.external_id if field_name == SHARED else getattr(client, field_name)
    return str(value).lower() if isinstance(value, bool) else str(value)
