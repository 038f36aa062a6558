"""Connections to a host name within a time limit, and to public addresses only if required.

The address of a name may change between two lookups (DNS rebinding), and an address may be written as a number. So a
name is looked up once for a connection, the addresses are checked, and exactly these are connected to.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from threading import Lock, Thread
from typing import Any

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_MOST_ADDRESSES = 8  # addresses of a name that are tried


class NotPublic(Exception):
    """The address is not a public one; nothing was sent."""


def is_public(address: str) -> bool:
    """Whether an IP address is public: not private, local or reserved."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found in _NAT64:
            found = IPv4Address(int(found) & 0xFFFFFFFF)
        else:
            found = found.ipv4_mapped or found.sixtofour or found
    if isinstance(found, IPv6Address) and (found.is_site_local or found.teredo):
        return False
    return found.is_global and not found.is_multicast


def connect_to(
    host: str, port: int, by: float, options: Sequence[tuple[int, int, Any]] | None, *, public_only: bool
) -> socket.socket:
    """Connect to one of the host's addresses before `by`, a moment of the monotonic clock.

    The socket's timeout is the remaining time. Raises OSError if no address answers in time, and NotPublic if
    `public_only` and one of the addresses is not public.
    """
    addresses = _lookups.addresses(host, port, by - time.monotonic())[:_MOST_ADDRESSES]
    if public_only and not all(is_public(address[4][0]) for address in addresses):
        raise NotPublic("the gateway's address is not public")
    failure: OSError = TimeoutError("no time left to connect")
    for place, (family, kind, protocol, _, address) in enumerate(addresses):
        left = by - time.monotonic()
        if left <= 0:
            break
        connection = socket.socket(family, kind, protocol)
        try:
            for option in options or ():
                connection.setsockopt(*option)
            connection.settimeout(left / (len(addresses) - place))  # a dead address leaves time for the next one
            connection.connect(address)
            connection.settimeout(max(0.001, by - time.monotonic()))
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


class _Lookups:
    """Looks up names in threads, because the system's resolver has no time limit.

    Calls for a name that is being looked up wait for the same answer, because fifty calls may begin at once.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._going: dict[tuple[str, int], Future[list[Any]]] = {}

    def addresses(self, host: str, port: int, timeout: float) -> list[Any]:
        """The result of getaddrinfo. Raises OSError if there is none in time."""
        with self._lock:
            future = self._going.get((host, port))
            if future is None or future.done():
                future = self._going[host, port] = Future()
                Thread(target=_look_up, args=(host, port, future), name="lookup", daemon=True).start()
        return future.result(timeout=max(0.0, timeout))


def _look_up(host: str, port: int, future: Future[list[Any]]) -> None:
    try:
        future.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except Exception as error:
        future.set_exception(OSError(f"the name is unknown: {type(error).__name__}"))


_lookups = _Lookups()
