"""Serves a WSGI application on loopback: a thread for each connection, which reads, answers and reads on.

So a request wakes up nobody else. A server that reads in one thread and answers in another takes more CPU time for that
than a read of the API takes by itself.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from infra.local.gateway_responses import CONTENT_TYPE, GATEWAY_RESPONSES
from infra.local.http_requests import Environ, Requests
from infra.local.loopback import port_of

logger = logging.getLogger(__name__)

_CONNECTIONS = 1000
_CHUNK = 65_536  # bytes read at a time
_PATIENCE = 120.0  # seconds that a connection may say nothing
_LINGER = 1.0  # seconds in which a caller who is refused may stop sending
_REFUSALS = {
    HTTPStatus.BAD_REQUEST: GATEWAY_RESPONSES["BAD_REQUEST_PARAMETERS"],
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: GATEWAY_RESPONSES["REQUEST_TOO_LARGE"],
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: GATEWAY_RESPONSES["REQUEST_HEADERS_TOO_LARGE"],
}

Application = Callable[[Environ, Any], Iterable[bytes]]


class WebServer:
    """One application on one listening socket, which other processes may have too, served in the background."""

    def __init__(self, application: Application, listener: socket.socket, threads: int) -> None:
        """`threads` is how many requests are answered at once."""
        self.port = port_of(listener)
        self._application = application
        self._listener = listener
        self._turns = threading.BoundedSemaphore(threads)
        self._room = threading.BoundedSemaphore(_CONNECTIONS)
        self._open: dict[threading.Thread, socket.socket] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._accept, name="web-server", daemon=True)

    def start(self) -> None:
        """Start answering; returns at once."""
        # Who waits in `accept` is woken in turn: the connections are shared evenly among the processes.
        self._listener.setblocking(True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Take no more requests, and wait up to `timeout` seconds for those that are being answered."""
        if self._stopping:
            return
        self._stopping = True
        deadline = time.monotonic() + timeout
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # else it would be waited for
        self._thread.join(timeout)
        self._listener.close()
        left = list(self._open.items())
        for _, connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        for thread, _ in left:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        while not self._stopping:
            self._room.acquire()
            try:
                connection, address = self._listener.accept()
            except OSError as error:
                self._room.release()
                if not self._stopping:
                    logger.error("no connection can be taken: %s", error)
                    time.sleep(0.1)
                continue
            thread = threading.Thread(target=self._serve, args=(connection, address[0]), daemon=True)
            self._open[thread] = connection
            thread.start()

    def _serve(self, connection: socket.socket, address: str) -> None:
        try:
            with connection, contextlib.suppress(OSError):  # the caller has gone, or is silent
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(_PATIENCE)
                self._converse(connection, address)
        finally:
            del self._open[threading.current_thread()]
            self._room.release()

    def _converse(self, connection: socket.socket, address: str) -> None:
        requests = Requests({"REMOTE_ADDR": address, "SERVER_PORT": str(self.port), "wsgi.url_scheme": "http"})
        while data := connection.recv(_CHUNK):
            for environ, keep in requests.feed(data):
                keep = keep and not self._stopping
                with self._turns:
                    answer = self._answer(environ, keep)
                connection.sendall(answer)
                if not keep:
                    return
            if requests.refused:
                _refuse(connection, requests.refused)
                return
            if requests.waits:
                requests.waits = False
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _answer(self, environ: Environ, keep: bool) -> bytes:
        said: list[Any] = []
        body = b"".join(self._application(environ, lambda *status_and_headers: said.extend(status_and_headers)))
        status, headers = said
        if not keep:
            headers.append(("Connection", "close"))
        elif environ["SERVER_PROTOCOL"] == "HTTP/1.0":
            headers.append(("Connection", "keep-alive"))
        return _answer(status, headers, body)


def _answer(status: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return f"HTTP/1.1 {status}\r\nDate: {_date(int(time.time()))}\r\n{lines}\r\n".encode("latin-1") + body


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def _refuse(connection: socket.socket, status: HTTPStatus) -> None:
    """Answer what cannot even be handed to the application, and end the connection."""
    body = _REFUSALS[status].body
    headers = [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body))), ("Connection", "close")]
    connection.sendall(_answer(f"{status.value} {status.phrase}", headers, body))
    # Who still sends would lose the answer if the connection were closed at once.
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(_LINGER)
    deadline = time.monotonic() + _LINGER
    while connection.recv(_CHUNK) and time.monotonic() < deadline:
        pass
