"""Serves a WSGI application on loopback with waitress: errors in the service's shape, and a stop that waits."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server
from waitress.task import ErrorTask

from infra.local.gateway_responses import CONTENT_TYPE, GATEWAY_RESPONSES
from infra.local.loopback import BACKLOG, port_of

BODY_LIMIT = 10 * 1024 * 1024  # bytes, API Gateway's
HEADER_LIMIT = 32 * 1024
_BY_STATUS = {
    400: GATEWAY_RESPONSES["BAD_REQUEST_PARAMETERS"],
    413: GATEWAY_RESPONSES["REQUEST_TOO_LARGE"],
    431: GATEWAY_RESPONSES["REQUEST_HEADERS_TOO_LARGE"],
    501: GATEWAY_RESPONSES["NOT_IMPLEMENTED"],
}

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class ProblemTask(ErrorTask):  # type: ignore[misc]
    """What waitress answers when a request cannot even be handed to the application."""

    def execute(self) -> None:
        error = self.request.error
        response = _BY_STATUS.get(error.code, GATEWAY_RESPONSES["DEFAULT_5XX"])
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", CONTENT_TYPE))
        self.set_close_on_finish()
        self.content_length = len(response.body)
        self.write(response.body)


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Waitress 3.0.2 drops the connection on a request line with a broken host, which is a bad request."""

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            raise ParsingError(str(error)) from error


class ProblemChannel(HTTPChannel):  # type: ignore[misc]
    """A connection whose errors are problems."""

    parser_class = Parser
    error_task_class = ProblemTask


class WebServer:
    """One application on one listening socket, served in the background."""

    def __init__(self, application: Application, listener: socket.socket, threads: int) -> None:
        self.port = port_of(listener)
        self._server = create_server(
            application,
            sockets=[listener],
            threads=threads,
            ident=None,
            connection_limit=1000,
            backlog=BACKLOG,
            max_request_body_size=BODY_LIMIT + 1,
            max_request_header_size=HEADER_LIMIT,
        )
        self._server.channel_class = ProblemChannel
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="web-server", daemon=True)

    def start(self) -> None:
        """Begin to answer; returns at once."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Take no more requests, and wait up to `timeout` seconds for those that are being answered."""
        if self._stopping:
            return
        self._stopping = True
        self._server.pull_trigger()
        self._thread.join(timeout)
        self._server.task_dispatcher.shutdown(timeout=timeout)
        wasyncore.close_all(self._server._map)

    def _loop(self) -> None:
        while not self._stopping:
            wasyncore.loop(timeout=1.0, use_poll=True, map=self._server._map, count=1)
