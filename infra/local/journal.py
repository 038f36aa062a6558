"""Files of records with checksums, for the emulator's journal and snapshots: one JSON list on each line.

A complete file ends with an end record. A journal without one is from a process that was killed: its last record may be
incomplete, but was not acknowledged. Any other fault is damage.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.quick_json import dumps, loads

FORMAT = 1
_CHECKSUM = 8  # hexadecimal digits
_END = "end"
_HEAD = "head"

Entry = list[Any]  # what it is, and what belongs to it


class DamagedError(Exception):
    """A file does not have what was written to it; `at` is the first wrong byte."""

    def __init__(self, path: Path, at: int, what: str) -> None:
        super().__init__(f"{path} is damaged at byte {at}: {what}")
        self.path = path
        self.at = at


@dataclass(frozen=True, slots=True)
class Read:
    """The result of reading a file: whether it has its end, and how many bytes and records come before it."""

    complete: bool
    length: int
    count: int


def line(entries: list[Entry]) -> bytes:
    """One record."""
    content = dumps(entries)
    return b"%08x %b\n" % (zlib.crc32(content), content)


def head(number: int) -> bytes:
    """The record that a file begins with."""
    return line([[_HEAD, FORMAT, number]])


def end(count: int) -> bytes:
    """The record that a file ends with: how many others are before it."""
    return line([[_END, count]])


def entries_of(path: Path, number: int, *, whole: bool, found: list[Read]) -> Iterator[Entry]:
    """The entries of a file in order. Raises DamagedError if one is not as it was written.

    With `whole` the file must have its end. `found` gets the result when all is read.
    """
    position = count = 0
    complete = False
    with path.open("rb") as file:
        for text in file:
            entries = None if complete else _entries(text)
            if entries is None:
                if whole or complete or not _incomplete(text, file.read(1)):
                    raise DamagedError(path, position, "the checksum is wrong")
                break
            if position == 0 and (len(entries) != 1 or entries[0] != [_HEAD, FORMAT, number]):
                raise DamagedError(path, 0, f"this is not number {number} in format {FORMAT}")
            if entries and entries[0][0] == _END:
                if entries[0][1] != count:
                    raise DamagedError(path, position, f"{count} records are here, not {entries[0][1]}")
                complete = True
                continue
            if position:
                yield from entries
            position += len(text)
            count += 1
    if not position or (whole and not complete):
        raise DamagedError(path, position, "the rest is missing")
    found.append(Read(complete, position, count))


def _entries(text: bytes) -> list[Entry] | None:
    """The entries of a record, None if it is not as it was written."""
    if not text.endswith(b"\n") or text[_CHECKSUM : _CHECKSUM + 1] != b" ":
        return None
    content = text[_CHECKSUM + 1 : -1]
    if text[:_CHECKSUM] != b"%08x" % zlib.crc32(content):
        return None
    entries: list[Entry] = loads(content)
    return entries


def _incomplete(text: bytes, following: bytes) -> bool:
    """Whether a record is the last one, cut off: by a kill its end is missing, by a power cut it has holes."""
    return not following and (not text.endswith(b"\n") or b"\0" in text)


class Journal:
    """A file that records are added to. An error leaves it as it was before."""

    def __init__(self, path: Path, number: int, read: Read | None = None) -> None:
        """Start a file, or continue one that was read, before its end if it has one. Raises OSError if that fails."""
        self.path = path
        self.number = number
        self.length = read.length if read else 0  # bytes
        self.count = read.count if read else 0  # records, the head among them
        # A file gets its name when it has its head, so that there is none without one.
        begun = path if read else path.with_suffix(".tmp")
        self._file = os.open(begun, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.ftruncate(self._file, self.length)
            if not read:
                self._write(head(number))
                self.sync()
                begun.rename(path)
                sync_directory(path.parent)
        except OSError:
            os.close(self._file)
            raise

    def add(self, entries: list[Entry]) -> None:
        """Write a record, so that it survives this process. Raises OSError if there is no room for it."""
        self._write(line(entries))

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            os.ftruncate(self._file, self.length)
            raise
        self.length += written
        self.count += 1

    def sync(self) -> None:
        """Make everything that was written survive a power cut; takes milliseconds."""
        os.fsync(self._file)

    def end(self) -> None:
        """Note that nothing will follow."""
        self._write(end(self.count))
        self.sync()

    def unend(self, before: tuple[int, int]) -> None:
        """Continue after all, with length and count from before the end."""
        os.ftruncate(self._file, before[0])
        self.length, self.count = before

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)


def sync_directory(path: Path) -> None:
    """Make new and renamed files of a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
