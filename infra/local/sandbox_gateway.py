"""The stand-in for the external gateway: takes every valid message after a small latency and shows what came.

`python -m infra.local.sandbox_gateway [PORT [ADDRESS]]` prints its port and ends when its standard input does, that is
with the process that started it. SANDBOX_LATENCY_MS is how long each message takes (20), SANDBOX_LOG a file that gets a
line for each good call, before it is answered: the time and the id.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections import OrderedDict, deque
from pathlib import Path
from typing import Any

from chalicelib.gateways.sandbox import played
from infra.local.asgi_server import Receive, Scope, Send, answer, body_of, create_server, serve
from infra.local.logs import open_log
from infra.local.loopback import is_from_here, listen, port_of
from infra.local.sandbox_receipts import Receipts

_PATH = "/v1/send/"
_REMEMBERED = 1000
_KNOWN = 200_000  # ids
_SHOWN = 20
_BODY_LIMIT = 1_000_000
_LARGEST = 2**63 - 1


class RefusedError(Exception):
    """The request breaks the contract; has the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _LostError(Exception):
    """The message gets no answer."""


class SandboxGateway:
    """An ASGI application with the contract of the external gateway."""

    def __init__(self, latency: float, log: str = "", port: int = 0) -> None:
        """`latency` in seconds; with a `port` only this machine is answered, at that port of 127.0.0.1."""
        self._latency = latency
        self._log = open_log(Path(log)) if log else None
        self._port = port
        self._latest: deque[dict[str, object]] = deque(maxlen=_REMEMBERED)
        self._known: OrderedDict[int, None] = OrderedDict()
        self._played: OrderedDict[int, int] = OrderedDict()
        self._receipts = Receipts()
        self._accepted = 0
        self._repeated = 0
        self._refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._port and not is_from_here(scope["headers"], self._port):
            await answer(send, 403, b"application/json", b'{"message": "only from this machine"}')
            return
        if scope["path"] == "/" and scope["method"] == "GET":
            await answer(send, 200, b"application/json", json.dumps(self.summary(), indent=2).encode())
            return
        body = await body_of(receive, _BODY_LIMIT)
        try:
            message = _message(scope, body)
            self._play(message)
        except _LostError:
            return  # without an answer, which the server makes a broken connection of
        except RefusedError as error:
            self._refused += 1
            status, reply = error.status, {"code": error.status, "message": str(error)}
        else:
            self._take(message)
            if url := next((value for name, value in scope["headers"] if name == b"x-receipt-url"), b""):
                self._receipts.promise(url.decode("latin-1"), message["phone"])
            if self._log is not None:
                os.write(self._log, f"{time.time():.3f} {message['id']}\n".encode())
            status, reply = 200, {"code": 0, "message": "OK"}
            await asyncio.sleep(self._latency)
        await answer(send, status, b"application/json", json.dumps(reply).encode())

    def _play(self, message: dict[str, Any]) -> None:
        """Raises RefusedError or _LostError if the message is to a test number."""
        nth = self._played[message["id"]] = self._played.pop(message["id"], 0) + 1
        if len(self._played) > _REMEMBERED:
            self._played.popitem(last=False)
        answer = played(f"+{message['phone']}", nth)
        if answer is not None and answer.http_status is None:
            raise _LostError
        if answer is not None and answer.http_status is not None:
            raise RefusedError(answer.http_status, answer.words or "as this number says")

    def _take(self, message: dict[str, Any]) -> None:
        """Accept a message. One with a known id is not accepted again: this gateway recognises ids while it runs."""
        if message["id"] in self._known:
            self._repeated += 1
            return
        self._known[message["id"]] = None
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        self._accepted += 1
        self._latest.append(message)

    def summary(self) -> dict[str, object]:
        """The messages so far; phone numbers show only their last two digits."""
        return {
            "accepted": self._accepted,
            "repeated": self._repeated,
            "refused": self._refused,
            "latest": [{**message, "phone": _masked(message["phone"])} for message in list(self._latest)[-_SHOWN:]],
        }


def _message(scope: Scope, body: bytes | None) -> dict[str, Any]:
    """The message of a request that keeps the contract to the letter."""
    path: str = scope["path"]
    if not path.startswith(_PATH):
        raise RefusedError(404, "no such resource")
    if scope["method"] != "POST":
        raise RefusedError(405, "only POST")
    authorization = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    if not authorization.startswith(b"Bearer ") or not authorization[7:].strip():
        raise RefusedError(401, "a bearer token is needed")
    try:
        message = json.loads(body or b"")
    except ValueError as error:
        raise RefusedError(400, "the body is not JSON") from error
    if not isinstance(message, dict) or set(message) != {"id", "phone", "text"}:
        raise RefusedError(400, "the body must have exactly id, phone and text")
    for name in ("id", "phone"):
        if type(message[name]) is not int or not 0 < message[name] <= _LARGEST:
            raise RefusedError(400, f"{name} must be a positive 64-bit integer")
    if path[len(_PATH) :] != str(message["id"]):
        raise RefusedError(400, "the id in the path is another one")
    if not isinstance(message["text"], str) or not message["text"]:
        raise RefusedError(400, "text must be a text")
    return message


def _masked(phone: object) -> str:
    digits = str(phone)
    return "*" * (len(digits) - 2) + digits[-2:]


def main() -> int:
    """Serve until the parent has gone or a signal comes."""
    listener = listen(int(sys.argv[1]) if len(sys.argv) > 1 else 0, *sys.argv[2:3])
    latency = float(os.environ.get("SANDBOX_LATENCY_MS", "").strip() or 20) / 1000
    port = port_of(listener) if listener.getsockname()[0] == "127.0.0.1" else 0
    server = create_server(SandboxGateway(latency, os.environ.get("SANDBOX_LOG", ""), port))

    def await_parent() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True

    threading.Thread(target=await_parent, daemon=True).start()
    sys.stdout.write(f"{port_of(listener)}\n")
    sys.stdout.flush()
    serve(server, listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
