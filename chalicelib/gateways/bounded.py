"""Connections on which the whole answer has to come in time, and not just each piece of it.

A read timeout starts anew with every byte: a gateway that sends one a second holds a sender for as long as it likes,
and past the end of its claim on the message.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Mapping
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a moment of the monotonic clock; TimeoutError after it."""

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


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_TimedReader(sock, self.fp))


class TimedHTTPConnection(HTTPConnection):
    response_class = _TimedResponse


class TimedHTTPSConnection(HTTPSConnection):
    response_class = _TimedResponse

    def connect(self) -> None:
        # Before the handshake is done nothing was sent; after it the same error may come with the answer.
        try:
            super().connect()
        except OSError as error:
            raise NewConnectionError(self, type(error).__name__) from error


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = TimedHTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = TimedHTTPSConnection


# Pools by scheme. The read timeout of their requests, in seconds, is that of the whole answer: headers and body.
POOLS: Mapping[str, type[HTTPConnectionPool]] = {"http": _HTTPPool, "https": _HTTPSPool}
