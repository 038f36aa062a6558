"""Serves a WSGI application on loopback with uvicorn: errors in the service's shape, and a stop that waits."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import uvloop

from infra.local.asgi_server import GatheringProtocol, Receive, Scope, Send, body_of, create_server
from infra.local.gateway_responses import CONTENT_TYPE, GATEWAY_RESPONSES
from infra.local.loopback import port_of

logger = logging.getLogger(__name__)

BODY_LIMIT = 10 * 1024 * 1024  # bytes, API Gateway's
HEADER_LIMIT = 32 * 1024
_READ_LIMIT = 10 * BODY_LIMIT  # of a body that is refused
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_REFUSALS = {
    HTTPStatus.BAD_REQUEST: GATEWAY_RESPONSES["BAD_REQUEST_PARAMETERS"],
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: GATEWAY_RESPONSES["REQUEST_TOO_LARGE"],
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: GATEWAY_RESPONSES["REQUEST_HEADERS_TOO_LARGE"],
}

Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]
Reply = tuple[int, list[tuple[bytes, bytes]], bytes]


class WebServer:
    """One application on one listening socket, which other processes may have too, served in the background."""

    def __init__(self, application: Application, listener: socket.socket, threads: int) -> None:
        """`threads` is how many requests are answered at once."""
        self.port = port_of(listener)
        self._application = application
        self._listener = listener
        self._pool = ThreadPoolExecutor(threads, "request")
        self._server = create_server(self._serve, protocol=_Protocol, signals=False)
        self._thread = threading.Thread(target=self._run, name="web-server", daemon=True)

    def start(self) -> None:
        """Start answering; returns at once."""
        self._listener.setblocking(True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Take no more requests, and wait up to `timeout` seconds for those that are being answered."""
        self._server.config.timeout_graceful_shutdown = int(timeout)
        self._server.should_exit = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # else it would be waited for
        self._thread.join(timeout + 1)
        self._listener.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            # Who waits in `accept` is woken in turn, so the processes get connections evenly. Of event loops that wait
            # for the same socket one may get all of them.
            acceptor = threading.Thread(target=self._accept, args=(runner.get_loop(),), name="acceptor", daemon=True)
            acceptor.start()
            runner.run(self._server.serve(sockets=[]))
            acceptor.join()

    def _accept(self, loop: asyncio.AbstractEventLoop) -> None:
        def protocol() -> _Protocol:
            return _Protocol(self._server.config, self._server.server_state, {})

        while not self._server.should_exit:
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if not self._server.should_exit:
                    logger.error("no connection can be taken: %s", error)
                    time.sleep(0.1)
            else:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                asyncio.run_coroutine_threadsafe(loop.connect_accepted_socket(protocol, connection), loop)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            environ = _environ(scope, await _body(scope, receive))
        except _RefusedError as error:
            status, headers, content = _refusal(error.status)
        else:
            loop = asyncio.get_running_loop()
            status, headers, content = await loop.run_in_executor(self._pool, self._answer, environ)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, environ: Environ) -> Reply:
        said: list[Any] = []
        content = b"".join(self._application(environ, lambda *status_and_headers: said.extend(status_and_headers)))
        status, headers = said
        pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return int(status[:3]), pairs, content


class _RefusedError(Exception):
    """A request that is not handed to the application."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class _Protocol(GatheringProtocol):
    """A connection whose errors are problems, and whose addresses may have any bytes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._between_requests = True
        self._head = 0  # bytes of the head that is coming in

    def data_received(self, data: bytes) -> None:
        if self._between_requests:
            line, end, rest = data.partition(b"\r\n")
            if not line.isascii():  # as curl sends an address; what it means is left to who answers it
                data = _BEYOND_ASCII.sub(lambda one: b"%%%02X" % one[0][0], line) + end + rest
        self._head += len(data)
        super().data_received(data)
        if self._head > HEADER_LIMIT and not self.transport.is_closing():
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        self._between_requests, self._head = False, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head = -1 << 62  # what follows is the body
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._between_requests, self._head = True, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - what people would read
        self._refuse(HTTPStatus.BAD_REQUEST)

    def _refuse(self, status: HTTPStatus) -> None:
        _, headers, content = _refusal(status)
        lines = b"".join(b"%s: %s\r\n" % pair for pair in headers)
        self.transport.write(f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() + lines + b"\r\n" + content)
        self.transport.close()


def _refusal(status: HTTPStatus) -> Reply:
    content = _REFUSALS[status].body
    length = str(len(content)).encode()
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", length), (b"connection", b"close")]
    return status.value, headers, content


async def _body(scope: Scope, receive: Receive) -> bytes:
    """The body of a request. Raises _RefusedError if it is too long, or if its sender has gone."""
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_LIMIT:
        raise _RefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    headers = dict(scope["headers"])
    # Who expects to be told to go on sends nothing before; that is what reading would tell them.
    waits = int(headers.get(b"content-length", 0)) > BODY_LIMIT and b"expect" in headers
    body = None if waits else await body_of(receive, BODY_LIMIT, _READ_LIMIT)
    if body is None:
        raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return body


def _environ(scope: Scope, body: bytes) -> Environ:
    """A request as WSGI has it; of a header that comes twice it has all values."""
    query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
    path = scope["raw_path"].decode("latin-1")
    environ = {
        "REMOTE_ADDR": scope["client"][0],
        "SERVER_PORT": str(scope["server"][1]),
        "wsgi.url_scheme": "http",
        "REQUEST_METHOD": scope["method"],
        "REQUEST_URI": path + query,
        "PATH_INFO": path,
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.input": io.BytesIO(body),
    }
    for name, value in scope["headers"]:
        if b"_" in name:  # which would be taken for a hyphen
            continue
        key = name.decode("latin-1").upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]}, {text}" if key in environ else text
    return environ
