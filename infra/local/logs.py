"""The logs of a local run, which are limited in size: a few older files are kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

LIMIT = 10_000_000  # bytes
KEPT = 3  # older files of each log: .log.1 is the newest


def open_log(path: Path) -> int:
    """Open a log for appending, readable by its owner only. Returns the descriptor."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def rotate(path: Path, limit: int = LIMIT) -> bool:
    """Start a log again if it is longer than `limit` bytes. Returns whether it was.

    It is copied and emptied in place: several processes write to it by descriptors of their own, all of them to its
    end. A line that is written between the two is lost.
    """
    try:
        if path.stat().st_size <= limit:
            return False
        newest = _older(path, 1)
        for number in range(KEPT, 1, -1):
            if _older(path, number - 1).exists():
                _older(path, number - 1).replace(_older(path, number))
        shutil.copyfile(path, newest)
        os.truncate(path, 0)
    except OSError:  # as on a full disk: the log goes on as it is
        return False
    return True


def kept(path: Path) -> list[Path]:
    """The existing files of a log, the oldest first."""
    files = [*(_older(path, number) for number in range(KEPT, 0, -1)), path]
    return [file for file in files if file.exists()]


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
