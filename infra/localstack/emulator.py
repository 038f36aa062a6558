"""A LocalStack or LocalEmu on this machine without Docker: starts and ends its processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests

ROOT = Path(__file__).resolve().parents[2]
START_BOUND = 120.0  # seconds
_STOP_BOUND = 5.0  # seconds; a signal alone may never end it
_LOOK = 0.2
# The event source mappings ask their queues about as often as on AWS: by default a mailing to 20 takes 32 s, not 8.
_SETTINGS = {
    "LANG": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
    "SKIP_SSL_CERT_DOWNLOAD": "1",
    "DISABLE_EVENTS": "1",
    "DNS_ADDRESS": "0",
    "DOCKER_HOST": "unix:///nonexistent/docker.sock",
    "LAMBDA_RUNTIME_ENVIRONMENT_TIMEOUT": "120",
    "LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC": "0.1",
    "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC": "1",
}
ENFORCING = {"IAM_ENFORCEMENT": "1", "ROOT_ACCESS_KEYS": "test,local"}


class EmulatorError(Exception):
    """The emulator cannot be used; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two emulators: its package, and the environments that `make` sets up for it and for functions."""

    package: str
    title: str

    @property
    def python(self) -> Path:
        return ROOT / f".venv-{self.package}" / "bin" / "python"


LOCALSTACK = Kind("localstack", "LocalStack 4.14.0")
LOCALEMU = Kind("localemu", "LocalEmu 1.3.2")
FUNCTIONS = ROOT / ".venv-functions" / "bin" / "python"


def missing(kind: Kind) -> list[str]:
    """The environments that this emulator needs and `make` has not set up yet."""
    return [str(path.parents[1].name) for path in (kind.python, FUNCTIONS) if not path.exists()]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Emulator:
    """The emulator and the MiniStack behind its DynamoDB. Nothing of them is left after `stop`.

    `directory` takes all their files. They also end when this process does, however it ends.
    """

    def __init__(self, kind: Kind, directory: Path, port: int = 0, settings: dict[str, str] | None = None) -> None:
        self.kind = kind
        self.port = port or free_port()
        self._directory = directory.resolve()
        self._settings = settings or {}
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the emulator itself writes."""
        return self._directory / f"{self.kind.package}.log"

    def start(self, bound: float = START_BOUND) -> None:
        """Start it and wait until it answers. Raises EmulatorError with the end of its log if it does not."""
        if lacking := missing(self.kind):
            raise EmulatorError(f"{' and '.join(lacking)} must be set up first: make localstack does")
        for name in ("tmp", "files"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        tables_port = free_port()
        tables = [sys.executable, "-m", "infra.localstack.tables", str(tables_port)]
        self._run(tables, self._directory / "tables.log", dict(os.environ))
        emulator = [str(self.kind.python), "-m", "infra.localstack.inside.start", self.kind.package]
        self._run(emulator, self.log, self._environment(tables_port))
        self._await(bound)

    def stop(self) -> None:
        """End it and everything that it has started, and remove its files in the background.

        Each function has the whole zip unpacked: removing 14,000 files can take a minute.
        """
        for process in reversed(self._started):
            self._end(process)
        self._started.clear()
        removing = ["sh", "-c", 'rm -rf "$1" &', "sh", str(self._directory)]
        nowhere = subprocess.DEVNULL
        subprocess.run(removing, stdin=nowhere, stdout=nowhere, stderr=nowhere, check=False, timeout=_STOP_BOUND)

    @property
    def pids(self) -> list[int]:
        """The processes that this has started; functions are children of theirs."""
        return [process.pid for process in self._started]

    def alive(self) -> bool:
        """Whether all of its processes still run."""
        return all(process.poll() is None for process in self._started)

    def _run(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        written: BinaryIO
        with log.open("ab") as written:
            # A session of its own: Ctrl-C in the terminal is for this process, and the whole group can be ended.
            self._started.append(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=written,
                    stderr=written,
                    start_new_session=True,
                )
            )

    def _environment(self, tables_port: int) -> dict[str, str]:
        """An environment with nothing of the person's own except the path to programs: no credentials, profile or
        proxy.
        """
        address = f"127.0.0.1:{self.port}"
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self._directory),
            "TMPDIR": str(self._directory / "tmp"),
            "FILESYSTEM_ROOT": str(self._directory / "files"),
            "GATEWAY_LISTEN": address,
            "LOCALSTACK_HOST": address,
            "LOCALEMU_HOST": address,
            "DYNAMODB_LOCAL_PORT": str(tables_port),
            "FUNCTION_PYTHON": str(FUNCTIONS),
            **_SETTINGS,
            **self._settings,
        }

    def _await(self, bound: float) -> None:
        deadline = time.monotonic() + bound
        while time.monotonic() < deadline and self.alive():
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.url}/_{self.kind.package}/health", timeout=5).ok:
                    return
            time.sleep(_LOOK)
        told = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise EmulatorError(f"{self.kind.title} did not start:\n{told}")

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_BOUND)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also what it has started and left behind
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
