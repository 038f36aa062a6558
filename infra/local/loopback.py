"""Listening on 127.0.0.1."""

from __future__ import annotations

import socket

BACKLOG = 1024


def listen(port: int) -> socket.socket:
    """A socket on 127.0.0.1 that lets callers wait until it is served; 0 takes a free port, OSError if it is taken."""
    # Without the protocol asyncio does not know it for TCP, leaves Nagle on, and every call takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def port_of(listener: socket.socket) -> int:
    """The port that a socket listens on."""
    return int(listener.getsockname()[1])
