"""Requests that send no messages, over a session of `requests`: look-ups and balances.

Messages use `transport`, which takes a last look between connecting and sending. That is not needed here, so a
well-known library does the work. The time limits are the same: an answer must end in time, however slowly its bytes
come.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Url

from ..domain.reasons import Cause, Reason
from .addresses import NotPublic, connect_to
from .transport import CHUNK, MAX_ANSWER, Limits, Reply, Request


def exchange(address: Url, request: Request, limits: Limits) -> Reply | Cause:
    """Make a request once. Returns the answer, or why there is none. Follows no redirects and uses no proxies."""
    url = Url(address.scheme, None, address.host, address.port).url + request.path
    timeouts = limits.connect_timeout, limits.read_timeout
    with requests.Session() as session:
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(public_only=limits.public_only))
        try:
            response = session.request(
                request.method,
                url,
                data=request.body or None,
                headers=dict(request.headers),
                timeout=timeouts,
                verify=limits.certificates,
                allow_redirects=False,
                stream=True,
            )
            return Reply(response.status_code, response.headers, _bounded(response.iter_content(CHUNK)))
        except NotPublic:
            return Cause(Reason.GATEWAY_ADDRESS_PRIVATE)
        except requests.Timeout:
            return Cause(Reason.NO_ANSWER)
        except requests.ConnectionError:
            return Cause(Reason.NO_CONNECTION)
        except (requests.RequestException, OSError, ValueError) as error:
            return Cause(Reason.ANSWER_UNREADABLE, type(error).__name__)


def _connect(connection: Any, *, public_only: bool) -> Any:
    """Replaces urllib3's own: a name is looked up once, and its addresses are checked."""
    seconds = connection.timeout if isinstance(connection.timeout, int | float) else 10.0
    host = connection._dns_host.strip("[]")
    by = time.monotonic() + seconds
    return connect_to(host, connection.port, by, connection.socket_options, public_only=public_only)


class _Adapter(HTTPAdapter):
    def __init__(self, *, public_only: bool) -> None:
        self._public_only = public_only
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        new_connection = partial(_connect, public_only=self._public_only)
        pools = {}
        for scheme, pool, kind in (
            ("http", HTTPConnectionPool, HTTPConnection),
            ("https", HTTPSConnectionPool, HTTPSConnection),
        ):
            changes = {"_new_conn": lambda self: new_connection(self), "response_class": _TimedResponse}
            connection = type(kind.__name__, (kind,), changes)
            pools[scheme] = type(pool.__name__, (pool,), {"ConnectionCls": connection})
        self.poolmanager.pool_classes_by_scheme = pools


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a moment of the monotonic clock; TimeoutError after it.

    A socket's own timeout starts again with every byte: a gateway that sends a byte a second could hold a sender for
    any time, past the end of its claim on the message.
    """

    def __init__(self, connection: socket.socket, raw: io.BufferedReader) -> None:
        self._connection = connection
        self._raw = raw  # keeps the socket open while the answer is read
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


class _TimedResponse(http.client.HTTPResponse):
    """An answer that is read within the time limit of its connection."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_TimedReader(sock, self.fp))


def _bounded(chunks: Iterable[bytes]) -> bytes | None:
    """An answer's body from its chunks, None if it is longer than MAX_ANSWER."""
    content = b""
    for chunk in chunks:
        content += chunk
        if len(content) > MAX_ANSWER:
            return None
    return content
