"""DATA_DIR and its logs: for nobody but their owner, and of a bounded size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.data_directory import DataDirectory
from infra.local.logs import KEPT, open_log, rotate


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """What the machine's owner has set comes back."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_an_open_directory_is_made_private(tmp_path: Path) -> None:
    """With all that an earlier version left in it; what is somebody else's in there stays as it is."""
    path = tmp_path / "data"
    (path / "emulator").mkdir(parents=True)
    (path / "reports").mkdir()
    files = ["service.log", "service.log.1", "admin.json", "emulator/dynamodb.json", "reports/daily.eml", "run.lock"]
    for name in (*files, "notes.txt"):
        (path / name).write_text("private")
        (path / name).chmod(0o664)
    path.chmod(0o777)
    DataDirectory(path).make_private()
    assert [mode(path), mode(path / "emulator"), mode(path / "reports")] == [0o700] * 3
    assert [mode(path / name) for name in files] == [0o600] * len(files)
    assert mode(path / "notes.txt") == 0o664
    (path / "new.json").write_text("private")
    assert mode(path / "new.json") == 0o600


def test_a_directory_that_is_for_all_stays_so(tmp_path: Path) -> None:
    """DATA_DIR=/tmp: what is made in it is private, the directory is not ours to close."""
    tmp_path.chmod(0o1777)
    DataDirectory(tmp_path).make_private()
    assert tmp_path.stat().st_mode & 0o7777 == 0o1777


def test_a_command_that_looks_for_a_service_makes_no_directory(tmp_path: Path) -> None:
    """`make demo` where nothing ran."""
    assert not DataDirectory(tmp_path / "none", make=False).path.exists()


def test_a_log_that_has_grown_is_put_away(tmp_path: Path) -> None:
    """Those who have it open go on at its beginning, and only a few older ones are kept."""
    path = tmp_path / "service.log"
    log = open_log(path)
    for number in range(KEPT + 3):
        os.write(log, f"{number}".encode() * 100)
        assert rotate(path, limit=99)
        assert not rotate(path, limit=99)
    os.write(log, b"last")
    os.close(log)
    assert path.read_text() == "last"
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "service.log",
        *(f"service.log.{number}" for number in range(1, KEPT + 1)),
    ]
    assert [(tmp_path / f"service.log.{number}").read_text()[0] for number in range(1, KEPT + 1)] == ["5", "4", "3"]
    assert mode(path) == 0o600


def test_a_log_that_is_not_there_or_small_is_left(tmp_path: Path) -> None:
    """Nothing is made of it."""
    assert not rotate(tmp_path / "none.log")
    (tmp_path / "small.log").write_text("a line\n")
    assert not rotate(tmp_path / "small.log", limit=100)
    assert len(list(tmp_path.iterdir())) == 1
