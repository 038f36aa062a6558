"""The embedded emulator, as the service uses it: finds or starts it, watches it, and stops it with its data.

The emulator is a process (`infra/local/emulator_process.py`) in its own session. It outlives a killed service; the next
run finds it by `emulator.json` and takes it over. If it is killed itself, it starts again with everything that it had
acknowledged.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

from infra.local.data_directory import DataDirectory, read_json
from infra.local.emulator_access import Access
from infra.local.environment import durability
from infra.local.logs import open_log

logger = logging.getLogger(__name__)

IDENTITY_PATH = "/_local/identity"
NONCE, PROOF = "X-Local-Nonce", "X-Local-Proof"
NOT_SAVED = 3  # the exit code of an emulator that could write no snapshot at its end
_START_BOUND = 30.0
_STOP_BOUND = 30.0
_POLL = 0.02
_ROOT = Path(__file__).resolve().parents[2]


class EmulatorError(Exception):
    """The emulator cannot be started, or a running one does not answer."""


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
    def access(self) -> Access:
        """The credentials that it accepts."""
        return Access.of(self._directory)

    @property
    def adopted(self) -> bool:
        """Whether an earlier run started it."""
        return self._process is None

    @classmethod
    def start_or_adopt(cls, directory: DataDirectory, port: int = 0) -> Emulator:
        """The directory's emulator, ready to answer.

        Port 0 means a free one. Raises EmulatorError if it cannot be started.
        """
        found = cls._found(directory)
        if found is not None:
            if (read_json(directory.emulator_file) or {}).get("durability") == durability():
                return found
            found.stop()  # it began with another DURABILITY
        access = Access.of(directory)
        log_path = directory.log("emulator")
        with os.fdopen(open_log(log_path), "ab") as log:
            command = [sys.executable, "-m", "infra.local.emulator_process", str(directory.path), str(port)]
            # A session of its own: Ctrl-C in the terminal is for the service, which stops the emulator last.
            process = subprocess.Popen(
                command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _START_BOUND
        while time.monotonic() < deadline:
            if process.poll() is not None:
                reason = process.communicate()[0].decode().strip()
                raise EmulatorError(reason or f"the emulator ended at once (exit {process.returncode}), see {log_path}")
            state = read_json(directory.emulator_file)
            if state is not None and state.get("pid") == process.pid and _asked(state, access):
                if process.stdout is not None:
                    process.stdout.close()
                return cls(directory, process.pid, state["port"], process)
            time.sleep(_POLL)
        process.terminate()
        raise EmulatorError(f"the emulator did not answer within {_START_BOUND:.0f} s, see {log_path}")

    @classmethod
    def _found(cls, directory: DataDirectory) -> Emulator | None:
        """An earlier run's emulator; waits for one that is just starting or stopping."""
        access = Access.of(directory)
        deadline = time.monotonic() + _STOP_BOUND
        while True:
            state = read_json(directory.emulator_file)
            if state is not None and _asked(state, access):
                return cls(directory, state["pid"], state["port"], None)
            if not directory.emulator_lock.held():
                return None
            if time.monotonic() >= deadline:
                holder = directory.emulator_lock.holder()
                raise EmulatorError(f"the emulator of {directory.path} (pid {holder}) does not answer; stop it first")
            time.sleep(_POLL)

    def alive(self) -> bool:
        """Whether its process still runs."""
        if self._process is not None:
            return self._process.poll() is None
        return self._directory.emulator_lock.held()

    def trouble(self) -> str:
        """Why the service's writes cannot be saved now, "" if they can."""
        return str(self._told().get("write_trouble", ""))

    def queues_are_lost(self) -> bool:
        """Whether the last users of the queues were killed, or the queues were lost."""
        return self.adopted or bool(self._told().get("queues_lost"))

    def _told(self) -> dict[str, object]:
        state = read_json(self._directory.emulator_file) or {}
        return _asked(state, Access.of(self._directory)) or {}

    @property
    def saved(self) -> bool:
        """Whether it wrote a snapshot at its end, as far as this process knows."""
        return self._process is None or self._process.poll() != NOT_SAVED

    def stop(self, bound: float = _STOP_BOUND) -> bool:
        """Stop it gracefully, so that it saves its data. Returns whether it ended within `bound` seconds."""
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


def _asked(state: dict[str, object], access: Access) -> dict[str, object] | None:
    """Ask the emulator in a file about itself. Returns None if it does not run.

    The port may belong to another program by now, which must not learn the secret, so both sides prove that they know
    it.
    """
    port = state.get("port")
    if not isinstance(port, int):
        return None
    nonce = secrets.token_hex(16)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", IDENTITY_PATH, headers={NONCE: nonce, PROOF: access.proof(f"ask {nonce}")})
        answer = json.loads(connection.getresponse().read())
        if not isinstance(answer, dict) or answer.get("instance") != state.get("instance"):
            return None
        return answer if access.proves(f"answer {nonce}", str(answer.get("proof"))) else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
