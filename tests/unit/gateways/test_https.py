"""The HTTP gateway over TLS: before the handshake is done nothing was sent, after it something may have been."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chalicelib.config import Settings
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from chalicelib.gateways.http import HttpGateway
from tests.factories import outgoing
from tests.unit.gateways.raw_server import RawServer

pytestmark = pytest.mark.enable_socket

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"code": 0}'


def send(url: str, trusted: Path | None = None) -> Answer:
    settings = Settings(gateway_url=url, gateway_connect_timeout=0.3, gateway_read_timeout=0.5)
    gateway = HttpGateway(settings, certificates=str(trusted) if trusted else None)
    return gateway.send(outgoing(7, "+79161234567", "Hello"))


def test_a_message_goes_over_tls(secure: RawServer, certificate: Path) -> None:
    """To a server whose certificate is trusted."""
    secure.answer = [OK]
    assert send(secure.url, certificate).outcome is Outcome.ACCEPTED
    assert len(secure.requests) == 1


def test_a_certificate_that_nobody_trusts_gets_nothing(secure: RawServer) -> None:
    """Neither message nor token."""
    secure.answer = [OK]
    answer = send(secure.url)
    assert (answer.outcome, answer.cause) == (Outcome.FAILED, Cause(Reason.NO_CONNECTION))
    assert secure.requests == []


def hang(connection: socket.socket) -> None:
    """Wait until the other side gives up."""
    while connection.recv(65536):
        continue


def close(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def speak_plainly(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(OK)


@pytest.mark.parametrize("trouble", [hang, close, speak_plainly])
def test_a_handshake_that_fails_is_a_failure(
    secure: RawServer, certificate: Path, trouble: Callable[[socket.socket], None]
) -> None:
    """Nothing was sent, so nothing can have been taken."""
    secure.instead_of_handshake = trouble
    assert send(secure.url, certificate).outcome is Outcome.FAILED
    assert secure.requests == []


def test_a_connection_that_is_spoilt_after_the_request_leaves_it_open(secure: RawServer, certificate: Path) -> None:
    """Something that is no TLS comes in the place of the answer: the message may have been taken."""
    raw: list[socket.socket] = []
    secure.before_handshake = lambda connection: raw.append(connection.dup())

    def spoil() -> Iterator[bytes]:
        with raw.pop() as connection:
            connection.sendall(b"\x00" * 1000)
        yield b""

    secure.answer = spoil()
    assert send(secure.url, certificate).outcome is Outcome.UNKNOWN
    assert len(secure.requests) == 1
