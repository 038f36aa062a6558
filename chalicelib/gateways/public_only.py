"""Where the gateway may be outside local stages: a host of the allow list, by TLS, at a public address.

A name is one thing and the address behind it another one, which may change between two looks (DNS rebinding), and an
address may be written as a number. So it is the address of the connection itself that counts, before a byte is sent.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import LocationParseError, NewConnectionError
from urllib3.util import parse_url

from ..config import Settings
from .bounded import TimedHTTPConnection, TimedHTTPSConnection

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address lies in its last 32 bits


class NotPublic(NewConnectionError):
    """The address is none of the public internet's; nothing was sent."""


def is_public(address: str) -> bool:
    """Whether an IP address can be that of a server on the internet: no private, local or reserved one."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found in _NAT64:
            found = IPv4Address(int(found) & 0xFFFFFFFF)
        else:
            found = found.ipv4_mapped or found.sixtofour or found
    if isinstance(found, IPv6Address) and (found.is_site_local or found.teredo):
        return False
    return found.is_global and not found.is_multicast


def obstacle(settings: Settings) -> str:
    """Why the gateway's address may not be called, "" where it may; read by the parser of who connects to it."""
    try:
        url = parse_url(settings.gateway_url)
    except LocationParseError:
        return "the gateway's address is none"
    if url.scheme != "https":
        return "the gateway's address does not begin with https://"
    if (url.host or "").lower().strip("[]").rstrip(".") not in settings.allowed_gateway_hosts:
        return "the gateway's host is not among GATEWAY_HOSTS"
    return ""


class _PublicOnly:
    """Refuses a name before it connects, and a connection before it is used."""

    def _new_conn(self: Any) -> socket.socket:
        for *_, address in _resolved(self, self._dns_host.strip("[]"), self.port):
            _check(self, address[0])
        connection: socket.socket = super()._new_conn()  # type: ignore[misc]
        try:
            _check(self, connection.getpeername()[0])
        except BaseException:
            connection.close()
            raise
        return connection


def _resolved(connection: Any, host: str, port: int) -> list[Any]:
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        raise NewConnectionError(connection, "the gateway's name is unknown") from error


def _check(connection: Any, address: str) -> None:
    if not is_public(address):
        raise NotPublic(connection, "the gateway's address is not public")


class _HTTPConnection(_PublicOnly, TimedHTTPConnection):
    pass


class _HTTPSConnection(_PublicOnly, TimedHTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


# Pools by scheme, as those of `bounded`, which connect to public addresses only; others are a NotPublic.
PUBLIC_POOLS: Mapping[str, type[HTTPConnectionPool]] = {"http": _HTTPPool, "https": _HTTPSPool}
