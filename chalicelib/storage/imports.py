"""Imports of clients: the chunks that are still to be written, the progress, and what was rejected."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pynamodb.exceptions import UpdateError
from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.attributes import PREFIX
from ..domain.client_files import ClientFile, RejectedRow, RowError
from ..domain.clients import CLIENT_FIELDS, Client
from ..domain.errors import NotFound
from ..domain.faults import Fault
from ..domain.imports import FilePart, ImportOptions
from .audit import AuditLog
from .client_upserts import Also
from .dynamodb import transact, translated, was_refused
from .import_items import (
    attributes_cell,
    client_cells,
    client_of_cells,
    error_cells,
    is_given,
    opt_out_cells,
    packed,
    parts_by_size,
    parts_of,
    reject_cells,
    rejected_row,
    row_error,
    row_of_cells,
    unpacked,
)
from .import_progress import COUNTS, FACTS, Import
from .leases import held, is_free
from .models import SettingModel
from .moments import to_ms
from .segments import Change
from .tables import Tables

CHUNK = 2_000  # clients; written in about a second, and well below the 400 KB of an item
_CHUNK_BYTES = 280_000  # of clients in one item before compression, because attributes may not compress well
REPORTED = 1_000  # errors in one item, and in one page of the report
_MAX_REJECTS = 200_000  # bytes of rejected rows in one item, before compression
_OPEN = "imports"
_ALL = "imports-of-a-week"  # the first parts of files
_PROGRESS = "progress"
_KEPT_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Clients to write, with the fields that are given for each, by number.

    `row_of` has the rows, by number, that may be rejected because another client has their external id or a tag does
    not fit. Those in `sharing` are written without the id instead.
    """

    clients: Sequence[Client]
    given: Mapping[str, frozenset[str]]
    row_of: Mapping[str, int]
    sharing: Set[str]


class ImportRepository:
    """Imports in the settings table, where they are removed after a week."""

    def __init__(self, tables: Tables, backoff: Backoff) -> None:
        self._model = tables.settings
        self._connection = tables.connection
        self._backoff = backoff
        self._audit = AuditLog(tables, backoff)

    def create(
        self,
        import_id: str,
        file: ClientFile,
        created_by: str,
        now: datetime,
        options: ImportOptions,
        part: FilePart,
    ) -> Import:
        """Save what a file contains. The progress is written last, so that half an import does not exist."""
        # Sorted, so that clients of one segment change its counters together.
        clients = sorted(file.clients, key=lambda one: (one.tags, one.operator, one.timezone, one.opted_out))
        cells = (client_cells(client, file) for client in clients)
        chunks = list(parts_by_size(cells, CHUNK, _CHUNK_BYTES))
        opt_outs = [[opt_out_cells(number) for number in some] for some in parts_of(file.opt_outs, CHUNK)]
        chunks += opt_outs
        reports = [[error_cells(one) for one in part] for part in parts_of(file.errors, REPORTED)]
        rejects = list(parts_by_size(map(reject_cells, file.rejects), REPORTED, _MAX_REJECTS))
        new = Import(
            import_id=import_id,
            created_at=now,
            created_by=created_by,
            rows=file.rows,
            rejected=file.rejected,
            errors=len(file.errors),
            chunks=len(chunks),
            report_pages=len(reports),
            reject_pages=len(rejects),
            opt_out_chunks=len(opt_outs),
            mode=options.mode.value,
            allow_opt_in=options.allow_opt_in,
            add_tag=options.add_tag,
            for_mailing=options.for_mailing,
            country=options.country,
            file_name=options.file_name,
            part_of=part.of,
            row_offset=part.row_offset,
            parts=part.parts,
            other_channels=file.other_channels,
            left_out=file.left_out,
            encoding=options.encoding,
            separator=file.separator,
            columns=file.columns,
            header=file.header,
            held=options.hold and bool(chunks),
            expected=file.expected,
        )
        expires_at = to_ms(now + _KEPT_FOR) // 1000
        scope = _scope(import_id)
        with translated("imports"):
            with self._model.batch_write() as batch:
                for kind, parts in (("chunk", chunks), ("report", reports), ("rejects", rejects)):
                    for number, rows in enumerate(parts):
                        batch.save(self._model(scope, _part(kind, number), content=packed(rows), expires_at=expires_at))
            facts = {name: getattr(new, name) for name in FACTS}
            if not (new.finished or new.held):
                self._model(_OPEN, import_id, expires_at=expires_at).save()
            if not part.of:
                self._model(_ALL, import_id, expires_at=expires_at).save()
            self._model(
                scope,
                _PROGRESS,
                body=json.dumps(facts),
                changed_at=now,
                chunks_done=0,
                held=new.held or None,
                expires_at=expires_at,
            ).save()
        if not new.held:
            self._audit.put(new.act)
        return new

    def get(self, import_id: str) -> Import:
        """The import with this id. Raises NotFound if there is none, or if it was removed."""
        found = self.find(import_id)
        if found is None:
            raise NotFound(Fault.NO_SUCH_IMPORT, name=repr(import_id[:80]))
        return found

    def find(self, import_id: str) -> Import | None:
        """The import with this id, if there is one."""
        row = self._row(import_id, _PROGRESS)
        if row is None or row.changed_at is None:
            return None
        facts: dict[str, Any] = json.loads(row.body or "{}")
        facts |= {name: int(getattr(row, name) or 0) for name in COUNTS}
        return Import(import_id=import_id, created_at=row.changed_at, held=bool(row.held), **facts)

    def release(self, at: Import) -> None:
        """Let a held import start. Does nothing if it is not held any more."""
        model = self._model
        expires_at = to_ms(at.created_at + _KEPT_FOR) // 1000

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                transaction.update(
                    model(_scope(at.import_id), _PROGRESS), actions=[model.held.remove()], condition=model.held.exists()
                )
                transaction.save(model(_OPEN, at.import_id, expires_at=expires_at))
                self._audit.note(transaction, at.act)

        with translated("imports"):
            transact(self._backoff, run)

    def _row(self, import_id: str, name: str) -> SettingModel | None:
        with translated("imports"):
            rows = list(self._model.query(_scope(import_id), self._model.name == name, consistent_read=True))
        return rows[0] if rows else None

    def acquire(self, import_id: str, owner: str, now: datetime, until: datetime) -> bool:
        """Take or extend the lease of an import. Returns False if another owner has it."""
        model = self._model
        free = is_free(model, now, until, owner)
        with translated("imports"):
            try:
                model(_scope(import_id), _PROGRESS).update(
                    actions=held(model, owner, until),
                    condition=model.body.exists() & free,
                )
            except UpdateError as error:
                if not was_refused(error):
                    raise
                return False
        return True

    def chunk(self, at: Import) -> Chunk:
        """The clients to write next; empty if all are written."""
        row = self._row(at.import_id, _part("chunk", at.chunks_done))
        rows = unpacked(row.content) if row and row.content else []
        clients = [client_of_cells(cells, at.created_at) for cells in rows]
        given = [
            frozenset(name for name, cell in zip(CLIENT_FIELDS, cells, strict=False) if is_given(name, cell))
            for cells in rows
        ]
        for number, client in enumerate(clients):
            if isinstance(attributes_cell(rows[number]), list):  # those that the file names, beside what there is
                given[number] = given[number] - {"attributes"} | {PREFIX + name for name in client.attributes}
        row_of = {client.phone_number: row_of_cells(cells) for client, cells in zip(clients, rows, strict=True)}
        return Chunk(
            clients,
            {client.phone_number: names for client, names in zip(clients, given, strict=True)},
            {number: row for number, row in row_of.items() if row},
            {number for number, row in row_of.items() if row == 0},
        )

    def counting(self, at: Import) -> Also:
        """Counts opt-outs and opt-ins in the transactions that make them, because a repeat could not count them."""
        model = self._model

        def count(transaction: TransactWrite, changes: Sequence[Change]) -> None:
            out = sum(new is not None and new.opted_out and not (old and old.opted_out) for old, new in changes)
            again = sum(bool(old and new and old.opted_out and not new.opted_out) for old, new in changes)
            if out or again:
                actions: list[Any] = [model.opted_out.add(out), model.opted_in_again.add(again)]
                transaction.update(model(_scope(at.import_id), _PROGRESS), actions=actions)

        return count

    def advance(self, at: Import, outcome: Counter[str], rejected: Sequence[RejectedRow] = ()) -> None:
        """Note that the next chunk is written, except for the `rejected` rows.

        Does nothing if that was noted already.
        """
        pages = list(parts_by_size(map(reject_cells, rejected), REPORTED, _MAX_REJECTS))
        expires_at = to_ms(at.created_at + _KEPT_FOR) // 1000
        outcome = outcome + Counter(rejected_later=len(rejected), later_pages=len(pages))
        model = self._model
        scope = _scope(at.import_id)

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                counted = [getattr(model, name).add(count) for name, count in outcome.items() if count]
                transaction.update(
                    model(scope, _PROGRESS),
                    actions=[model.chunks_done.set(at.chunks_done + 1), *counted],
                    condition=model.chunks_done == at.chunks_done,
                )
                for number, rows in enumerate(pages, at.later_pages):
                    errors = [cells for *_, told in rows for cells in told]
                    for name, content in (
                        (_part("report", at.report_pages + number), errors),
                        (_part("rejects", at.reject_pages + number), rows),
                    ):
                        transaction.save(model(scope, name, content=packed(content), expires_at=expires_at))
                transaction.delete(model(scope, _part("chunk", at.chunks_done)))
                if at.chunks_done + 1 == at.chunks:
                    transaction.delete(model(_OPEN, at.import_id))

        with translated("imports"):
            transact(self._backoff, run)

    def report(self, import_id: str, page: int) -> list[RowError]:
        """A page of the errors; empty after the last."""
        row = self._row(import_id, _part("report", page))
        return [row_error(*cells) for cells in unpacked(row.content)] if row and row.content else []

    def rejects(self, import_id: str, page: int) -> list[RejectedRow]:
        """A page of the rejected rows as they are in the file; empty after the last."""
        row = self._row(import_id, _part("rejects", page))
        return [rejected_row(*cells) for cells in unpacked(row.content)] if row and row.content else []

    def latest(self, before: str, limit: int) -> Sequence[str]:
        """Ids of up to `limit` imports that began before another one ("" for all), the latest first."""
        model = self._model
        earlier = model.name < before if before else None
        with translated("imports"):
            return [row.name for row in model.query(_ALL, earlier, limit=limit, scan_index_forward=False)]

    def open(self, limit: int) -> Sequence[str]:
        """Ids of imports that are not finished."""
        with translated("imports"):
            return [row.name for row in self._model.query(_OPEN, limit=limit)]


def _scope(import_id: str) -> str:
    return f"import#{import_id}"


def _part(kind: str, number: int) -> str:
    return f"{kind}#{number:05d}"
