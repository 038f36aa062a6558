"""Importing clients: a file is checked at once, and written in the background chunk by chunk."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from ulid import ULID

from ..clock import SystemClock
from ..domain.errors import Malformed, NotFound, Unavailable
from ..domain.faults import Fault
from ..domain.imports import RowError, read_clients
from ..observability import logger
from ..queues import HOPS, Queue, Unit, UnitKind
from ..storage.clients import ClientRepository
from ..storage.imports import Import, ImportRepository
from ..storage.leases import new_owner

_LEASE = timedelta(seconds=60)  # longer than a chunk takes
_STOP_BEFORE = timedelta(seconds=20)  # of the deadline
_AT_ONCE = 20  # unfinished imports that a tick looks at


class ImportService:
    """Reads files, writes their clients, and reports the progress. Every step may be repeated."""

    def __init__(
        self,
        clients: ClientRepository,
        imports: ImportRepository,
        dispatch: Queue,
        clock: SystemClock,
        rng: random.Random,
    ) -> None:
        self._clients = clients
        self._imports = imports
        self._dispatch = dispatch
        self._clock = clock
        self._rng = rng

    def start(self, text: str, created_by: str, *, allow_opt_in: bool = False) -> Import:
        """Check a file and start writing its correct rows. Raises Invalid if its header has no column of clients."""
        now = self._clock.now()
        file = read_clients(text, now)
        milliseconds = int(now.timestamp() * 1000)
        import_id = str(ULID.from_bytes(milliseconds.to_bytes(6, "big") + self._rng.randbytes(10)))
        new = self._imports.create(import_id, file, created_by, now, allow_opt_in=allow_opt_in)
        if not new.finished:
            try:
                self._dispatch.send([Unit(UnitKind.IMPORT, import_id=import_id).body()])
            except Unavailable as error:
                logger.warning("import not finished, the next tick continues it", import_id=import_id, error=str(error))
        return new

    def get(self, import_id: str) -> Import:
        """The progress of an import. Raises NotFound if there is none, or if it was forgotten."""
        if not (len(import_id) == 26 and import_id.isalnum() and import_id.isascii()):
            raise NotFound(Fault.NO_SUCH_IMPORT, name=repr(import_id[:80]))
        return self._imports.get(import_id)

    def rejected(self, import_id: str, cursor: str, limit: int) -> tuple[int, list[RowError], str]:
        """How many errors the file had, up to `limit` of them after a place, and the next place, "" at the end."""
        total = self.get(import_id).errors
        page, _, offset = (cursor or "0:0").partition(":")
        if not (page.isdecimal() and offset.isdecimal() and len(cursor) < 12):
            raise Malformed(Fault.CURSOR_OF_ANOTHER_LIST)
        errors = self._imports.report(import_id, int(page))
        end = int(offset) + limit
        following = f"{page}:{end}" if end < len(errors) else f"{int(page) + 1}:0"
        rows = errors[int(offset) : end]
        last = not rows or not self._imports.report(import_id, int(page) + 1) if end >= len(errors) else False
        return total, rows, "" if last else following

    def carry_out(self, import_id: str, hop: int, deadline: datetime) -> None:
        """Write chunk after chunk until the deadline; another unit continues from there."""
        owner = new_owner(self._rng)
        at = self._imports.get(import_id)
        while not at.finished:
            now = self._clock.now()
            if now >= deadline - _STOP_BEFORE:
                self._imports.acquire(import_id, owner, now, now)
                if hop < HOPS:  # after these the tick goes on
                    self._dispatch.send([Unit(UnitKind.IMPORT, import_id=import_id, hop=hop + 1).body()])
                return
            if not self._imports.acquire(import_id, owner, now, now + _LEASE):
                return
            clients, given = self._imports.chunk(at)
            self._imports.advance(at, self._clients.upsert(clients, given, allow_opt_in=at.allow_opt_in))
            at = self._imports.get(import_id)
        logger.info("import finished", import_id=import_id, rows=at.rows, rejected=at.rejected)

    def go_on(self) -> None:
        """Continue unfinished imports. A unit does nothing if another one is at work."""
        for import_id in self._imports.open(_AT_ONCE):
            self._dispatch.send([Unit(UnitKind.IMPORT, import_id=import_id).body()])
