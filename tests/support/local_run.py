"""`make run` as a process of its own, on free ports, and what a test does with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

import requests

from chalicelib.aws_clients import aws_client
from chalicelib.bootstrap import Services, build
from chalicelib.config import Settings
from infra.local.data_directory import DataDirectory, read_json
from infra.local.emulator_access import Access

ROOT = Path(__file__).resolve().parents[2]
BOUND = 30.0
ANYBODY = Access("local", "local")
PASSWORD = "correct horse battery staple"


class Run(Protocol):
    """A running service, wherever it runs."""

    @property
    def url(self) -> str: ...

    @property
    def password(self) -> str: ...

    def services(self) -> AbstractContextManager[Services]: ...


class LocalRun:
    """One `python -m infra.local` on free ports."""

    def __init__(self, data_dir: Path, **environ: str) -> None:
        self.data_dir = data_dir
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GATEWAY_"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "infra.local"],
            cwd=ROOT,
            env={**kept, "PORT": "0", "DATA_DIR": str(data_dir), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []

    def ready(self) -> LocalRun:
        """Read output until the ready line; fails if it does not come in time."""
        assert self.process.stdout is not None
        too_late = threading.Timer(BOUND, self.process.kill)
        too_late.start()
        try:
            for line in self.process.stdout:
                self.lines.append(line.rstrip("\n"))
                if line.startswith("Ready: "):
                    return self
        finally:
            too_late.cancel()
        raise AssertionError(f"never ready: {self.lines} {self.process.communicate(timeout=BOUND)[1]}")

    @property
    def url(self) -> str:
        return self.lines[-1].removeprefix("Ready: ").rstrip("/")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def told(self, name: str) -> str:
        return next(line.split(maxsplit=1)[1] for line in self.lines if line.split(maxsplit=1)[0] == name)

    @property
    def endpoint(self) -> str:
        """The address of the emulator."""
        return self.told("Emulator").split()[0]

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """Send a signal. Returns the exit code and the output after the ready line."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=BOUND)
        return self.process.returncode, out, err

    def clean_up(self) -> None:
        """End whatever is left of it, by its own pid."""
        if self.process.poll() is None:
            self.process.kill()
        emulator = DataDirectory(self.data_dir).emulator_lock
        if emulator.held():
            os.kill(int(emulator.holder()), signal.SIGKILL)
        self.process.communicate(timeout=BOUND)

    @property
    def password(self) -> str:
        """The generated password of the first user."""
        return str((read_json(DataDirectory(self.data_dir).admin_file) or {})["password"])

    def services(self) -> AbstractContextManager[Services]:
        """The service's own code over the run's tables, to prepare much data or to look at a ledger."""
        access = Access.of(DataDirectory(self.data_dir))
        return services_at(self.endpoint, Settings(gateway="sandbox"), access)


@contextmanager
def services_at(endpoint: str, settings: Settings, access: Access = ANYBODY) -> Iterator[Services]:
    """The service's own code over the tables and queues of an emulator."""
    keys = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint}
    access.put_into(keys)
    with mock.patch.dict(os.environ, keys):
        yield build(settings, **{name: aws_client(name) for name in ("dynamodb", "sqs")})


@contextmanager
def local_runs(directory: Path) -> Iterator[Callable[..., LocalRun]]:
    """Start runs, each with a data directory below this one, and end whatever is left of them.

    One process answers their HTTP and one sends, unless API_PROCESSES and SENDER_PROCESSES say otherwise: each takes a
    second and a half to start.
    """
    runs: list[LocalRun] = []

    def started(name: str = "data", **environ: str) -> LocalRun:
        runs.append(LocalRun(directory / name, **{"API_PROCESSES": "1", "SENDER_PROCESSES": "1"} | environ))
        return runs[-1]

    try:
        yield started
    finally:
        for run in runs:
            run.clean_up()


def wait_until(condition: Callable[[], object], bound: float = BOUND, every: float | Iterator[float] = 0.05) -> None:
    """Wait until a condition is true, checked every `every` seconds, or after each of these; fails after `bound`."""
    deadline = time.monotonic() + bound
    pauses = repeat(every) if isinstance(every, float | int) else every
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(next(pauses))


class ApiCaller:
    """Calls the REST API of a run, as its first user unless another one is named."""

    def __init__(self, run: Run, password: str = "", username: str = "admin") -> None:
        self._url = run.url
        self._session = requests.Session()
        self._session.trust_env = False
        login = {"username": username, "password": password or run.password}
        self._session.headers["Authorization"] = f"Token {self.call('POST', '/auth-token/', login)['token']}"

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """One request, whatever it answers."""
        return self._session.request(method, self._url + path, json=body, timeout=BOUND, **options)

    def call(self, method: str, path: str, body: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        """The body of a good answer."""
        answer = self.request(method, path, body, params=params)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def rows(self, path: str, **filters: str) -> list[dict[str, Any]]:
        """Every row of a list, page by page."""
        rows: list[dict[str, Any]] = []
        query: dict[str, str] = {"limit": "100", **filters}
        for _ in range(1000):
            page = self.call("GET", path, params=query)
            rows += page["rows"]
            if not page["next"]:
                return rows
            query["cursor"] = page["next"]
        raise AssertionError("a list without end")

    def close(self) -> None:
        with contextlib.suppress(requests.RequestException):
            self._session.close()
