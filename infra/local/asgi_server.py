"""Serves an ASGI application on loopback with uvicorn: the emulator and the sandbox gateway."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_BACKLOG = 1024


def listen(port: int) -> socket.socket:
    """A socket on 127.0.0.1 that lets callers wait until it is served; 0 takes a free port, OSError if it is taken."""
    # Without the protocol asyncio does not know it for TCP, leaves Nagle on, and every call takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(_BACKLOG)
    return listener


def create_server(application: Application, lifespan: bool = False) -> uvicorn.Server:
    """A server that a SIGTERM stops: running requests get a second, then `serve` returns."""
    # uvicorn raises the signal that stopped it once more when it is done.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return uvicorn.Server(
        uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            ws="none",
            lifespan="on" if lifespan else "off",
            loop="asyncio",
            backlog=_BACKLOG,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
    )


async def answer(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    """Send a whole response."""
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def body_of(receive: Receive, limit: int) -> bytes | None:
    """A request's whole body; None if it is longer than `limit` bytes or its sender has gone."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += bytes(message.get("body", b""))
        if len(body) > limit:
            return None
        if not message.get("more_body"):
            return body


def serve(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until the server is told to stop."""
    asyncio.run(server.serve(sockets=[listener]))
