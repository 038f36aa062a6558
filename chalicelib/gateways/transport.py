"""One request over a kept connection: in how much time, to which addresses, and what may have been sent if it fails.

A call has two spans. Connecting is everything before the last look: the name's lookup, every address that is tried, and
TLS. Answering is everything after it: the request and the whole answer, however slowly its bytes come.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from queue import Empty, Full, LifoQueue
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ProtocolError
from urllib3.exceptions import TimeoutError as SlowAnswer
from urllib3.util import Url
from urllib3.util.ssl_ import create_urllib3_context

from ..domain.reasons import Cause, Reason
from .addresses import connect_to

MAX_ANSWER = 65_536  # bytes; a longer answer is none
CHUNK = 8192  # bytes that are read at once
# Seconds that a connection may lie unused. A load balancer may drop one without a word after some time, and a Lambda
# environment that is frozen does not hear that it was closed: the next call would be lost on it.
MAX_IDLE = 5.0


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
    """An answer of HTTP. `body` is None if it was longer than MAX_ANSWER."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a moment of the monotonic clock; TimeoutError after it.

    A socket's own timeout starts anew with every byte: a gateway that sends one a second would hold a sender for as
    long as it likes, and past the end of its claim on the message.
    """

    def __init__(self, connection: socket.socket, raw: io.BufferedReader) -> None:
        self._connection = connection
        self._raw = raw  # keeps the socket open for as long as the answer is read
        self._ends_at = time.monotonic() + (connection.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer did not end in time")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class TimedResponse(http.client.HTTPResponse):
    """An answer that is read within the time limit that its connection has when it begins."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_TimedReader(sock, self.fp))


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
    response_class = TimedResponse  # http.client makes it, and urllib3 wraps it


class _HTTPS(_Timed, HTTPSConnection):
    response_class = TimedResponse


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
        ends_at = time.monotonic() + self._read_timeout
        try:
            connection.timeout = self._read_timeout
            connection.request(
                request.method, request.path, body=request.body, headers=request.headers, preload_content=False
            )
            connection.timeout = max(0.001, ends_at - time.monotonic())
            response = connection.getresponse()
            content = bounded(response.stream(CHUNK))
            if not response.closed:  # not read to its end, so that the next answer would begin in the middle of it
                connection.close()
            return Reply(response.status, response.headers, content)
        except (SlowAnswer, TimeoutError) as error:
            raise NoAnswer(Cause(Reason.NO_ANSWER)) from error
        except (ProtocolError, http.client.HTTPException, OSError) as error:
            raise NoAnswer(Cause(Reason.CONNECTION_BROKEN)) from error
        except (HTTPError, ValueError) as error:
            raise NoAnswer(Cause(Reason.ANSWER_UNREADABLE, type(error).__name__)) from error


def _close_all(kept: LifoQueue[_Connection]) -> None:
    while not kept.empty():
        kept.get_nowait().close()


def bounded(chunks: Iterable[bytes]) -> bytes | None:
    """An answer's body from its chunks, None if it is longer than MAX_ANSWER."""
    content = b""
    for chunk in chunks:
        content += chunk
        if len(content) > MAX_ANSWER:
            return None
    return content
