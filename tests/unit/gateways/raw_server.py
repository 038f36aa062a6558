"""The other side of a gateway as plain bytes: whatever a broken or hostile server could answer."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable

_BOUND = 10  # seconds; no test's call takes as long


class RawServer:
    """Answers every request on loopback with `answer`, piece by piece, and then closes the connection."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.before_handshake: Callable[[socket.socket], None] = lambda connection: None
        self.instead_of_handshake: Callable[[socket.socket], None] | None = None
        self.answer: Iterable[bytes] = []
        self.reset_at_end = False
        self.requests: list[bytes] = []
        self.sent = 0  # bytes of the last answer that found their way into the connection
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.02)
        self._stopped = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._listener.close()

    def wait_closed(self) -> None:
        """Until the connection of the last request is closed."""
        assert self._closed.wait(_BOUND)

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(_BOUND)
                try:
                    self.before_handshake(connection)
                    # Not followed by a handshake: `wrap_socket` leaks its socket if the other side is gone already.
                    if self.instead_of_handshake:
                        self.instead_of_handshake(connection)
                    elif self._tls:
                        with self._tls.wrap_socket(connection, server_side=True) as secure:
                            self._talk(secure)
                    else:
                        self._talk(connection)
                except OSError:
                    continue  # the caller had heard enough, which is what most of the tests want
            self._closed.set()

    def _talk(self, connection: socket.socket) -> None:
        request = b""
        while not _complete(request):
            piece = connection.recv(65536)
            if not piece:
                return
            request += piece
        self._closed.clear()
        self.requests.append(request)
        self.sent = 0
        for piece in self.answer:
            if self._stopped.is_set():
                return
            connection.sendall(piece)
            self.sent += len(piece)
        if self.reset_at_end:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _complete(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return bool(end) and len(body) >= int(value)
    return bool(end)
