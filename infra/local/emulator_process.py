"""The emulator process: MiniStack behind a quick server, saving its state while it runs and when it ends.

`python -m infra.local.emulator_process DATA_DIR [PORT]` is started by `infra/local/emulator.py`. Run without a
service (nobody holds DATA_DIR, no request comes), it ends by itself after ten minutes, with its state saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import json
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import uvloop

from infra.local import ordered_reads, remembered_parses
from infra.local.asgi_server import Application, Message, Receive, Scope, Send, answer, create_server
from infra.local.call_meter import CallMeter
from infra.local.data_directory import DataDirectory, write_private
from infra.local.emulator import IDENTITY_PATH
from infra.local.loopback import listen, port_of

SNAPSHOT_SECONDS = float(os.environ.get("EMULATOR_SNAPSHOT_SECONDS", "30"))
IDLE_SECONDS = float(os.environ.get("EMULATOR_IDLE_SECONDS", "600"))
REMEMBERS = os.environ.get("EMULATOR_REMEMBERS", "1") != "0"
CALLS_FILE = os.environ.get("EMULATOR_CALLS_FILE", "")  # where calls and their CPU time are told at the end
_WATCH_SECONDS = 1.0
_LOCK_BOUND = 30.0
# A snapshot may take at most this part of the time: with very much data they become rarer.
_SNAPSHOT_SHARE = 0.1
_READING = (b"Get", b"Describe", b"List", b"Query", b"Scan", b"BatchGet", b"TransactGet", b"ReceiveMessage")


class StatefulApplication:
    """MiniStack's ASGI application, with an identity, knowledge of what was written, and snapshots of it."""

    def __init__(self, application: Application, save: Callable[[], None], directory: DataDirectory) -> None:
        self._application = application
        self._save = save
        self._directory = directory
        self._snapshot_pid: int | None = None
        self._snapshot_began = 0.0
        self._next_snapshot = 0.0
        self.instance = uuid.uuid4().hex
        self.changed = False
        self.last_request = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._application(scope, self._before_shutdown(receive), send)
            return
        if scope.get("path") == IDENTITY_PATH:
            await answer(send, 200, b"application/json", json.dumps({"instance": self.instance}).encode())
            return
        self.last_request = time.monotonic()
        if scope["type"] == "http" and _writes(scope):
            self.changed = True
        await self._application(scope, receive, send)

    def snapshot(self) -> None:
        """Save the state from a forked child, so that no request waits for it.

        Called from the event loop, where MiniStack handles DynamoDB and SQS calls whole: no child sees half a call.
        """
        now = time.monotonic()
        if not self._snapshot_ended(now) or not self.changed or now < self._next_snapshot:
            return
        self.changed = False
        self._snapshot_began = now
        self._next_snapshot = now + SNAPSHOT_SECONDS
        pid = os.fork()
        if pid == 0:
            self._save_and_exit()
        self._snapshot_pid = pid

    def _save_and_exit(self) -> NoReturn:
        try:
            os.nice(10)
            gc.disable()
            _hasten_saving()
            self._save()
        finally:
            os._exit(0)

    def _snapshot_ended(self, now: float) -> bool:
        if self._snapshot_pid is None:
            return True
        if os.waitpid(self._snapshot_pid, os.WNOHANG)[0] == 0:
            return False
        self._snapshot_pid = None
        self._next_snapshot = max(self._next_snapshot, now + (now - self._snapshot_began) / _SNAPSHOT_SHARE)
        return True

    def _before_shutdown(self, receive: Receive) -> Receive:
        async def received() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self._end_snapshot()
                _hasten_saving()
            return message

        return received

    def _end_snapshot(self) -> None:
        """Two savers would write to the same temporary files."""
        if self._snapshot_pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._snapshot_pid, signal.SIGKILL)
            os.waitpid(self._snapshot_pid, 0)
            self._snapshot_pid = None


def _hasten_saving() -> None:
    """Only for a process that will serve no more: it need not copy what nobody changes, and json.dumps is all C."""

    def deepcopy(value: Any, memo: object = None) -> Any:  # noqa: ARG001 - as copy.deepcopy is called
        return value

    def dump(value: Any, file: Any, **options: Any) -> None:
        file.write(json.dumps(value, **options))

    copy.deepcopy = deepcopy  # type: ignore[assignment]
    json.dump = dump  # type: ignore[assignment]


def _writes(scope: Scope) -> bool:
    target = next((value for name, value in scope["headers"] if name == b"x-amz-target"), b"")
    action = target.rpartition(b".")[2]
    return scope["method"] not in {"GET", "HEAD"} and not action.startswith(_READING)


async def _watch(application: StatefulApplication, directory: DataDirectory) -> None:
    """Save now and then, and end when nobody has needed the emulator for a while."""
    needed = time.monotonic()
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        application.snapshot()
        if directory.run_lock.held():
            needed = time.monotonic()
        if time.monotonic() - max(needed, application.last_request) > IDLE_SECONDS:
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _configure(directory: DataDirectory) -> None:
    """MiniStack reads its environment when it is imported."""
    os.environ.update(
        BIND_HOST="127.0.0.1",
        # Not the real port: it is part of the names under which queues are saved, and the next run has another one.
        GATEWAY_PORT="4566",
        SERVICES="dynamodb,sqs,secretsmanager",
        PERSIST_STATE="1",
        STATE_DIR=str(directory.emulator_state),
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        LOG_LEVEL="WARNING",
        # Nothing here uses Docker; without a daemon's address none is looked for.
        DOCKER_HOST="unix:///nonexistent/docker.sock",
    )


async def _serve(directory: DataDirectory, listener: socket.socket) -> None:
    import ministack.app

    ordered_reads.install()
    if REMEMBERS:
        remembered_parses.install()
    meter = CallMeter(ministack.app.app) if CALLS_FILE else None
    application = StatefulApplication(
        meter or ministack.app.app,
        lambda: ministack.app.save_all(ministack.app._build_persistence_save_dict()),
        directory,
    )
    server = create_server(application, lifespan=True)
    state = {"pid": os.getpid(), "port": port_of(listener), "instance": application.instance}
    write_private(directory.emulator_file, state)
    watch = asyncio.create_task(_watch(application, directory))
    try:
        await server.serve(sockets=[listener])
    finally:
        watch.cancel()
        if meter:
            meter.write(Path(CALLS_FILE))
        directory.emulator_file.unlink(missing_ok=True)


def main() -> int:
    """Serve until SIGTERM; exit code 1 if another emulator has the directory."""
    directory = DataDirectory(sys.argv[1])
    if not directory.emulator_lock.acquire(wait=_LOCK_BOUND):
        sys.stderr.write(f"an emulator (pid {directory.emulator_lock.holder()}) already has {directory.path}\n")
        return 1
    listener = listen(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    _configure(directory)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(directory, listener))
    return 0


if __name__ == "__main__":
    sys.exit(main())
