"""Serves an ASGI application on loopback with uvicorn: the emulator and the sandbox gateway."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from infra.local.loopback import BACKLOG

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class _Gathering:
    """A connection that sends everything written in one turn of the event loop at once.

    uvicorn writes head and body of a response separately, and each would wake up the reader.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(part)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))


class GatheringProtocol(HttpToolsProtocol):
    """A connection that sends each response at once."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(_Gathering(transport, self.loop))  # type: ignore[arg-type]


def create_server(
    application: Application,
    lifespan: bool = False,
    protocol: type[GatheringProtocol] = GatheringProtocol,
    signals: bool = True,
) -> uvicorn.Server:
    """A server that stops on SIGTERM: running requests get a second, then `serve` returns.

    `signals` is false for one that runs in a thread and is told to stop.
    """
    if signals:  # uvicorn raises the signal that stopped it again when it is done
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
    return uvicorn.Server(
        uvicorn.Config(
            application,
            interface="asgi3",
            http=protocol,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            ws="none",
            lifespan="on" if lifespan else "off",
            loop="none",
            backlog=BACKLOG,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
    )


async def answer(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    """Send a whole response."""
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def body_of(receive: Receive, limit: int, read_limit: int = 0) -> bytes | None:
    """A request's whole body; None if it is longer than `limit` bytes or its sender has gone.

    Of a longer one up to `read_limit` bytes are read, because a caller who is still sending would not see the answer.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part = bytes(message.get("body", b""))
        size += len(part)
        if size <= limit:
            parts.append(part)
        elif size > read_limit:
            return None
        if not message.get("more_body"):
            return b"".join(parts) if size <= limit else None


def serve(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until the server is told to stop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets=[listener]))
