"""What the emulator keeps on disk: snapshots of its state, and a journal of each change since, in two generations.

`snapshot-000007.jsonl` and `journal-000007.jsonl` begin at the same moment: the journal holds what came after the
snapshot. The newest snapshot and the journals from there on are the state; so are the snapshot before it and its.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.local.engine import Change, Engine, Table, Token
from infra.local.journal import DamagedError, Entry, Journal, Read, end, entries_of, head, line, sync_directory

logger = logging.getLogger(__name__)

DISK_FAILED = 4  # the exit code of a process whose disk failed
_NAME = re.compile(r"(snapshot|journal)-(\d{6})\.jsonl")
_ITEMS_AT_ONCE = 200  # in a snapshot's record
_MINISTACK = ("dynamodb", "sqs", "secretsmanager")  # files of its own, as earlier versions kept them
_MINISTACK_FORMAT = 3


class Store:
    """The files of one data directory, used by one process at a time."""

    def __init__(self, directory: Path, engine: Engine) -> None:
        self._directory = directory
        self._engine = engine
        self._setup = ""
        self._queues = ""
        self._tables: dict[str, Table] = {}
        self.queues_lost = False  # those of the process before, which did not end by itself
        self._journal: Journal
        directory.mkdir(mode=0o700, exist_ok=True)

    def _path(self, kind: str, number: int) -> Path:
        return self._directory / f"{kind}-{number:06d}.jsonl"

    def _numbers(self, kind: str) -> list[int]:
        """The generations that have a snapshot, or a journal."""
        found = map(_NAME.fullmatch, os.listdir(self._directory))
        return sorted(int(match[2]) for match in found if match and match[1] == kind)

    # -- loading

    def load(self) -> None:
        """Restore the engine's state. Raises DamagedError for a damaged file, which is not changed."""
        for unfinished in self._directory.glob("*.tmp"):
            unfinished.unlink()
        snapshots, journals = self._numbers("snapshot"), self._numbers("journal")
        if not snapshots and not journals:
            self._begin()
            return
        first = snapshots[-1] if snapshots else 1
        if snapshots:
            for entry in entries_of(self._path("snapshot", first), first, whole=True, found=[]):
                self._apply(entry)
        last = max(first, journals[-1] if journals else 0)
        changed = False
        read = Read(complete=False, length=0, count=0)
        for number in range(first, last + 1):
            if number not in journals:
                raise DamagedError(self._path("journal", number), 0, "it is missing")
            read = self._replay(number, whole=number < last)
            changed = changed or not read.complete or read.count > 1  # more than its head
        self.queues_lost = changed or not self._queues
        if not self.queues_lost:
            self._engine.restore_queues(self._queues)
        self._queues, self._setup = "", self._engine.setup()
        self._journal = Journal(self._path("journal", last), last, read)

    def _replay(self, number: int, *, whole: bool) -> Read:
        found: list[Read] = []
        for entry in entries_of(self._path("journal", number), number, whole=whole, found=found):
            self._apply(entry)
        return found[0]

    def _apply(self, entry: Entry) -> None:
        match entry:
            case ["put", arn, item]:
                self._engine.put(self._tables[arn], item)
            case ["delete", arn, pk, sk]:
                self._engine.delete(self._tables[arn], pk, sk)
            case ["setup", text]:
                self._engine.set_up(text)
                self._tables = self._engine.tables()
            case ["token", *token]:
                self._engine.remember_token((token[0], token[1], token[2], token[3]))
            case ["queues", text]:
                self._queues = text

    def _begin(self) -> None:
        """Start the first generation: empty, or from the data of an earlier version."""
        left = [self._directory / f"{name}.json" for name in _MINISTACK if (self._directory / f"{name}.json").exists()]
        for path in left:
            self._engine.restore_of_ministack(path.stem, _ministack_state(path, self._engine))
        self._setup = self._engine.setup()
        self._journal = Journal(self._path("journal", 1), 1)
        if left:
            self.save(self.rotate(), queues=True)
            for path in left:
                path.rename(path.with_suffix(".json.old"))

    # -- the journal

    def entries(self, changes: list[Change], tokens: list[Token], *, setup: bool) -> list[Entry]:
        """What to write into the journal about a call's changes; with `setup` it may have changed more than items."""
        found: list[Entry] = []
        if setup and (text := self._engine.setup()) != self._setup:
            found.append(["setup", text])
        for table, pk, sk, _, new in changes:
            arn = table["TableArn"]
            found.append(["delete", arn, pk, sk] if new is None else ["put", arn, new])
        found += [["token", *token] for token in tokens]
        return found

    def add(self, entries: list[Entry], *, sync: bool) -> None:
        """Write a record. Raises OSError if it cannot be kept."""
        self._journal.add(entries)
        if sync:
            try:
                self._journal.sync()
            except OSError as error:
                # Nobody can tell any more what of it is on the disk, not even by asking again: only the next start can.
                logger.critical("%s cannot be written safely: %s", self._journal.path, error.strerror)
                os._exit(DISK_FAILED)
        for entry in entries:
            if entry[0] == "setup":
                self._setup = entry[1]

    def undo_setup(self) -> None:
        """Restore tables and secrets from the journal."""
        self._engine.set_up(self._setup)

    @property
    def journal_size(self) -> int:
        """Bytes since the last snapshot was begun."""
        return self._journal.length

    # -- snapshots

    def rotate(self) -> int:
        """Start the next generation's journal.

        Returns its number. If it raises OSError, the current one stays in use.
        """
        old = self._journal
        before = (old.length, old.count)
        number = old.number + 1
        old.end()
        try:
            self._journal = Journal(self._path("journal", number), number)
        except OSError:
            old.unend(before)
            raise
        old.close()
        return number

    def save(self, number: int, *, queues: bool) -> None:
        """Write the snapshot of a generation and read it back. If it raises OSError or DamagedError, there is none."""
        path = self._path("snapshot", number)
        temporary = path.with_suffix(".tmp")
        try:
            with temporary.open("wb") as file:
                count = 0
                for record in self._snapshot(number, queues=queues):
                    file.write(record)
                    count += 1
                file.write(end(count))
                file.flush()
                os.fsync(file.fileno())
            for _ in entries_of(temporary, number, whole=True, found=[]):
                pass
            temporary.rename(path)
            sync_directory(self._directory)
        finally:
            temporary.unlink(missing_ok=True)

    def _snapshot(self, number: int, *, queues: bool) -> Iterator[bytes]:
        yield head(number)
        yield line([["setup", self._engine.setup()]])
        for arn, table in self._engine.tables().items():
            group: list[Entry] = []
            for rows in table["items"].values():
                group += [["put", arn, item] for item in rows.values()]
                if len(group) >= _ITEMS_AT_ONCE:
                    yield line(group)
                    group = []
            yield line(group)
        yield line([["token", *token] for token in self._engine.tokens()])
        if queues:
            yield line([["queues", self._engine.queues()]])

    def forget_old(self) -> None:
        """Remove files older than the second newest snapshot."""
        snapshots = self._numbers("snapshot")
        kept = snapshots[-2] if len(snapshots) > 1 else 0
        for kind in ("snapshot", "journal"):
            for number in self._numbers(kind):
                if number < kept:
                    self._path(kind, number).unlink()

    def close(self) -> None:
        """End the journal."""
        self._journal.end()
        self._journal.close()

    def advice(self, error: DamagedError) -> str:
        """What a person can do about a file that cannot be read."""
        snapshots, journals = self._numbers("snapshot"), self._numbers("journal")
        if len(snapshots) > 1 and error.path == self._path("snapshot", snapshots[-1]):
            return f"mv {error.path} {error.path}.damaged and start again: what came before it holds all of it, too"
        if journals and error.at and error.path == self._path("journal", journals[-1]):
            return (
                f"put a good copy in its place; without one, cp {error.path} {error.path}.damaged && "
                f"truncate -s {error.at} {error.path} goes on without what was written from there on"
            )
        return "put a good copy in its place, or begin anew with another DATA_DIR"


def _ministack_state(path: Path, engine: Engine) -> Any:
    """What MiniStack has saved in a file. Raises DamagedError if it cannot be read."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"), object_hook=engine.decoder())
        if state["__ministack_format__"] > _MINISTACK_FORMAT:
            raise DamagedError(path, 0, "a newer version has written it")
        return state["payload"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(path, 0, "this is no state of MiniStack") from error
