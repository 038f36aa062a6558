"""Processes that live with the service: they end when it does, because their standard input ends."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

from infra.local.logs import open_log

logger = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[2]


class ChildError(Exception):
    """A child process did not start."""


class ChildProcess:
    """A module of this package in its own process, which prints a line when it is ready.

    `log` is the file for its standard error, None for that of this process. `stop_bound` is how many seconds it may
    take to end. `given` is a file descriptor that it inherits.
    """

    def __init__(self, module: str, log: Path | None, stop_bound: float, given: int | None = None) -> None:
        self._module = module
        self._log = log
        self._stop_bound = stop_bound
        self._given = given
        self._process = self._started(*self._again())

    def revive(self) -> None:
        """Start it again if it has ended. If that fails, the next call tries again."""
        if self._process.poll() is None:
            return
        logger.error("%s ended (exit %s) and is started again", self._module, self._process.returncode)
        try:
            self._process = self._started(*self._again())
            self.begin()
            self.await_ready()
        except ChildError as error:
            logger.error("%s", error)

    def begin(self) -> None:
        """Send it what it needs to know, if anything; `await_ready` waits until it is ready."""

    def await_ready(self) -> None:
        """Wait until it is ready. Raises ChildError if it does not start."""
        self._heard()

    def ask_to_stop(self) -> None:
        """Ask it to end; returns at once."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended already
                self._process.stdin.close()

    def stop(self) -> None:
        """End it, and wait until it has."""
        self.ask_to_stop()
        try:
            self._process.wait(self._stop_bound)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _again(self) -> tuple[str, ...]:
        """The arguments to start it with."""
        return ()

    def _tell(self, what: dict[str, Any]) -> None:
        """Send it a line of JSON. Does nothing if it has ended, which `revive` and `await_ready` notice."""
        if self._process.stdin is not None:
            try:
                self._process.stdin.write(json.dumps(what).encode() + b"\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                logger.warning("%s ended before it could be told anything", self._module)

    def _started(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"infra.local.{self._module}", *arguments]
        log: BinaryIO | None = os.fdopen(open_log(self._log), "ab") if self._log is not None else None
        try:
            # A session of its own: Ctrl-C in the terminal is for the service, which ends it after its last call.
            return subprocess.Popen(
                command,
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                pass_fds=() if self._given is None else (self._given,),
            )
        finally:
            if log is not None:
                log.close()

    def _heard(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout is not None else b""
        if not line.strip():
            raise ChildError(f"{self._module} did not start, see {self._log or 'service.log'}")
        return line.decode().strip()


class SandboxProcess(ChildProcess):
    """The sandbox gateway, on a free port; if it ends, it is started again on the same port."""

    def __init__(self, log: Path) -> None:
        self.port = 0
        super().__init__("sandbox_gateway", log, stop_bound=5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def await_ready(self) -> None:
        """Wait until it listens. Raises ChildError if it does not."""
        self.port = int(self._heard())

    def _again(self) -> tuple[str, ...]:
        return (str(self.port),) if self.port else ()


class SendersProcess(ChildProcess):
    """One of the processes that send. It imports what it needs, and works once it is told its environment.

    `processes` is how many there are.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        super().__init__("senders", None, stop_bound=8)

    def begin(self) -> None:
        """Tell it the environment of this process, with its share of the gateway's calls and of the senders."""
        calls = int(os.environ["GATEWAY_CONCURRENCY"]) // self._processes
        environment = {**os.environ, "GATEWAY_CONCURRENCY": str(calls)}
        self._tell({"environment": environment, "processes": self._processes})


class FrontProcess(ChildProcess):
    """One of the processes that answer HTTP on the same listening socket: if one is down, connections wait for another.

    They import everything at once, and answer as soon as they get their environment.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._trouble = ""
        super().__init__("front", None, stop_bound=12, given=listener.fileno())

    def begin(self) -> None:
        """Send it the environment of this process, and the emulator's trouble."""
        self._tell({"environment": dict(os.environ), "trouble": self._trouble})

    def tell_trouble(self, trouble: str) -> None:
        """Send what /health/ready should say about the emulator, "" if nothing."""
        if trouble != self._trouble:
            self._trouble = trouble
            self._tell({"trouble": trouble})

    def _again(self) -> tuple[str, ...]:
        return (str(self._given),)
