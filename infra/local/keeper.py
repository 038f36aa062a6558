"""Writes each change of the emulator to disk before its call is answered, and takes snapshots."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from dataclasses import dataclass
from typing import NoReturn

from infra.local.engine import Change, Engine, Token
from infra.local.journal import DamagedError, Entry
from infra.local.store import Store

logger = logging.getLogger(__name__)

# A snapshot may take at most this part of the time: with very much data they become rarer.
_SNAPSHOT_SHARE = 0.1
_JOURNAL_ENOUGH = 32_000_000  # bytes of journal, about a second of reading at the next start


class NotKeptError(Exception):
    """A change could not be written, and was undone; the text says why."""


@dataclass(slots=True)
class _Waiting:
    changes: list[Change]
    entries: list[Entry]
    done: asyncio.Future[None]


class Keeper:
    """Between the engine and its files.

    With the durability `process` a change survives the end of any process, however it ends. With `power` it also
    survives a power cut: it is answered once it is on the disk, and those that come meanwhile go there together.
    """

    def __init__(self, engine: Engine, store: Store, durability: str, interval: float) -> None:
        """`interval` is how many seconds lie between snapshots, unless there is much to be written before."""
        self._engine = engine
        self._store = store
        self._power = durability == "power"
        self._interval = interval
        self._waiting: list[_Waiting] = []
        self._writing = asyncio.Lock()
        self._flushing: asyncio.Task[None] | None = None
        self._snapshot: tuple[int, int] | None = None  # the process that writes it, and what it says of it
        self._began = self._next = time.monotonic()
        self._changed = False
        self.write_trouble = ""  # why the last change could not be kept
        self.snapshot_trouble = ""  # why the last snapshot could not be written; the journal has everything

    async def keep(self, changes: list[Change], tokens: list[Token], *, setup: bool) -> None:
        """Return when the changes of a call are saved. Raises NotKeptError if they could not be and were undone."""
        entries = self._store.entries(changes, tokens, setup=setup)
        if not entries:
            return
        self._changed = True
        if self._power:
            waiting = _Waiting(changes, entries, asyncio.get_running_loop().create_future())
            self._waiting.append(waiting)
            if self._flushing is None or self._flushing.done():
                self._flushing = asyncio.create_task(self._flush())
            await waiting.done
            return
        try:
            self._store.add(entries, sync=False)
        except OSError as error:
            self._undo(changes, entries)
            raise self._not_kept(error) from error
        self.write_trouble = ""

    async def _flush(self) -> None:
        """Write waiting changes in groups. Each is one record, so that a power cut leaves all of it or nothing."""
        while self._waiting:
            async with self._writing:
                group, self._waiting = self._waiting, []
                self._settle(group, await asyncio.to_thread(self._written, group))

    def _written(self, group: list[_Waiting]) -> OSError | None:
        try:
            self._store.add([entry for one in group for entry in one.entries], sync=True)
        except OSError as error:
            return error
        return None

    def _settle(self, group: list[_Waiting], error: OSError | None) -> None:
        if error:
            # Changes that came meanwhile depend on what is undone now.
            group, self._waiting = group + self._waiting, []
            for one in reversed(group):
                self._undo(one.changes, one.entries)
        else:
            self.write_trouble = ""
        for one in group:
            if one.done.done():  # its caller has gone
                continue
            if error:
                one.done.set_exception(self._not_kept(error))
            else:
                one.done.set_result(None)

    def _undo(self, changes: list[Change], entries: list[Entry]) -> None:
        self._engine.undo(changes)
        if any(entry[0] == "setup" for entry in entries):
            self._store.undo_setup()

    def undo_all(self, changes: list[Change], tokens: list[Token], *, setup: bool) -> None:
        """Restore everything as it was before a call that failed in the middle."""
        self._undo(changes, self._store.entries(changes, tokens, setup=setup))

    def _not_kept(self, error: OSError) -> NotKeptError:
        text = f"nothing can be written: {error.strerror}"
        if not self.write_trouble:
            logger.error(text)
        self.write_trouble = text
        return NotKeptError(text)

    # -- snapshots

    async def snapshot(self) -> None:
        """Save the state in a forked child, so that no call waits for it, if it is time.

        Called from the event loop, where calls of DynamoDB are handled whole: no child sees half a call.
        """
        now = time.monotonic()
        if not self._snapshot_ended(now) or not self._changed or now < self._next:
            return
        if now < self._began + self._interval and self._store.journal_size < _JOURNAL_ENOUGH:
            return
        async with self._writing:
            if self._waiting:  # a snapshot must not hold what may yet be undone
                group, self._waiting = self._waiting, []
                self._settle(group, self._written(group))
            self._begin_snapshot(now)

    def _begin_snapshot(self, now: float) -> None:
        self._began = self._next = now
        try:
            number = self._store.rotate()
        except OSError as error:
            self._tell_snapshot(f"no snapshot can be written: {error.strerror}", now)
            return
        self._changed = False
        told, tells = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(told)
            self._save_and_exit(number, tells)
        os.close(tells)
        self._snapshot = pid, told

    def _save_and_exit(self, number: int, tells: int) -> NoReturn:
        code = 1
        try:
            os.nice(10)
            self._store.save(number, queues=False)
            code = 0
        except (OSError, DamagedError) as error:
            os.write(tells, str(getattr(error, "strerror", None) or error).encode())
        finally:
            os._exit(code)

    def _snapshot_ended(self, now: float) -> bool:
        if self._snapshot is None:
            return True
        pid, told = self._snapshot
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended == 0:
            return False
        self._snapshot = None
        text = os.read(told, 1000).decode()
        os.close(told)
        self._next = now + max(1.0, (now - self._began) / _SNAPSHOT_SHARE)
        if status:
            self._changed = True
            self._tell_snapshot(f"no snapshot can be written: {text or f'exit {status}'}", now)
        else:
            self._tell_snapshot("", now)
            self._store.forget_old()
        return True

    def _tell_snapshot(self, trouble: str, now: float) -> None:
        if trouble:
            logger.error("%s; the journal has everything", trouble)
            self._next = max(self._next, now + min(self._interval, 30.0))
        self.snapshot_trouble = trouble

    async def end(self) -> bool:
        """Save the state with the queues, and end the journal. Returns False if only the journal has everything."""
        if self._flushing is not None:
            await self._flushing
        if self._snapshot is not None:
            pid, told = self._snapshot
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(told)
        saved = False
        try:
            self._store.save(self._store.rotate(), queues=True)
            self._store.forget_old()
            saved = True
        except (OSError, DamagedError) as error:
            logger.error("no snapshot can be written: %s; the journal has everything", error)
        try:
            self._store.close()
        except OSError as error:
            logger.error("the journal could not be ended: %s", error.strerror)
        return saved
