"""One request over a kept connection: in how much time, to which addresses, and what may have been sent if it fails.

A call has two spans. Connecting is everything before the last look: the name's lookup, every address that is tried, and
TLS. Answering is everything after it: the request and the whole answer, however slowly its bytes come.

urllib3 connects; what is sent and read is short, since it is half of what a message takes.
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

MAX_ANSWER = 65_536  # bytes; a longer answer is none
CHUNK = 8192  # bytes that are read at once
# Seconds that a connection may lie unused. A load balancer may drop one without a word after some time, and a Lambda
# environment that is frozen does not hear that it was closed: the next call would be lost on it.
MAX_IDLE = 5.0
_AGENT = "message-service"
_LENGTHS = frozenset({"content-length", "transfer-encoding"})
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # in a line of a request
_GZIP_OR_ZLIB = 47  # zlib finds out by itself


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
    """A request of HTTP. `path` is quoted, and follows the path of the gateway's address."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of HTTP, its headers by names in lower case. `body` is None if it was longer than MAX_ANSWER."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class _Timed:
    """A connection that is made until a moment, and to public addresses only if that is asked for."""

    connect_by = 0.0  # of the monotonic clock
    public_only = False
    used_at = (0.0, 0.0)  # by the monotonic clock and the wall's: either may stand still while a machine sleeps

    def _new_conn(self: Any) -> socket.socket:
        host = self._dns_host.strip("[]")
        return connect_to(host, self.port, self.connect_by, self.socket_options, public_only=self.public_only)

    def note_use(self) -> None:
        self.used_at = (time.monotonic(), time.time())

    def is_usable(self: Any) -> bool:
        """Whether it is open as far as can be known, and was used lately."""
        if self.sock is None or max(time.monotonic() - self.used_at[0], time.time() - self.used_at[1]) >= MAX_IDLE:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0) or _is_quiet(self.sock)  # else it was closed, or there is what nobody asked for


def _is_quiet(connection: socket.socket) -> bool:
    """Whether what has come on a connection is TLS's own business, such as the tickets that follow a handshake."""
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
    """How long calls may take, and whom they may reach.

    `connect_timeout` and `read_timeout` are the seconds of the two spans of a call. `certificates` is a file of those
    that are trusted.
    """

    connect_timeout: float
    read_timeout: float
    certificates: str
    public_only: bool


class Transport:
    """Asks one host; used by several threads at once, over as many kept connections as `connections`.

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
            context = create_urllib3_context()  # one for all: reading the certificates takes 10 ms
            context.load_verify_locations(cafile=limits.certificates)
            self._tls = {"ssl_context": context, "cert_reqs": "CERT_REQUIRED"}

    def exchange(self, request: Request, last_look: Callable[[], None]) -> Reply:
        """Connect, take the last look, send and read the answer. Whatever `last_look` raises is raised, unsent.

        Raises NotSent if nothing was sent, NotPublic if the host's address is not public, NoAnswer otherwise.
        """
        connection = self._connected()
        try:
            last_look()
            if not connection.is_usable():  # closed while the last look waited for the message's turn
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
        connection.auto_open = 0  # a closed one is not opened again behind our back
        try:
            connection.connect()
        except (HTTPError, OSError, ValueError) as error:
            connection.close()
            raise NotSent(Cause(Reason.NO_CONNECTION)) from error
        connection.note_use()
        return connection

    def _keep(self, connection: _Connection) -> None:
        """Keep a connection for the next call, if it is open still and there is room."""
        if connection.sock is None:
            return
        try:
            self._kept.put_nowait(connection)
        except Full:
            connection.close()

    def _exchange(self, connection: _Connection, request: Request) -> Reply:
        try:
            answer = self._answer(connection.sock, packet_of(request, self._name))
            if not answer.keep:  # what may still come on it is no answer to the next request
                connection.close()
            return Reply(answer.status, answer.headers, _unpacked(answer))
        except TimeoutError as error:
            raise NoAnswer(Cause(Reason.NO_ANSWER)) from error
        except OSError as error:
            raise NoAnswer(Cause(Reason.CONNECTION_BROKEN)) from error
        except (httptools.HttpParserError, zlib.error, ValueError) as error:
            raise NoAnswer(Cause(Reason.ANSWER_UNREADABLE, type(error).__name__)) from error

    def _answer(self, sock: Any, packet: bytes) -> HttpAnswer:
        """Send, and read until a moment: a socket's own timeout starts anew with every byte, and a gateway that sends
        one a second would hold a sender for as long as it likes, and past the end of its claim on the message.
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
    """A request as it is sent; how long its body is nobody else says.

    Raises ValueError if it would be another one for whoever reads it.
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
    """The body, None if it is longer than MAX_ANSWER. Nobody is asked to pack it, but some do."""
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
