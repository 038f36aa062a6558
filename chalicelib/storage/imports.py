"""Imports of clients: what is still to be written, in chunks, how far it has come, and what was rejected."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pynamodb.exceptions import UpdateError
from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.clients import CLIENT_FIELDS, Client, ClientFields, kept_client
from ..domain.errors import NotFound
from ..domain.faults import Fault
from ..domain.imports import ClientFile, FilePart, ImportOptions, RowError
from .client_upserts import Also
from .dynamodb import transact, translated, was_refused
from .import_items import packed, parts_of, unpacked
from .leases import held, is_free
from .models import SettingModel, Tables, to_ms
from .segments import Change

CHUNK = 2_000  # clients; written in about a second, and well below the 400 KB of an item
REPORTED = 1_000  # errors in one item, and in one page of the report
_OPEN = "imports"
_ALL = "imports-of-a-week"  # the first parts of files
_PROGRESS = "progress"
_KEPT_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Import:
    """One import. `rows` were read from the file, `done` of the accepted ones are written."""

    import_id: str
    created_at: datetime
    created_by: str
    rows: int
    rejected: int
    errors: int
    chunks: int
    chunks_done: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    opted_out: int = 0
    opted_in_again: int = 0
    opt_outs_kept: int = 0
    mode: str = "update"
    allow_opt_in: bool = False
    country: str = ""
    file_name: str = ""
    opt_out_chunks: int = 0  # the last ones: numbers that are opted out, though no row of theirs is good
    part_of: str = ""  # the import of the file's first part
    row_offset: int = 0
    parts: int = 1
    other_channels: int = 0  # rows of Pinpoint that are addresses of mail or push
    left_out: Sequence[str] = ()  # columns
    encoding: str = ""
    separator: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)  # by its name, the field of each column, or ""

    @property
    def accepted(self) -> int:
        return self.rows - self.rejected

    @property
    def done(self) -> int:
        return self.created + self.changed + self.unchanged

    @property
    def finished(self) -> bool:
        return self.chunks_done >= self.chunks

    @property
    def file_id(self) -> str:
        """The import of the file's first part."""
        return self.part_of or self.import_id

    @property
    def only_opts_out(self) -> bool:
        """Whether the next chunk is of numbers without a good row."""
        return self.chunks_done >= self.chunks - self.opt_out_chunks


_FACTS = (
    "created_by",
    "rows",
    "rejected",
    "errors",
    "chunks",
    "opt_out_chunks",
    "mode",
    "allow_opt_in",
    "country",
    "file_name",
)
_FACTS_OF_A_PART = ("part_of", "row_offset", "parts", "other_channels", "left_out")
_FACTS_OF_READING = ("encoding", "separator", "columns")
_COUNTS = ("chunks_done", "created", "changed", "unchanged", "opted_out", "opted_in_again", "opt_outs_kept")


class ImportRepository:
    """Imports in the table of settings, where they are forgotten a week later."""

    def __init__(self, tables: Tables, backoff: Backoff) -> None:
        self._model = tables.settings
        self._connection = tables.connection
        self._backoff = backoff

    def create(
        self,
        import_id: str,
        file: ClientFile,
        created_by: str,
        now: datetime,
        options: ImportOptions,
        part: FilePart,
    ) -> Import:
        """Keep what a file holds; the progress comes last, so that half an import is none."""
        # Clients of one segment side by side move its counters together.
        clients = sorted(file.clients, key=lambda one: (one.tag, one.operator, one.timezone, one.opted_out))
        chunks: list[list[list[Any]]] = [
            [_cells(client, file.given) for client in some] for some in parts_of(clients, CHUNK)
        ]
        opt_outs = [[_opt_out_cells(number) for number in some] for some in parts_of(file.opt_outs, CHUNK)]
        chunks += opt_outs
        reports = [[_error_cells(one) for one in part] for part in parts_of(file.errors, REPORTED)]
        new = Import(
            import_id=import_id,
            created_at=now,
            created_by=created_by,
            rows=file.rows,
            rejected=file.rejected,
            errors=len(file.errors),
            chunks=len(chunks),
            opt_out_chunks=len(opt_outs),
            mode=options.mode.value,
            allow_opt_in=options.allow_opt_in,
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
        )
        expires_at = to_ms(now + _KEPT_FOR) // 1000
        scope = _scope(import_id)
        with translated("imports"):
            with self._model.batch_write() as batch:
                for kind, parts in (("chunk", chunks), ("report", reports)):
                    for number, rows in enumerate(parts):
                        batch.save(self._model(scope, _part(kind, number), content=packed(rows), expires_at=expires_at))
            facts = {name: getattr(new, name) for name in (*_FACTS, *_FACTS_OF_A_PART, *_FACTS_OF_READING)}
            if not new.finished:
                self._model(_OPEN, import_id, expires_at=expires_at).save()
            if not part.of:
                self._model(_ALL, import_id, expires_at=expires_at).save()
            self._model(
                scope, _PROGRESS, body=json.dumps(facts), changed_at=now, chunks_done=0, expires_at=expires_at
            ).save()
        return new

    def get(self, import_id: str) -> Import:
        """The import with this id. Raises NotFound if there is none, or if it was forgotten."""
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
        facts |= {name: int(getattr(row, name) or 0) for name in _COUNTS}
        return Import(import_id=import_id, created_at=row.changed_at, **facts)

    def _row(self, import_id: str, name: str) -> SettingModel | None:
        with translated("imports"):
            rows = list(self._model.query(_scope(import_id), self._model.name == name, consistent_read=True))
        return rows[0] if rows else None

    def acquire(self, import_id: str, owner: str, now: datetime, until: datetime) -> bool:
        """Take or prolong the right to write an import. Returns False if another has it."""
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

    def chunk(self, at: Import) -> tuple[list[Client], dict[str, frozenset[str]]]:
        """The clients that are to be written next, and by number the fields given of each; none if they are written."""
        row = self._row(at.import_id, _part("chunk", at.chunks_done))
        rows = unpacked(row.content) if row and row.content else []
        clients = [_client(cells, at.created_at) for cells in rows]
        given = [
            frozenset(name for name, cell in zip(CLIENT_FIELDS, cells, strict=True) if cell is not None)
            for cells in rows
        ]
        return clients, {client.phone_number: names for client, names in zip(clients, given, strict=True)}

    def counting(self, at: Import) -> Also:
        """Counts who is opted out and in again in the transactions that do it: a repeat could not tell any more."""
        model = self._model

        def count(transaction: TransactWrite, changes: Sequence[Change]) -> None:
            out = sum(new is not None and new.opted_out and not (old and old.opted_out) for old, new in changes)
            again = sum(bool(old and new and old.opted_out and not new.opted_out) for old, new in changes)
            if out or again:
                actions: list[Any] = [model.opted_out.add(out), model.opted_in_again.add(again)]
                transaction.update(model(_scope(at.import_id), _PROGRESS), actions=actions)

        return count

    def advance(self, at: Import, outcome: Counter[str]) -> None:
        """Note that the next chunk is written; nothing happens if somebody else has noted it."""
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
                transaction.delete(model(scope, _part("chunk", at.chunks_done)))
                if at.chunks_done + 1 == at.chunks:
                    transaction.delete(model(_OPEN, at.import_id))

        with translated("imports"):
            transact(self._backoff, run)

    def report(self, import_id: str, page: int) -> list[RowError]:
        """A page of what was rejected; empty after the last."""
        row = self._row(import_id, _part("report", page))
        return [_row_error(*cells) for cells in unpacked(row.content)] if row and row.content else []

    def latest(self, before: str, limit: int) -> Sequence[str]:
        """Ids of up to `limit` imports, the latest first, that began before another; "" for all."""
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


def _cells(client: Client, given: Mapping[str, frozenset[str]]) -> list[Any]:
    """The client's fields in their order, None for those that the file says nothing of."""
    names = given.get(client.phone_number, frozenset(CLIENT_FIELDS))
    return [getattr(client, name) if name in names or name == "phone_number" else None for name in CLIENT_FIELDS]


def _opt_out_cells(phone_number: str) -> list[Any]:
    known = {"phone_number": phone_number, "opted_out": True}
    return [known.get(name) for name in CLIENT_FIELDS]


def _client(cells: list[Any], now: datetime) -> Client:
    # An older version may have written fewer cells.
    given = {name: cell for name, cell in zip(CLIENT_FIELDS, cells, strict=False) if cell is not None}
    return kept_client(ClientFields(**given), now)


def _error_cells(error: RowError) -> list[Any]:
    values = {name: str(value) for name, value in error.values.items()}
    told = {"fault": error.fault.code, "values": values, "value": error.value}
    return [error.row, error.field, json.dumps(told)]


def _row_error(row: int, field: str, told: str) -> RowError:
    """What was stored of an error. An older version stored its sentence, which is told as it is."""
    stored = json.loads(told) if told.startswith("{") else {}
    fault = Fault.__members__.get(str(stored.get("fault", "")).upper())
    if fault is None:
        return RowError(row, field, Fault.AS_TOLD, {"text": told})
    return RowError(row, field, fault, stored["values"], stored.get("value", ""))
