"""One request over a kept connection, with time limits and checked addresses; errors say whether it may have been sent.

A call has two time limits. Connecting is everything before the last look: the name lookup, all addresses that are
tried, and TLS. Answering is everything after it: the request and the whole answer, however slowly its bytes come.

urllib3 connects. Sending and reading is done here in a shorter way, because it is half of the CPU time of a message.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import time
import weakref
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from queue import Empty, Full, LifoQueue
from typing import Any

import httptools
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import Url
from urllib3.util.ssl_ import create_urllib3_context

from ..domain.reasons import Cause, Reason
from ..http_answers import HttpAnswer
from .addresses import connect_to

MAX_ANSWER = 65_536  # bytes; longer answers are dropped
CHUNK = 8192  # bytes read at once
# Seconds that a connection may be idle. A load balancer may drop it silently after some time, and a frozen Lambda
# environment does not notice that it was closed: the next call would be lost.
MAX_IDLE = 5.0
_AGENT = "message-service"
_LENGTHS = frozenset({"content-length", "transfer-encoding"})
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # not allowed in a line of a request
_GZIP_OR_ZLIB = 47  # zlib detects which


class NotSent(Exception):
    """Nothing was sent, for this cause."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(str(cause))
        self.cause = cause


class NoAnswer(Exception):
    """The request may have been read, and there is no answer, for this cause."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. `path` is quoted, and is appended to the path of the gateway's address."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, its headers by names in lower case. `body` is None if it was longer than MAX_ANSWER."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class _Timed:
    """A connection with a time limit for connecting, and to public addresses only if required."""

    connect_by = 0.0  # of the monotonic clock
    public_only = False
    used_at = (0.0, 0.0)  # by the monotonic and the wall clock: either may stop while a machine sleeps

    def _new_conn(self: Any) -> socket.socket:
        host = self._dns_host.strip("[]")
        return connect_to(host, self.port, self.connect_by, self.socket_options, public_only=self.public_only)

    def note_use(self) -> None:
        self.used_at = (time.monotonic(), time.time())

    def is_usable(self: Any) -> bool:
        """Whether it seems to be open, and was used lately."""
        if self.sock is None or max(time.monotonic() - self.used_at[0], time.time() - self.used_at[1]) >= MAX_IDLE:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0) or _is_quiet(self.sock)  # else it was closed, or has unexpected data


def _is_quiet(connection: socket.socket) -> bool:
    """Whether data on a connection belongs to TLS itself, such as the tickets after a handshake."""
    if not isinstance(connection, ssl.SSLSocket):
        return False
    timeout = connection.gettimeout()
    connection.setblocking(False)
    try:
        connection.recv(1)
    except ssl.SSLWantReadError:
        return True
    except OSError:
        return False
    finally:
        connection.settimeout(timeout)
    return False


class _HTTP(_Timed, HTTPConnection):
    pass


class _HTTPS(_Timed, HTTPSConnection):
    pass


_Connection = _HTTP | _HTTPS


@dataclass(frozen=True, slots=True)
class Limits:
    """How long calls may take, and which addresses they may reach.

    `connect_timeout` and `read_timeout` are the two time limits of a call, in seconds. `certificates` is a file of
    trusted certificates.
    """

    connect_timeout: float
    read_timeout: float
    certificates: str
    public_only: bool


@lru_cache(maxsize=4)
def _trusting(certificates: str) -> ssl.SSLContext:
    """TLS for all connections of this process that trust a file's certificates: reading them takes 10 ms."""
    context = create_urllib3_context()
    context.load_verify_locations(cafile=certificates)
    return context


class Transport:
    """Makes requests to one host, over up to `connections` kept connections. May be used by several threads at once.

    Raises ValueError if the URL has no host or another scheme than http and https.
    """

    def __init__(self, url: Url, limits: Limits, *, connections: int) -> None:
        if not url.host or url.scheme not in ("http", "https"):
            raise ValueError("no address of HTTP")
        self._host = url.host
        self._port = url.port
        self._name = url.netloc or url.host
        self._connect_timeout = limits.connect_timeout
        self._read_timeout = limits.read_timeout
        self._public_only = limits.public_only
        self._kept: LifoQueue[_Connection] = LifoQueue(maxsize=connections)
        weakref.finalize(self, _close_all, self._kept)
        self._tls: dict[str, Any] | None = None
        if url.scheme == "https":
            self._tls = {"ssl_context": _trusting(limits.certificates), "cert_reqs": "CERT_REQUIRED"}

    def exchange(self, request: Request, last_look: Callable[[], None]) -> Reply:
        """Connect, take the last look, send, and read the answer. If `last_look` raises, nothing is sent.

        Raises NotSent if nothing was sent, NotPublic if the host's address is not public, NoAnswer otherwise.
        """
        connection = self._connected()
        try:
            last_look()
            if not connection.is_usable():  # it was closed while the last look waited for the message's turn
                connection.close()
                connection = self._connect()
                last_look()
        except BaseException:
            self._keep(connection)
            raise
        try:
            reply = self._exchange(connection, request)
        except BaseException:
            connection.close()
            raise
        connection.note_use()
        self._keep(connection)
        return reply

    def _connected(self) -> _Connection:
        while True:
            try:
                connection = self._kept.get_nowait()
            except Empty:
                return self._connect()
            if connection.is_usable():
                return connection
            connection.close()

    def _connect(self) -> _Connection:
        connection: _Connection = (
            _HTTP(self._host, self._port) if self._tls is None else _HTTPS(self._host, self._port, **self._tls)
        )
        connection.connect_by = time.monotonic() + self._connect_timeout
        connection.public_only = self._public_only
        connection.auto_open = 0  # a closed connection must not be opened again by urllib3
        try:
            connection.connect()
        except (HTTPError, OSError, ValueError) as error:
            connection.close()
            raise NotSent(Cause(Reason.NO_CONNECTION)) from error
        connection.note_use()
        return connection

    def _keep(self, connection: _Connection) -> None:
        """Keep a connection for the next call, if it is still open and there is room."""
        if connection.sock is None:
            return
        try:
            self._kept.put_nowait(connection)
        except Full:
            connection.close()

    def _exchange(self, connection: _Connection, request: Request) -> Reply:
        try:
            answer = self._answer(connection.sock, packet_of(request, self._name))
            if not answer.keep:  # what may still come is not the answer to the next request
                connection.close()
            return Reply(answer.status, answer.headers, _unpacked(answer))
        except TimeoutError as error:
            raise NoAnswer(Cause(Reason.NO_ANSWER)) from error
        except OSError as error:
            raise NoAnswer(Cause(Reason.CONNECTION_BROKEN)) from error
        except (httptools.HttpParserError, zlib.error, ValueError) as error:
            raise NoAnswer(Cause(Reason.ANSWER_UNREADABLE, type(error).__name__)) from error

    def _answer(self, sock: Any, packet: bytes) -> HttpAnswer:
        """Send, and read until the time limit.

        A socket's own timeout starts again with every byte: a gateway that sends a byte a second could hold a sender
        for any time, past the end of its claim on the message.
        """
        ends_at = time.monotonic() + self._read_timeout
        answer = HttpAnswer()
        sock.settimeout(self._read_timeout)
        sock.sendall(packet)
        while not answer.complete and answer.size <= MAX_ANSWER:
            left = ends_at - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer did not end in time")
            sock.settimeout(left)
            answer.feed(sock.recv(CHUNK))
        return answer


def packet_of(request: Request, host: str) -> bytes:
    """The bytes of a request. It sets the length of the body itself.

    Raises ValueError if a value could change the meaning of the request.
    """
    given = {name.lower() for name in request.headers}
    own = {"Host": host, "Accept-Encoding": "identity", "User-Agent": _AGENT}
    lines = [f"{request.method} {request.path} HTTP/1.1", f"Content-Length: {len(request.body)}"]
    lines += [f"{name}: {value}" for name, value in own.items() if name.lower() not in given]
    lines += [f"{name}: {value}" for name, value in request.headers.items() if name.lower() not in _LENGTHS]
    if " " in request.path or any(map(_UNFIT.search, lines)):
        raise ValueError("no request can hold this")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + request.body


def _unpacked(answer: HttpAnswer) -> bytes | None:
    """The body, None if it is longer than MAX_ANSWER. Some gateways compress it without being asked."""
    body = b"".join(answer.parts)
    if answer.headers.get("content-encoding", "").lower() in ("gzip", "x-gzip", "deflate"):
        unpacking = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
        body = unpacking.decompress(body, MAX_ANSWER + 1)
        if not unpacking.eof and len(body) <= MAX_ANSWER:
            raise ValueError("the answer breaks off")
    return body if len(body) <= MAX_ANSWER else None


def _close_all(kept: LifoQueue[_Connection]) -> None:
    while not kept.empty():
        kept.get_nowait().close()
