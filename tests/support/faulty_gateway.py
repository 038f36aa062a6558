"""The external gateway as tests need it: a real server on loopback that misbehaves as told, and keeps its own log."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OK = json.dumps({"code": 0, "message": "OK"}).encode()


@dataclass(frozen=True, slots=True)
class Heard:
    """One call as the gateway heard it."""

    at: float
    path: str
    authorization: str
    message: dict[str, Any]
    answered: str
    receipt_url: str  # "" if none was given

    @property
    def gateway_id(self) -> int:
        return int(self.message["id"])


class FaultyGateway:
    """`behave` returns, for an id and the number of its call, what happens: ok, garbage, code, an HTTP status, or

    reset (the connection breaks), hang (nothing), drip-headers and drip-body (a byte every 0.1 s), endless (a body
    without end), redirect (to another path), says and
    an HTTP status (with `said` as its message). `headers` are sent with each answer. Messages to the phone numbers in
    `refused`, as the gateway hears them, get HTTP 400, whatever `behave` says.
    """

    def __init__(self, latency: float = 0.0, port: int = 0) -> None:
        self.latency = latency
        self.behave: Callable[[int, int], str] = lambda gateway_id, nth: "ok"
        self.refused: frozenset[int] = frozenset()
        self.headers: dict[str, str] = {}
        self.said = ""
        self.heard: list[Heard] = []
        self._calls: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._released = threading.Event()
        self.port = port
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._released.clear()
        self._server = _Server(("127.0.0.1", self.port), _handler_for(self))
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections, and break the open ones."""
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.break_connections()
        self._server.server_close()

    def begin_anew(self) -> None:
        """Do what it should, and know nothing of calls until now."""
        with self._lock:
            self.behave = lambda gateway_id, nth: "ok"
            self.heard.clear()
            self._calls.clear()

    def calls(self) -> Counter[int]:
        """How often each id was called."""
        with self._lock:
            return Counter(call.gateway_id for call in self.heard)

    def accepted(self) -> Counter[int]:
        """How often each id was accepted."""
        with self._lock:
            return Counter(call.gateway_id for call in self.heard if call.answered == "ok")

    def answer(self, path: str, authorization: str, body: bytes, receipt_url: str) -> str:
        """Note a call, and return how it is answered."""
        message = json.loads(body)
        with self._lock:
            self._calls[message["id"]] += 1
            what = self.behave(message["id"], self._calls[message["id"]])
            if message["phone"] in self.refused:
                what = "400"
            self.heard.append(Heard(time.time(), path, authorization, message, what, receipt_url))
        self._released.wait(600 if what == "hang" else self.latency)
        return what

    def dripped(self, content: bytes) -> Iterator[bytes]:
        """The bytes one by one, slowly."""
        for place in range(len(content)):
            if self._released.wait(0.1):
                return
            yield content[place : place + 1]

    def written(self, what: str) -> Iterator[bytes]:
        """The bytes of an answer."""
        answers = {"garbage": (200, b"<html>"), "code": (200, b'{"code": 7, "message": "no"}'), "redirect": (307, b"")}
        if what.startswith("says "):
            answers[what] = (int(what[5:]), json.dumps({"message": self.said}).encode())
        status, content = answers.get(what) or (int(what) if what.isdigit() else 200, OK)
        length = 10**9 if what == "endless" else len(content)
        headers = {"Content-Type": "application/json", "Content-Length": str(length), **self.headers}
        if what == "redirect":
            headers["Location"] = "/elsewhere"
        head = f"HTTP/1.1 {status} -\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        if what == "drip-headers":
            yield from self.dripped(head.encode())
        else:
            yield head.encode()
        if what == "drip-body":
            yield from self.dripped(content)
        elif what == "endless":
            for _ in range(10**9 // 65536):
                yield b"x" * 65536
        else:
            yield content


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def break_connections(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore callers that went away, which is what many tests want."""


def _handler_for(gateway: FaultyGateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            authorization, receipt_url = (self.headers.get(name, "") for name in ("Authorization", "X-Receipt-Url"))
            what = gateway.answer(self.path, authorization, body, receipt_url)
            if what in ("hang", "reset"):
                # Zero seconds to linger: the connection is reset rather than closed.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                return
            for piece in gateway.written(what):
                self.wfile.write(piece)

        def log_message(self, *_: Any) -> None:
            """Nothing is written to the test's output."""

    return Handler
