"""Listening, on 127.0.0.1 unless another address is asked for."""

from __future__ import annotations

import socket
from collections.abc import Iterable

BACKLOG = 1024


def listen(port: int, address: str = "127.0.0.1") -> socket.socket:
    """A listening socket. Port 0 means a free one. Raises OSError if the port is taken."""
    # Without the protocol asyncio does not know it for TCP, leaves Nagle on, and every call takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def port_of(listener: socket.socket) -> int:
    """The port that a socket listens on."""
    return int(listener.getsockname()[1])


def is_from_here(headers: Iterable[tuple[bytes, bytes]], port: int) -> bool:
    """Whether a request is for this address and was not sent by a page of another site in a browser."""
    found = {name.lower(): value.decode("latin-1") for name, value in headers}
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
    origin = found.get(b"origin", "")
    return (
        found.get(b"host") in hosts
        and (not origin or origin.removeprefix("http://") in hosts)
        and found.get(b"sec-fetch-site", "none") in {"none", "same-origin"}
    )
