"""Connections of the HTTP gateway: how long they are kept, what the time of a call is for, and the last look."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.config import Settings
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.sending_rules import Obstacle
from chalicelib.gateways.base import Answer, LastLook, NotNow, no_look
from chalicelib.gateways.http import HttpGateway
from chalicelib.gateways.transport import MAX_IDLE
from tests.factories import outgoing
from tests.support.faulty_gateway import FaultyGateway

pytestmark = pytest.mark.enable_socket

CONNECT, READ = 0.3, 1.0  # seconds


def gateway_at(url: str, **settings: Any) -> HttpGateway:
    timeouts = {"gateway_connect_timeout": CONNECT, "gateway_read_timeout": READ}
    return HttpGateway(Settings(gateway_url=url, gateway_token="token", **timeouts, **settings))


def send(gateway: HttpGateway, last_look: LastLook = no_look) -> Answer:
    return gateway.send(outgoing(7, "+79161234567", "Hello"), last_look)


class Counted:
    """How many connections a gateway was asked for."""

    def __init__(self, server: FaultyGateway, monkeypatch: pytest.MonkeyPatch) -> None:
        self.connections = 0
        self.accepted = threading.Event()
        original = server._server.get_request

        def get_request() -> tuple[socket.socket, Any]:
            self.connections += 1
            connection = original()
            self.accepted.set()
            return connection

        monkeypatch.setattr(server._server, "get_request", get_request)


@pytest.fixture
def counted(server: FaultyGateway, monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(server, monkeypatch)


class Clocks:
    """What the transport reads as monotonic time and as the time of day, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monotonic = self.wall = 0.0
        monotonic, wall = time.monotonic, time.time
        monkeypatch.setattr("chalicelib.gateways.transport.time.monotonic", lambda: monotonic() + self.monotonic)
        monkeypatch.setattr("chalicelib.gateways.transport.time.time", lambda: wall() + self.wall)


@pytest.mark.parametrize(
    ("monotonic", "wall", "connections"),
    [(0, 0, 1), (MAX_IDLE - 2, MAX_IDLE - 2, 1), (0, MAX_IDLE, 2), (MAX_IDLE, 0, 2), (0, -3600, 1)],
)
def test_a_connection_that_lay_unused_for_long_is_not_trusted(
    server: FaultyGateway,
    counted: Counted,
    monkeypatch: pytest.MonkeyPatch,
    monotonic: float,
    wall: float,
    connections: int,
) -> None:
    """By either clock: a frozen Lambda environment does not hear that the other side has gone."""
    clocks = Clocks(monkeypatch)
    gateway = gateway_at(server.url)
    assert send(gateway).outcome is Outcome.ACCEPTED
    clocks.monotonic, clocks.wall = monotonic, wall
    assert send(gateway).outcome is Outcome.ACCEPTED
    assert counted.connections == connections


def test_a_connection_that_the_other_side_closed_is_not_used(server: FaultyGateway, counted: Counted) -> None:
    """Nothing would be known of a message that was sent on it."""
    gateway = gateway_at(server.url)
    send(gateway)
    server._server.break_connections()
    assert send(gateway).outcome is Outcome.ACCEPTED
    assert counted.connections == 2


def test_a_connection_that_closes_during_the_last_look_is_made_again(server: FaultyGateway, counted: Counted) -> None:
    """And the look is taken again, since connecting took time."""
    looks: list[int] = []

    def look() -> None:
        looks.append(len(server.heard))
        if len(looks) == 1:
            assert counted.accepted.wait(5)  # the connection is there when the other side has not looked at it yet
            server._server.break_connections()
            time.sleep(0.05)

    assert send(gateway_at(server.url), look).outcome is Outcome.ACCEPTED
    assert (looks, len(server.heard), counted.connections) == ([0, 0], 1, 2)


def test_the_last_look_comes_after_the_connection_and_before_the_request(
    server: FaultyGateway, counted: Counted
) -> None:
    """What it forbids is not sent; the connection serves the next message."""
    gateway = gateway_at(server.url)
    seen: list[tuple[int, int]] = []

    def look() -> None:
        assert counted.accepted.wait(5)
        seen.append((counted.connections, len(server.heard)))
        raise NotNow(Obstacle.MAILING_NOT_RUNNING)

    with pytest.raises(NotNow, match="mailing_not_running"):
        send(gateway, look)
    assert (seen, server.heard) == ([(1, 0)], [])
    assert send(gateway).outcome is Outcome.ACCEPTED
    assert counted.connections == 1


def test_the_time_of_the_last_look_is_not_the_gateways(server: FaultyGateway) -> None:
    """A message that waits for its turn, connected, has the whole time for its answer."""
    server.latency = 0.7 * READ
    assert send(gateway_at(server.url), lambda: time.sleep(0.7 * READ)).outcome is Outcome.ACCEPTED


# -- the time to connect


def slow_names(seconds: float, monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every lookup take so long; answers the hosts that are looked up."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *arguments: Any, **options: Any) -> list[Any]:
        asked.append(host)
        threading.Event().wait(seconds)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_slow_lookup_is_a_part_of_the_time_to_connect(server: FaultyGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has not been sent, and is not when the name is found at last."""
    slow_names(CONNECT * 3, monkeypatch, "127.0.0.1")
    began = time.monotonic()
    looks: list[str] = []
    answer = send(gateway_at(server.url.replace("127.0.0.1", "gateway.example")), lambda: looks.append("look"))
    assert time.monotonic() - began < CONNECT * 2
    time.sleep(CONNECT * 3)
    assert (answer.outcome, answer.cause) == (Outcome.FAILED, Cause(Reason.NO_CONNECTION))
    assert (looks, server.heard) == ([], [])


def test_calls_that_begin_together_look_a_name_up_once(server: FaultyGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender makes fifty at the same moment."""
    asked = slow_names(CONNECT / 2, monkeypatch, "127.0.0.1")
    gateway = gateway_at(server.url.replace("127.0.0.1", "gateway.example"))
    threads = [threading.Thread(target=send, args=(gateway,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.heard) == 8
    assert asked == ["gateway.example"]


@pytest.fixture
def dead() -> Iterator[list[socket.socket]]:
    """Listeners on loopback whose queue is full: a connection to them is neither made nor refused."""
    made: list[socket.socket] = []
    yield made
    for one in made:
        one.close()


def deaf(kept: list[socket.socket], address: str, port: int) -> None:
    listener = socket.create_server((address, port), backlog=0)
    kept.append(listener)
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex((address, port))
        kept.append(filler)
    time.sleep(0.05)


def test_dead_addresses_share_the_time_to_connect(
    server: FaultyGateway, dead: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of them take no longer than one, and leave time for a live one that comes after them."""
    for address in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
        deaf(dead, address, server.port)
    url = server.url.replace("127.0.0.1", "gateway.example")
    slow_names(0, monkeypatch, "127.0.0.2", "127.0.0.3", "127.0.0.4")
    began = time.monotonic()
    assert send(gateway_at(url)).outcome is Outcome.FAILED
    assert time.monotonic() - began < CONNECT * 2
    slow_names(0, monkeypatch, "127.0.0.2", "127.0.0.3", "127.0.0.1")
    assert send(gateway_at(url)).outcome is Outcome.ACCEPTED
