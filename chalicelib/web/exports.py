"""Lists of clients and messages as CSV, page by page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from pydantic import BeforeValidator, Field, StrictStr

from ..domain.attributes import MOST_NAMES, PREFIX, cell_of
from ..domain.audit import Act, AuditAction, AuditEntry, AuditObject, Value
from ..domain.client_files import RowError
from ..domain.clients import CLIENT_FIELDS, Client
from ..domain.csv_cells import guarded, write_rows
from ..domain.deliveries import delivery_status_of
from ..domain.import_columns import REJECTED_COLUMNS
from ..domain.messages import Message
from ..domain.statuses import MessageStatus
from ..domain.tags import cell_of as cell_of_tags
from ..wording import reason_text
from .audit import AuditQuery
from .clients import ClientQuery
from .fields import query_integer
from .paging import PageQuery
from .parsing import CSV
from .request import Request, Text

# Lambda's answers have at most 6 MB; a row of a client has up to 300 bytes, of a message up to 500.
MAX_ROWS = 5_000
_MOST_CLIENTS = 1_500  # on a page; with all tags and attributes a row may have 3,900 bytes
_SAID = tuple(
    name for one in CLIENT_FIELDS if one != "attributes" for name in (("tag", "tags") if one == "tags" else (one,))
)
_CLIENT_COLUMNS = ("id", *_SAID, "created_at", "updated_at")
_MESSAGE_COLUMNS = (
    "id",
    "client",
    "phone_number",
    "status",
    "reason",
    "attempts",
    "start_date",
    "sent_at",
    "due_at",
    "reason_code",
    "delivery",
    "delivered_at",
    "delivery_reason_code",
    "parts",
    "price",
    "mailing",
)
_AUDIT_COLUMNS = ("at", "user", "action", "object", "object_id", "name", "changes", "count")

RowLimit = Annotated[int, BeforeValidator(query_integer), Field(ge=1, le=MAX_ROWS)]


class ClientExportQuery(ClientQuery):
    """The filters of the list of clients. `attributes` is how many of all attributes have a column: the link to the
    next page has it, so that all pages have the same columns.
    """

    limit: RowLimit = 1_000
    attributes: Annotated[int, BeforeValidator(query_integer), Field(ge=0, le=MOST_NAMES)] | None = None


class MessageExportQuery(PageQuery):
    """The messages of a mailing, optionally of one status."""

    limit: RowLimit = 1_000
    mailing: StrictStr = Field(max_length=100)
    status: MessageStatus | None = None


class AuditExportQuery(AuditQuery):
    """The filters of the audit log."""

    limit: Annotated[int, BeforeValidator(query_integer), Field(ge=1, le=1_000)] = 500  # a row may have some KB


class RejectedQuery(PageQuery):
    """How many rejected rows are wanted, at most."""

    limit: Annotated[int, BeforeValidator(query_integer), Field(ge=1, le=1_000)] = 500  # a row may have 10 KB


def clients_csv(request: Request, query: ClientExportQuery, path: str) -> Text:
    """A page of clients, with a link to the next one at this path."""
    limit = min(query.limit, _MOST_CLIENTS)
    clients, after = request.services.clients.list(query.segment(), query.place(), limit)
    names = request.services.clients.attribute_names(query.attributes)
    # All pages have the columns of the first.
    query = query.model_copy(update={"attributes": len(names)})
    query.model_fields_set.add("attributes")
    columns = (*_CLIENT_COLUMNS, *(PREFIX + name for name in names))
    cells = (_client_cells(client, names) for client in clients)
    _note(request, query, AuditObject.CLIENTS, lambda: request.services.clients.count(query.segment()))
    return _page(request, query, path, "clients", columns, cells, after)


def messages_csv(request: Request, query: MessageExportQuery, path: str) -> Text:
    """A page of messages, with a link to the next one at this path."""
    found = request.services.messages.search(query.mailing, None, query.status, query.place(), query.limit)
    now = request.services.clock.now()
    mailing = found.mailings.get(query.mailing)  # None if it does not exist: then there are no messages
    title = guarded(mailing.title) if mailing else ""
    cells = ([*_message_cells(message, now), title] for message in found.rows)
    _note(request, query, AuditObject.MAILING, lambda: found.total, query.mailing)
    return _page(request, query, path, "messages", _MESSAGE_COLUMNS, cells, found.cursor)


def rejected_csv(
    request: Request, query: RejectedQuery, path: str, import_id: str, told: Callable[[RowError], str]
) -> Text:
    """A page of an import's rejected rows, with a link to the next one at this path.

    `told` makes the text of an error.
    """
    header, rejected, after = request.services.imports.rejects(import_id, query.place(), query.limit)
    # The columns of an earlier file of rejected rows are not written twice.
    own = [place for place, name in enumerate(header) if name not in REJECTED_COLUMNS]
    columns = [*REJECTED_COLUMNS, *(header[place] for place in own)]
    cells = (
        [
            str(one.row),
            guarded("; ".join(f"{error.field} {told(error)}" for error in one.errors)),
            *(_as_it_was(one.cells[place]) if place < len(one.cells) else "" for place in own),
        ]
        for one in rejected
    )
    return _page(request, query, path, "rejected", columns, cells, after)


def audit_csv(request: Request, query: AuditExportQuery, path: str) -> Text:
    """A page of the audit log, with a link to the next one at this path."""
    entries, after = request.services.audit.list(query.wanted, query.place(), query.limit)
    _note(request, query, AuditObject.AUDIT)
    return _page(request, query, path, "audit", _AUDIT_COLUMNS, map(_audit_cells, entries), after)


def _note(
    request: Request,
    query: PageQuery,
    what: AuditObject,
    count: Callable[[], int | None] = lambda: None,
    object_id: str = "",
) -> None:
    """Note in the audit log that an export of about so many rows began."""
    if not query.cursor:
        request.services.audit.put(Act(AuditAction.EXPORTED, what, object_id, count=count()))


def _as_it_was(cell: str) -> str:
    return cell if re.fullmatch(r"\+?[0-9]*", cell) else guarded(cell)


def _page(
    request: Request,
    query: PageQuery,
    path: str,
    name: str,
    columns: Iterable[str],
    rows: Iterable[Iterable[str]],
    after: str,
) -> Text:
    header = [] if query.cursor else [columns]
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    if after:
        filters = query.model_dump(mode="json", exclude_unset=True, exclude={"cursor"})
        parameters = urlencode({**filters, "cursor": query.following(after)}, doseq=True)
        headers["Link"] = f'<{request.link(path)}?{parameters}>; rel="next"'
    return Text(write_rows([*header, *rows]), f"{CSV}; charset=utf-8", headers)


def _client_cells(client: Client, names: Sequence[str]) -> list[str]:
    said = [_cell(name, cell_of_tags(client.tags) if name == "tags" else getattr(client, name)) for name in _SAID]
    noted = [cell_of(client.attributes[name]) if name in client.attributes else "" for name in names]
    return [client.client_id, *said, _moment(client.created_at), _moment(client.updated_at), *noted]


def _cell(name: str, value: str | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if name == "phone_number" else guarded(value)  # a number keeps its plus: only digits follow it


def _message_cells(message: Message, now: datetime) -> list[str]:
    told = message.delivery
    return [
        message.message_id,
        message.client_id,
        message.phone_number,
        str(message.status),
        guarded(reason_text(message.cause)),
        str(len(message.attempts)),
        _moment(message.created_at),
        _moment(message.sent_at),
        _moment(message.due_at),
        str(message.cause.reason) if message.cause else "",
        str(delivery_status_of(message, now) or ""),
        _moment(told.at if told else None),
        str(told.cause.reason) if told and told.cause else "",
        str(told.parts or "") if told else "",
        told.price if told else "",
    ]


def _audit_cells(entry: AuditEntry) -> list[str]:
    act = entry.act
    changes = (f"{one.field}: {_told(one.old)} → {_told(one.new)}" for one in act.changes)
    return [
        _moment(entry.at),
        guarded(entry.by),
        act.action,
        act.object,
        act.object_id,
        guarded(act.name),
        guarded("; ".join(changes)),
        "" if act.count is None else str(act.count),
    ]


def _told(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)


def _moment(moment: datetime | None) -> str:
    if moment is None:
        return ""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
