"""DATA_DIR: which files of a local run lie where, that nobody else can read them, and that one run at a time has it."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

_PROBE_PAUSE = 0.05
_PRIVATE = 0o077  # the modes that nobody else has
_OURS = ("*.json", "*.log*", "*.lock", "*.tmp", "emulator", "reports")


class InUseError(Exception):
    """Another run has this directory."""


class FileLock:
    """An advisory lock on a file; the system releases it when the holder ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, wait: float = 0.0) -> bool:
        """Take the lock and write our pid into the file; False if it is still held after `wait` seconds."""
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
        """Give the lock back; the file stays, so that nobody locks a file that is no longer there."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def held(self) -> bool:
        """Whether somebody holds the lock at this moment."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return not _locked(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def holder(self) -> str:
        """The pid that took the lock last, as far as the file says."""
        try:
            return self._path.read_text(encoding="ascii").strip() or "unknown"
        except (OSError, UnicodeDecodeError):
            return "unknown"


class DataDirectory:
    """The directory of one local environment; without `make` it need not be there."""

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
        """Take the directory for this run; InUseError names the run that has it."""
        # An emulator on its own looks at the lock for a moment now and then; that is no other run.
        if not self.run_lock.acquire(wait=0.5):
            raise InUseError(f"{self.path} is in use by another run (pid {self.run_lock.holder()})")

    def log(self, name: str) -> Path:
        """The log file of one process."""
        return self.path / f"{name}.log"

    def make_private(self) -> None:
        """Take from everybody else what an earlier version, or another umask, let them read or write."""
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
    """What a JSON file holds; None if it is not there, or no object."""
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
