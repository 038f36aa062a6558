"""The emulator process: MiniStack's services, kept on disk, for callers with the credentials of its data directory.

`python -m infra.local.emulator_process DATA_DIR [PORT]` is started by `infra/local/emulator.py`. Run without a
service (nobody holds DATA_DIR, no call comes), it ends by itself after ten minutes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import uvloop

from infra.local.asgi_server import Application, Receive, Scope, Send, answer, body_of, create_server
from infra.local.call_meter import CallMeter
from infra.local.data_directory import DataDirectory, write_private
from infra.local.emulator import IDENTITY_PATH, NONCE, PROOF
from infra.local.emulator_access import Access, NoAccessError, check_sender, check_signature, headers_of
from infra.local.engine import Answer, Engine, UnknownCallError, configure
from infra.local.environment import durability
from infra.local.garbage import collect_seldom
from infra.local.journal import DamagedError
from infra.local.keeper import Keeper, NotKeptError
from infra.local.loopback import listen, port_of
from infra.local.store import Store

logger = logging.getLogger(__name__)

SNAPSHOT_SECONDS = float(os.environ.get("EMULATOR_SNAPSHOT_SECONDS", "300"))
IDLE_SECONDS = float(os.environ.get("EMULATOR_IDLE_SECONDS", "600"))
REMEMBERS = os.environ.get("EMULATOR_REMEMBERS", "1") != "0"
CALLS_FILE = os.environ.get("EMULATOR_CALLS_FILE", "")  # where calls and their CPU time are told at the end
_WATCH_SECONDS = 1.0
_LOCK_BOUND = 30.0
_BODY_LIMIT = 32_000_000  # bytes; the largest call of DynamoDB has 16 MB
_JSON = "application/x-amz-json-1.0"
# Not 500 or 503: clients would try again for half a minute what cannot work before there is room.
_NO_ROOM = 507


class EmulatorApplication:
    """The ASGI application: checks who calls, carries out the call, and answers once its changes are saved."""

    def __init__(self, access: Access, engine: Engine, keeper: Keeper, port: int, *, queues_lost: bool) -> None:
        self._access = access
        self._queues_lost = queues_lost
        self._engine = engine
        self._keeper = keeper
        self._port = port
        self.instance = uuid.uuid4().hex
        self.last_request = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            headers = headers_of(scope)
            check_sender(headers, self._port)
            if scope["path"] == IDENTITY_PATH:
                await self._identify(headers, send)
                return
            await self._call(scope, headers, receive, send)
        except NoAccessError as error:
            await _send(send, *_refusal(403, error.code, str(error)))

    async def _identify(self, headers: dict[str, str], send: Send) -> None:
        """Prove who this is to a caller who proves to know the secret too, without revealing it."""
        nonce, proof = headers.get(NONCE.lower(), ""), headers.get(PROOF.lower(), "")
        if not nonce or not self._access.proves(f"ask {nonce}", proof):
            raise NoAccessError("UnrecognizedClientException", "only this directory's service may ask")
        told = {
            "instance": self.instance,
            "proof": self._access.proof(f"answer {nonce}"),
            "write_trouble": self._keeper.write_trouble,
            "snapshot_trouble": self._keeper.snapshot_trouble,
            "queues_lost": self._queues_lost,
        }
        await answer(send, 200, b"application/json", json.dumps(told).encode())

    async def _call(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        target = headers.get("x-amz-target", "")
        if scope["method"] != "POST" or scope["path"] != "/" or scope["query_string"] or not target:
            raise NoAccessError("AccessDeniedException", "only calls of DynamoDB, SQS and Secrets Manager in JSON")
        body = await body_of(receive, _BODY_LIMIT)
        if body is None:
            raise NoAccessError("RequestEntityTooLarge", "the call is too large")
        region = check_signature(self._access, scope, headers, body)
        self.last_request = time.monotonic()
        try:
            status, answered, content = await self._carried_out(target, region, headers, body)
        except UnknownCallError as error:
            status, answered, content = _refusal(400, "UnknownOperationException", f"not in this emulator: {error}")
        except NotKeptError as error:
            status, answered, content = _refusal(_NO_ROOM, "InsufficientStorage", str(error))
        await _send(send, status, answered, content)

    async def _carried_out(self, target: str, region: str, headers: dict[str, str], body: bytes) -> Answer:
        """The engine's answer, once the call's changes are saved."""
        setup = self._engine.changes_setup(target)
        try:
            answered = await self._engine.call(target, region, headers, body)
        except UnknownCallError:
            raise
        except Exception:  # the boundary of one call
            logger.exception("%s failed", target)
            self._keeper.undo_all(*self._engine.taken(), setup=setup)
            return 500, {"Content-Type": _JSON}, b'{"__type": "InternalServerError"}'
        changes, tokens = self._engine.taken()
        if changes or setup:
            await self._keeper.keep(changes, tokens, setup=setup)
        return answered


def _refusal(status: int, code: str, message: str) -> Answer:
    return status, {"Content-Type": _JSON}, json.dumps({"__type": code, "message": message}).encode()


async def _send(send: Send, status: int, headers: dict[str, str], content: bytes) -> None:
    lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    lines.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": content})


async def _watch(application: EmulatorApplication, keeper: Keeper, directory: DataDirectory) -> None:
    """Save now and then, and end when nobody has needed the emulator for a while."""
    needed = time.monotonic()
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        await keeper.snapshot()
        if directory.run_lock.held():
            needed = time.monotonic()
        if time.monotonic() - max(needed, application.last_request) > IDLE_SECONDS:
            os.kill(os.getpid(), signal.SIGTERM)
            return


async def _serve(directory: DataDirectory, listener: socket.socket, engine: Engine, store: Store) -> bool:
    """Serve until SIGTERM. Returns whether a last snapshot could be written."""
    keeper = Keeper(engine, store, durability(), SNAPSHOT_SECONDS)
    access, port = Access.of(directory), port_of(listener)
    application = EmulatorApplication(access, engine, keeper, port, queues_lost=store.queues_lost)
    meter = CallMeter(application) if CALLS_FILE else None
    served: Application = meter or application
    server = create_server(served)
    state: dict[str, Any] = {"pid": os.getpid(), "port": port, "instance": application.instance}
    state["durability"] = durability()
    write_private(directory.emulator_file, state)
    watch = asyncio.create_task(_watch(application, keeper, directory))
    try:
        await server.serve(sockets=[listener])
    finally:
        watch.cancel()
        if meter:
            meter.write(Path(CALLS_FILE))
        saved = await keeper.end()
        directory.emulator_file.unlink(missing_ok=True)
    return saved


def main() -> int:
    """Serve until SIGTERM. Exit code 1 if it cannot begin, with the reason on standard output; 3 if all that was
    acknowledged is on disk, but no snapshot of it could be written at the end."""
    directory = DataDirectory(sys.argv[1])
    directory.make_private()
    if not directory.emulator_lock.acquire(wait=_LOCK_BOUND):
        return _given_up(f"an emulator (pid {directory.emulator_lock.holder()}) already has {directory.path}")
    configure()
    engine = Engine(REMEMBERS)
    store = Store(directory.emulator_state, engine)
    try:
        store.load()
        listener = listen(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    except DamagedError as error:
        return _given_up(f"{error}. Nothing was changed: {store.advice(error)}")
    except OSError as error:
        return _given_up(f"{error.filename or directory.path}: {error.strerror}")
    collect_seldom()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return 0 if runner.run(_serve(directory, listener, engine, store)) else 3


def _given_up(reason: str) -> int:
    """Tell who has started this; exit code 1."""
    sys.stdout.write(f"{reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
