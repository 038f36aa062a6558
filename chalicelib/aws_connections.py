"""Kept connections to DynamoDB and SQS: urllib3 makes and keeps them; sending and reading is done here.

urllib3 writes and reads line by line in Python, and sends head and body separately. Here each request is sent at once,
and httptools reads the response.
"""

from __future__ import annotations

import ssl
from typing import Any

import httptools
import urllib3.exceptions as of_urllib3
from botocore.auth import _host_from_url
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)

from .http_answers import HttpAnswer

_CHUNK = 65_536  # bytes read at a time


class KeptConnections:
    """Replaces a client's URLLib3Session, using its pool, timeouts and certificates."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._read_timeout: float = session._timeout.read_timeout
        self._pools: dict[str, Any] = {}
        self._heads: dict[str, str] = {}

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Send a request. Returns the whole response. Raises an error of botocore if none comes in time."""
        url = request.url
        if url not in self._pools and self._session._proxy_config.proxy_url_for(url):
            return self._session.send(request)
        pool = self._pools.get(url) or self._prepared(url)
        connection = pool._get_conn()
        kept = False
        try:
            if connection.is_closed:
                connection.connect()
                connection.sock.settimeout(self._read_timeout)
            response = _asked(connection.sock, self._packet(request))
            kept = response.keep
        except (of_urllib3.HTTPError, OSError, httptools.HttpParserError) as error:
            raise _error(error, request) from error
        finally:
            if not kept:
                connection.close()
            pool._put_conn(connection)
        answer = AWSResponse(url, response.status, {}, None)
        answer.headers, answer._content = response.headers, b"".join(response.parts)
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _prepared(self, url: str) -> Any:
        pool = self._session._manager.connection_from_url(url)
        self._session._setup_ssl_cert(pool, url, self._session._verify)
        path = self._session._path_url(url)
        self._heads[url] = f"POST {path} HTTP/1.1\r\nHost: {_host_from_url(url)}\r\n"
        return self._pools.setdefault(url, pool)

    def _packet(self, request: AWSPreparedRequest) -> bytes:
        lines = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
        length = f"Content-Length: {len(request.body)}\r\n\r\n"
        head: bytes = f"{self._heads[request.url]}{lines}{length}".encode("latin-1")
        return head + bytes(request.body)


def _asked(sock: Any, packet: bytes) -> HttpAnswer:
    """Send a request and read the response. Raises OSError or HttpParserError if that fails."""
    response = HttpAnswer()
    sock.sendall(packet)
    while not response.complete:
        response.feed(sock.recv(_CHUNK))
    return response


def _error(error: Exception, request: AWSPreparedRequest) -> HTTPClientError:
    """The error that botocore raises if its own HTTP library fails in this way."""
    kinds: tuple[tuple[Any, type[HTTPClientError]], ...] = (
        ((ssl.SSLError, of_urllib3.SSLError), SSLError),
        (of_urllib3.NewConnectionError, EndpointConnectionError),
        (of_urllib3.ConnectTimeoutError, ConnectTimeoutError),
        (TimeoutError, ReadTimeoutError),
        ((OSError, httptools.HttpParserError, of_urllib3.ProtocolError), ConnectionClosedError),
    )
    kind = next((known for raised, known in kinds if isinstance(error, raised)), HTTPClientError)
    return kind(endpoint_url=request.url, error=error, request=request)
