"""Importing clients: checks a file at once, and writes its clients in the background, chunk by chunk."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from ulid import ULID

from ..clock import SystemClock
from ..domain.client_files import ClientFile, RejectedRow, RowError, rejected_row
from ..domain.clients import ClientFields, kept_client
from ..domain.errors import Conflict, FieldError, Malformed, NotFound, Unavailable
from ..domain.faults import Fault
from ..domain.import_columns import is_ignored
from ..domain.imports import FilePart, ImportOptions, Mode, read_clients
from ..domain.phone_numbers import check_country
from ..observability import logger
from ..queues import HOPS, Queue, Unit, UnitKind
from ..storage.client_upserts import Upserted
from ..storage.clients import ClientRepository
from ..storage.import_mappings import ImportMappings
from ..storage.import_parts import ImportParts
from ..storage.import_progress import Import
from ..storage.imports import Chunk, ImportRepository
from ..storage.leases import new_owner
from ..storage.recipients import RecipientRepository
from .imported_files import ImportedFile

if TYPE_CHECKING:
    from ..domain.file_samples import Reading, Sample

T = TypeVar("T")
_LEASE = timedelta(seconds=60)  # longer than a chunk takes
_STOP_BEFORE = timedelta(seconds=20)  # before the deadline
_AT_ONCE = 20  # unfinished imports that a tick looks at


class ImportService:
    """Reads files, writes their clients and reports the progress. Every step may be repeated."""

    def __init__(
        self,
        clients: ClientRepository,
        imports: ImportRepository,
        parts: ImportParts,
        mappings: ImportMappings,
        recipients: RecipientRepository,
        dispatch: Queue,
        clock: SystemClock,
        rng: random.Random,
        default_country: str = "",
    ) -> None:
        self._clients = clients
        self._imports = imports
        self._parts = parts
        self._mappings = mappings
        self._recipients = recipients
        self._dispatch = dispatch
        self._clock = clock
        self._rng = rng
        self._default_country = default_country

    def start(
        self,
        text: str,
        created_by: str,
        options: ImportOptions | None = None,
        part: FilePart | None = None,
    ) -> Import:
        """Check a file and, unless it is held, start writing its correct rows.

        Raises Invalid if its header names no phone numbers.

        Later parts of a file get the options of the first part. Raises NotFound if there is no such import.
        """
        options, part, file = self._read(text, options or ImportOptions(), part or FilePart())
        if not options.for_mailing:
            self._clients.attribute_names.learn(file.attribute_names)
        if options.hold:
            file.expected = self._expected(file, options)
        now = self._clock.now()
        milliseconds = int(now.timestamp() * 1000)
        import_id = str(ULID.from_bytes(milliseconds.to_bytes(6, "big") + self._rng.randbytes(10)))
        if not part.is_all:
            self._parts.add(part.of or import_id, import_id, part.row_offset, file, now)
        new = self._imports.create(import_id, file, created_by, now, options, part)
        if not (new.finished or new.held):
            self._begin(new)
        return new

    def check(self, text: str, options: ImportOptions, part: FilePart | None = None) -> ClientFile:
        """What `start` would read, but writes nothing. Raises Invalid and NotFound as `start` does."""
        options, _part, file = self._read(text, options, part or FilePart())
        file.expected = self._expected(file, options)
        return file

    def _expected(self, file: ClientFile, options: ImportOptions) -> Mapping[str, int]:
        """What an import would change in the directory.

        Rejected rows only opt out, also those that are rejected here.
        """
        if options.for_mailing:
            return {}
        now = self._clock.now()
        others = [kept_client(ClientFields(number, opted_out=True), now) for number in file.opt_outs]
        only = dict.fromkeys(file.opt_outs, frozenset({"opted_out"}))
        counted = self._clients.expected(
            file.clients,
            file.given,
            allow_opt_in=options.allow_opt_in,
            sharing=file.sharing,
            add_tag=options.add_tag,
        )
        file.reject_clients(counted.refused)
        counted["opted_out"] += self._clients.expected(others, only, allow_opt_in=False)["opted_out"]
        return dict(counted)

    def release(self, import_id: str) -> ImportedFile:
        """Start writing a file that was held. Does nothing if that was done before.

        Raises NotFound as `get` does, and Conflict if parts of it are missing.
        """
        file = self.file(import_id)
        if len(file.parts) < file.first.parts:
            raise Conflict(Fault.IMPORT_INCOMPLETE, received=len(file.parts), parts=file.first.parts)
        for part in reversed(file.parts):  # the first one last: it says whether the file is held
            if part.held:
                self._imports.release(part)
        for part in file.parts:
            if not part.finished:
                self._begin(part)
        return self.file(import_id)

    def _begin(self, one: Import) -> None:
        try:
            self._dispatch.send([Unit(UnitKind.IMPORT, import_id=one.import_id).body()])
        except Unavailable as error:
            logger.warning("import not finished, the next tick continues it", import_id=one.import_id, error=str(error))

    def look(self, raw: bytes, username: str, how: Reading) -> Sample:
        """What a piece of a file seems to contain, with the columns as this user assigned them the last time.

        Raises Invalid if it is not text.
        """
        from ..domain.file_samples import sample_of  # only a page needs it

        sample = sample_of(raw, how)
        names = _own(sample.names, for_mailing=how.for_mailing)
        known = {} if how.columns is not None else self._mappings.find(username, names)
        return sample_of(raw, replace(how, columns=known)) if known else sample

    def remember(self, username: str, started: Import, told: Mapping[str, str]) -> None:
        """Remember how a user assigned the columns, for the next file with the same columns."""
        names = _own(started.columns, for_mailing=started.for_mailing)
        self._mappings.keep(username, names, told, self._clock.now())

    def _read(self, text: str, options: ImportOptions, part: FilePart) -> tuple[ImportOptions, FilePart, ClientFile]:
        """A file's clients, and the data of its import."""
        if part.of:
            first = self.get(part.of)
            part = replace(part, of=first.file_id, parts=first.parts)
            options = ImportOptions(
                mode=Mode(first.mode),
                allow_opt_in=first.allow_opt_in,
                country=first.country,
                file_name=first.file_name,
                columns=first.columns,
                separator=first.separator,
                encoding=first.encoding,
                hold=first.held,
                for_mailing=first.for_mailing,
                add_tag=first.add_tag,
            )
        options = replace(options, country=options.country or self._default_country)
        if options.country:
            check_country(options.country)

        def earlier(numbers: Iterable[str]) -> Mapping[str, int]:
            return self._parts.earlier_rows(part.of, part.row_offset, numbers) if part.of else {}

        return options, part, read_clients(text, self._clock.now(), options, part.row_offset, earlier)

    def latest(self, cursor: str, limit: int) -> tuple[list[ImportedFile], str]:
        """Up to `limit` files imported in the last week, the latest first, and the next cursor, "" at the end."""
        if cursor and not re.fullmatch(r"[0-9A-Z]{26}", cursor):
            raise Malformed(Fault.CURSOR_OF_ANOTHER_LIST)
        ids = self._imports.latest(cursor, limit + 1)
        there = [import_id for import_id in ids[:limit] if self._imports.find(import_id)]
        return [self.file(import_id) for import_id in there], ids[limit - 1] if len(ids) > limit else ""

    def get(self, import_id: str) -> Import:
        """The progress of an import. Raises NotFound if there is none, or if it was forgotten."""
        if not (len(import_id) == 26 and import_id.isalnum() and import_id.isascii()):
            raise NotFound(Fault.NO_SUCH_IMPORT, name=repr(import_id[:80]))
        return self._imports.get(import_id)

    def file(self, import_id: str) -> ImportedFile:
        """The file whose first part this import has. Raises NotFound as `get` does."""
        first = self.get(import_id)
        if first.part_of or first.parts == 1:
            return ImportedFile([first])
        # The first part is there; a later one may be noted but missing, if the process that took it was killed.
        others = [self._imports.find(other) for other in self._parts.ids(import_id) if other != import_id]
        return ImportedFile([first, *(other for other in others if other)])

    def rejected(self, import_id: str, cursor: str, limit: int) -> tuple[int, list[RowError], str]:
        """How many errors the file had, up to `limit` of them after the cursor, and the next cursor, "" at the end."""
        parts = self.file(import_id).parts
        errors, after = _some(parts, cursor, limit, self._imports.report)
        return sum(one.errors + one.rejected_later for one in parts), errors, after

    def rejects(self, import_id: str, cursor: str, limit: int) -> tuple[Sequence[str], list[RejectedRow], str]:
        """The header of a file, up to `limit` of its rejected rows after the cursor, and the next cursor, "" at the
        end.
        """
        parts = self.file(import_id).parts
        rows, after = _some(parts, cursor, limit, self._imports.rejects)
        return parts[0].header, rows, after

    def carry_out(self, import_id: str, hop: int, deadline: datetime) -> None:
        """Write chunk by chunk until the deadline; another unit continues from there."""
        owner = new_owner(self._rng)
        at = self._imports.get(import_id)
        if at.held or self._waits(at):
            return
        while not at.finished:
            now = self._clock.now()
            if now >= deadline - _STOP_BEFORE:
                self._imports.acquire(import_id, owner, now, now)
                if hop < HOPS:  # after that the tick continues
                    self._dispatch.send([Unit(UnitKind.IMPORT, import_id=import_id, hop=hop + 1).body()])
                return
            if not self._imports.acquire(import_id, owner, now, now + _LEASE):
                return
            chunk = self._imports.chunk(at)
            outcome = self._add_recipients(at, chunk) if at.for_mailing else self._upsert(at, chunk)
            self._imports.advance(at, Counter() if at.only_opts_out else outcome, _rejected(at, chunk, outcome.refused))
            at = self._imports.get(import_id)
        if at.allow_opt_in and at.parts > 1:
            self.go_on()  # with the next part, which waits for this one
        logger.info("import finished", import_id=import_id, rows=at.rows, rejected=at.rows - at.accepted)

    def _upsert(self, at: Import, chunk: Chunk) -> Upserted:
        return self._clients.upsert(
            chunk.clients,
            chunk.given,
            allow_opt_in=at.allow_opt_in,
            also=self._imports.counting(at),
            sharing=chunk.sharing,
            add_tag="" if at.only_opts_out else at.add_tag,
        )

    def _add_recipients(self, at: Import, chunk: Chunk) -> Upserted:
        """Add rows of a file for one mailing, outside of the directory; all of them count as new."""
        if at.only_opts_out:
            self._recipients.opt_out(at.file_id, [client.phone_number for client in chunk.clients])
        else:
            self._recipients.add(at.file_id, chunk.clients, chunk.given)
        outcome = Upserted()
        outcome.update(created=len(chunk.clients), opted_out=sum(client.opted_out for client in chunk.clients))
        return outcome

    def _waits(self, at: Import) -> bool:
        """Whether this part must wait for an earlier one: a later part may opt out clients whom an earlier part opts
        in.
        """
        if not at.part_of or not at.allow_opt_in:
            return False
        before = itertools.takewhile(lambda import_id: import_id != at.import_id, self._parts.ids(at.part_of))
        return any(one is not None and not one.finished for one in map(self._imports.find, before))

    def go_on(self) -> None:
        """Continue unfinished imports. A unit does nothing if another one is working on it."""
        for import_id in self._imports.open(_AT_ONCE):
            self._dispatch.send([Unit(UnitKind.IMPORT, import_id=import_id).body()])


def _own(names: Iterable[str], *, for_mailing: bool) -> list[str]:
    """The columns without those that our own exports add, such as a file of rejected rows.

    In a file for one mailing other columns become values, not fields.
    """
    return [name for name in names if not is_ignored(name)] + ["for a mailing:"] * for_mailing


def _rejected(at: Import, chunk: Chunk, refused: Mapping[str, FieldError]) -> list[RejectedRow]:
    """The rejected rows of a chunk, given their phone numbers."""
    clients = {client.phone_number: client for client in chunk.clients}
    return [
        rejected_row(chunk.row_of[number], clients[number], chunk.given[number], refused[number], at.header, at.columns)
        for number in sorted(refused, key=lambda number: chunk.row_of[number])
    ]


def _some(parts: Sequence[Import], cursor: str, limit: int, read: Callable[[str, int], list[T]]) -> tuple[list[T], str]:
    """Up to `limit` entries of a file's parts, which `read` reads in pages, and the next cursor, "" at the end.

    Raises Malformed if the cursor is not one of these.
    """
    place = re.fullmatch(r"([0-9]{1,4}):([0-9]{1,4}):([0-9]{1,4})", cursor or "0:0:0")
    if not place:
        raise Malformed(Fault.CURSOR_OF_ANOTHER_LIST)
    part, page, start = map(int, place.groups())
    found: list[T] = []
    while part < len(parts):
        there = read(parts[part].import_id, page)
        some = there[start : start + limit - len(found)]
        found += some
        start += len(some)
        if start < len(there):
            return found, f"{part}:{page}:{start}"
        part, page, start = (part, page + 1, 0) if there else (part + 1, 0, 0)
    return found, ""
