"""Outside local stages only a public address of an allowed host is called, whatever its name leads to."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from chalicelib.config import Settings
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.addresses import is_public
from chalicelib.gateways.base import Answer
from chalicelib.gateways.http import HttpGateway
from tests.factories import outgoing
from tests.unit.gateways.raw_server import RawServer

pytestmark = pytest.mark.enable_socket

PUBLIC = ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808"]
NOT_PUBLIC = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "169.254.170.2"),  # noqa: S104
    *("100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    """Also an IPv4 one in the clothes of IPv6."""
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_behind_the_walls_is_not(address: str) -> None:
    """Private, local, shared, for documentation, for many; an IPv4 one also in the clothes of IPv6."""
    assert not is_public(address)


def send(url: str, hosts: str, **settings: Any) -> Answer:
    """One message, as a function on AWS sends it."""
    on_aws = {"function_name": "message-service-prod-sender", "gateway_hosts": hosts, "gateway_connect_timeout": 0.5}
    return HttpGateway(Settings(gateway_url=url, **{**on_aws, **settings})).send(outgoing(7, "+79161234567", "Hello"))


def port_of(server: RawServer) -> int:
    return int(server.url.rpartition(":")[2])


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"),
        *("169.254.169.254", "[fd00:ec2::254]", "10.0.0.1", "0.0.0.0"),  # noqa: S104
    ],
)
def test_nothing_behind_the_walls_is_called(raw: RawServer, host: str) -> None:
    """By address, by name or by number, though the list allows it: not even a connection is made."""
    met: list[socket.socket] = []
    raw.before_handshake = met.append
    answer = send(f"https://{host}:{port_of(raw)}", host.strip("[]"))
    assert (answer.outcome, answer.cause) == (Outcome.BLOCKED, Cause(Reason.GATEWAY_ADDRESS_PRIVATE))
    assert (raw.requests, met) == ([], [])


def resolving_to(*answers: str) -> Any:
    """A getaddrinfo that gives one address after the other, and then always the last."""
    left = list(answers)

    def getaddrinfo(host: str, port: int, *arguments: Any, **options: Any) -> list[Any]:
        del host, arguments, options
        address = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    return getaddrinfo


def test_a_name_that_leads_behind_the_walls_is_refused(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason says so, and neither message nor token has left."""
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to("127.0.0.1"))
    answer = send(f"https://gateway.example:{port_of(raw)}", "gateway.example")
    assert (answer.outcome, answer.cause) == (Outcome.BLOCKED, Cause(Reason.GATEWAY_ADDRESS_PRIVATE))
    assert raw.requests == []


def test_a_name_that_changes_between_two_looks_is_looked_up_once(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked is what is connected to: here the server's own address, and not the one that comes after it."""
    checked: list[str] = []

    def allowed(address: str) -> bool:
        checked.append(address)
        return address == "127.0.0.1"

    monkeypatch.setattr("chalicelib.gateways.addresses.is_public", allowed)
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to("127.0.0.1", "10.0.0.1"))
    met: list[socket.socket] = []
    raw.before_handshake = met.append
    send(f"https://gateway.example:{port_of(raw)}", "gateway.example")
    assert (checked, len(met)) == (["127.0.0.1"], 1)


def test_a_name_that_nobody_knows_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """To be tried again, since nothing was sent."""

    def unknown(*arguments: Any, **options: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    answer = send("https://gateway.example", "gateway.example")
    assert (answer.outcome, answer.cause) == (Outcome.FAILED, Cause(Reason.NO_CONNECTION))


@pytest.mark.parametrize(
    ("url", "hosts", "reason"),
    [
        ("https://gateway.example", "", Reason.GATEWAY_HOST_NOT_ALLOWED),
        ("https://evil.example", "gateway.example", Reason.GATEWAY_HOST_NOT_ALLOWED),
        ("https://sub.gateway.example", "gateway.example", Reason.GATEWAY_HOST_NOT_ALLOWED),
        ("https://gateway.example@evil.example/", "gateway.example", Reason.GATEWAY_HOST_NOT_ALLOWED),
        ("https://evil.example\\@gateway.example/", "gateway.example", Reason.GATEWAY_HOST_NOT_ALLOWED),
        ("http://gateway.example", "gateway.example", Reason.GATEWAY_URL_NOT_HTTPS),
        ("https://gateway.example:port", "gateway.example", Reason.GATEWAY_URL_INVALID),
    ],
)
def test_only_a_host_of_the_list_is_called_and_by_tls(url: str, hosts: str, reason: Reason) -> None:
    """Exactly as it stands there; tricks with user names do not help."""
    answer = send(url, hosts)
    assert (answer.outcome, answer.cause) == (Outcome.BLOCKED, Cause(reason))


def test_a_public_gateway_of_the_list_is_called(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Capitals and a dot at the end are the same host; here the only public address is that of the server."""
    monkeypatch.setattr("chalicelib.gateways.addresses.is_public", "127.0.0.1".__eq__)
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to("127.0.0.1"))
    met: list[socket.socket] = []
    raw.before_handshake = met.append
    answer = send(f"https://Gateway.Example.:{port_of(raw)}", "gateway.example")
    assert answer.cause == Cause(Reason.NO_CONNECTION), "the server speaks no TLS"
    assert len(met) == 1


def test_on_this_machine_any_gateway_may_be_called(raw: RawServer) -> None:
    """Outside of Lambda, and in an emulator that says so."""
    raw.answer = [b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"code": 0}']
    assert send(raw.url, "", function_name="").outcome is Outcome.ACCEPTED
    assert send(raw.url, "", gateway_local=True).outcome is Outcome.ACCEPTED
