"""Processes that live with the service: they end when it does, because their standard input ends."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

logger = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[2]
_STOP_BOUND = 5.0


class ChildError(Exception):
    """A child process did not come up."""


class SandboxProcess:
    """The sandbox gateway, started on a free port and started again there should it end."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process = self._started(0)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def await_ready(self) -> None:
        """Wait until it listens; ChildError if it does not."""
        self.port = self._announced_port()

    def revive(self) -> None:
        """Start it again if it has ended."""
        if self._process.poll() is not None:
            logger.error("the sandbox gateway ended (exit %s) and is started again", self._process.returncode)
            self._process = self._started(self.port)
            self._announced_port()

    def stop(self) -> None:
        """End it, and wait until it has."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_BOUND)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _started(self, port: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "infra.local.sandbox_gateway", str(port)]
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal is for the service, which ends it after its last call.
            return subprocess.Popen(
                command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )

    def _announced_port(self) -> int:
        line = self._process.stdout.readline() if self._process.stdout is not None else b""
        if not line.strip().isdigit():
            raise ChildError(f"the sandbox gateway did not start, see {self._log}")
        return int(line)
