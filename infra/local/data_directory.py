"""DATA_DIR: the files of a local run, private to their owner, and used by one run at a time."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

_PROBE_PAUSE = 0.05
_PRIVATE = 0o077  # mode bits of other users
_OURS = ("*.json", "*.log*", "*.lock", "*.tmp", "emulator", "reports")


class InUseError(Exception):
    """Another run has this directory."""


class FileLock:
    """An advisory lock on a file; the system releases it when the holder ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, wait: float = 0.0) -> bool:
        """Take the lock and write our pid into the file. Returns False if it is still held after `wait` seconds."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + wait
        while not _locked(descriptor, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return False
            time.sleep(_PROBE_PAUSE)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Release the lock; the file stays, so that nobody locks a file that was removed."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def held(self) -> bool:
        """Whether somebody holds the lock now."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return not _locked(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def holder(self) -> str:
        """The pid that last took the lock, if the file has it."""
        try:
            return self._path.read_text(encoding="ascii").strip() or "unknown"
        except (OSError, UnicodeDecodeError):
            return "unknown"


class DataDirectory:
    """The directory of one local environment; it may not exist yet."""

    def __init__(self, path: str | Path, *, make: bool = True) -> None:
        self.path = Path(path).expanduser().resolve()
        if make:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.run_lock = FileLock(self.path / "run.lock")
        self.emulator_lock = FileLock(self.path / "emulator.lock")
        self.emulator_file = self.path / "emulator.json"
        self.emulator_state = self.path / "emulator"
        self.access_file = self.path / "emulator-access.json"
        self.service_file = self.path / "service.json"
        self.admin_file = self.path / "admin.json"
        self.reports = self.path / "reports"

    def claim(self) -> None:
        """Take the directory for this run. Raises InUseError with the run that has it."""
        # An emulator without a service checks the lock now and then for a moment; that is not another run.
        if not self.run_lock.acquire(wait=0.5):
            raise InUseError(f"{self.path} is in use by another run (pid {self.run_lock.holder()})")

    def log(self, name: str) -> Path:
        """The log file of one process."""
        return self.path / f"{name}.log"

    def make_private(self) -> None:
        """Remove permissions of others that an earlier version, or another umask, left."""
        os.umask(_PRIVATE)
        ours = [path for pattern in _OURS for path in self.path.glob(pattern)]
        ours += [path for directory in ("emulator", "reports") for path in (self.path / directory).rglob("*")]
        if not self.path.stat().st_mode & stat.S_ISVTX and self.path != Path.home():  # such as /tmp: it is for all
            ours.append(self.path)
        for path in ours:
            if not path.is_symlink() and path.stat().st_mode & _PRIVATE:
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_PRIVATE)


def write_private(path: Path, value: dict[str, Any]) -> None:
    """Replace a JSON file in one step, readable by its owner only."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file)
    temporary.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if there is no file, or it is not an object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
