"""The emulator's files: what was written is read again, what is not as it was written is found, and never mended."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.local.journal import DamagedError, Entry, Journal, Read, entries_of

RECORDS: list[list[Entry]] = [[["put", "table", {"id": {"S": f"{number} ä\n"}}]] for number in range(5)]


def written(path: Path, *, ended: bool = True) -> bytes:
    """A journal with five records, and its bytes."""
    journal = Journal(path, 7)
    for record in RECORDS:
        journal.add(record)
    if ended:
        journal.end()
    journal.close()
    return path.read_bytes()


def read(path: Path, *, whole: bool = False) -> tuple[list[Entry], Read]:
    found: list[Read] = []
    return list(entries_of(path, 7, whole=whole, found=found)), found[0]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Files of this process cannot grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    """In order, whether or not the file was ended."""
    everything = [entry for record in RECORDS for entry in record]
    size = len(written(tmp_path / "b", ended=False))
    assert read(tmp_path / "b") == (everything, Read(False, size, 6))
    written(tmp_path / "a")
    assert read(tmp_path / "a", whole=True) == (everything, Read(True, size, 6))
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_a_file_that_has_ended_can_go_on(tmp_path: Path) -> None:
    """As at the start after a clean stop: its end is where it ends next."""
    path = tmp_path / "journal"
    written(path)
    journal = Journal(path, 7, read(path)[1])
    journal.add(RECORDS[0])
    journal.end()
    journal.close()
    assert read(path, whole=True)[0] == [entry for record in (*RECORDS, RECORDS[0]) for entry in record]


def test_a_cut_after_a_kill_costs_the_last_record_only(tmp_path: Path) -> None:
    """At any byte: the records before it are there, and the file goes on after them."""
    path = tmp_path / "journal"
    whole = written(path, ended=False)
    last = whole.rstrip(b"\n").rindex(b"\n") + 1
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        entries, found = read(path)
        assert (len(entries), found) == (4, Read(False, last, 5))
        journal = Journal(path, 7, found)
        journal.add(RECORDS[4])
        journal.close()
        assert path.read_bytes() == whole


def test_a_hole_at_the_end_is_what_a_power_cut_leaves(tmp_path: Path) -> None:
    """Its last record was never acknowledged; a hole anywhere else is damage."""
    path = tmp_path / "journal"
    whole = written(path, ended=False)
    last = whole.rstrip(b"\n").rindex(b"\n") + 1
    path.write_bytes(whole[: last + 4] + bytes(len(whole) - last - 5) + b"\n")
    assert read(path)[1].count == 5
    path.write_bytes(whole[:last] + bytes(4096))
    assert read(path)[1].count == 5
    path.write_bytes(whole[:100] + bytes(20) + whole[120:])
    with pytest.raises(DamagedError):
        read(path)


def test_a_changed_byte_is_found_wherever_it_is(tmp_path: Path) -> None:
    """Also in the last record, which is complete; the error names file and place, and the file stays as it is."""
    path = tmp_path / "journal"
    whole = written(path, ended=False)
    for place in range(len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        changed = path.read_bytes()
        with pytest.raises(DamagedError, match=f"^{path} is damaged at byte ") as caught:
            read(path)
        assert caught.value.at <= place
        assert path.read_bytes() == changed


def test_what_is_missing_of_a_whole_file_is_found(tmp_path: Path) -> None:
    """Cut at any byte, without a record, or with one too many: an end says how many there are."""
    path = tmp_path / "journal"
    whole = written(path)
    lines = whole.splitlines(keepends=True)
    wrong = [whole[:cut] for cut in range(len(whole))]
    wrong += [b"".join(lines[:place] + lines[place + 1 :]) for place in range(len(lines))]
    wrong.append(whole + lines[2])
    for content in wrong:
        path.write_bytes(content)
        with pytest.raises(DamagedError):
            read(path, whole=True)


def test_another_file_is_not_taken_for_it(tmp_path: Path) -> None:
    """A copy under another number, or none of these files at all."""
    path = tmp_path / "journal"
    written(path)
    with pytest.raises(DamagedError, match="not number 8"):
        list(entries_of(path, 8, whole=True, found=[]))
    for content in (b"", b"{}", b"hello\n", b"00000000 []\n"):
        path.write_bytes(content)
        with pytest.raises(DamagedError):
            read(path)


def test_a_record_without_room_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """The disk is full in the middle of a record: the next one that fits follows the last good one."""
    path = tmp_path / "journal"
    journal = Journal(path, 7)
    journal.add(RECORDS[0])
    before = path.read_bytes()
    with room_for(len(before) + 20), pytest.raises(OSError, match="File too large"):
        journal.add(RECORDS[1])
    assert path.read_bytes() == before
    journal.add(RECORDS[2])
    journal.end()
    journal.close()
    assert read(path, whole=True)[0] == RECORDS[0] + RECORDS[2]


def test_a_journal_without_room_is_none(tmp_path: Path) -> None:
    """No file has its name before it can be read."""
    with room_for(10), pytest.raises(OSError, match="File too large"):
        Journal(tmp_path / "journal", 7)
    assert not (tmp_path / "journal").exists()
