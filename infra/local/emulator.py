"""The embedded emulator's life as the service sees it: found again or started, watched, and stopped with its data.

The emulator is a process of its own (`infra/local/emulator_process.py`) in a session of its own. It outlives a killed
service, so nothing is lost then; the next run finds it by `emulator.json` and takes it over.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from infra.local.data_directory import DataDirectory, read_json
from infra.local.logs import open_log

logger = logging.getLogger(__name__)

IDENTITY_PATH = "/_local/identity"
_START_BOUND = 30.0
_STOP_BOUND = 30.0
_POLL = 0.02
_ROOT = Path(__file__).resolve().parents[2]


class EmulatorError(Exception):
    """The emulator cannot be started, or one is there that does not answer."""


class Emulator:
    """The running emulator of one data directory."""

    def __init__(self, directory: DataDirectory, pid: int, port: int, process: subprocess.Popen[bytes] | None) -> None:
        self._directory = directory
        self._process = process
        self.pid = pid
        self.port = port

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def adopted(self) -> bool:
        """Whether an earlier run started it."""
        return self._process is None

    @classmethod
    def start_or_adopt(cls, directory: DataDirectory, port: int = 0) -> Emulator:
        """The directory's emulator, ready to answer; EmulatorError says why there is none. Port 0 takes a free one."""
        found = cls._found(directory)
        if found is not None:
            return found
        log_path = directory.log("emulator")
        with os.fdopen(open_log(log_path), "ab") as log:
            command = [sys.executable, "-m", "infra.local.emulator_process", str(directory.path), str(port)]
            # A session of its own: Ctrl-C in the terminal is for the service, which stops the emulator last.
            process = subprocess.Popen(
                command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _START_BOUND
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise EmulatorError(f"the emulator ended at once (exit {process.returncode}), see {log_path}")
            state = read_json(directory.emulator_file)
            if state is not None and state.get("pid") == process.pid and _is_ours(state):
                return cls(directory, process.pid, state["port"], process)
            time.sleep(_POLL)
        process.terminate()
        raise EmulatorError(f"the emulator did not answer within {_START_BOUND:.0f} s, see {log_path}")

    @classmethod
    def _found(cls, directory: DataDirectory) -> Emulator | None:
        """An earlier run's emulator; waits for one that is just starting or stopping."""
        deadline = time.monotonic() + _STOP_BOUND
        while True:
            state = read_json(directory.emulator_file)
            if state is not None and _is_ours(state):
                return cls(directory, state["pid"], state["port"], None)
            if not directory.emulator_lock.held():
                return None
            if time.monotonic() >= deadline:
                holder = directory.emulator_lock.holder()
                raise EmulatorError(f"the emulator of {directory.path} (pid {holder}) does not answer; end it first")
            time.sleep(_POLL)

    def alive(self) -> bool:
        """Whether its process still runs."""
        if self._process is not None:
            return self._process.poll() is None
        return self._directory.emulator_lock.held()

    def stop(self, bound: float = _STOP_BOUND) -> bool:
        """End it gracefully, so that it saves its data; whether it ended within `bound` seconds."""
        try:
            os.kill(self.pid, signal.SIGTERM)
        except ProcessLookupError:
            return True
        deadline = time.monotonic() + bound
        while self.alive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL)
        return True


def _is_ours(state: dict[str, object]) -> bool:
    """A port may have passed to anybody since the file was written: only the emulator of the file knows its name."""
    port = state.get("port")
    if not isinstance(port, int):
        return False
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", IDENTITY_PATH)
        answer = json.loads(connection.getresponse().read())
        return isinstance(answer, dict) and answer.get("instance") == state.get("instance")
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
