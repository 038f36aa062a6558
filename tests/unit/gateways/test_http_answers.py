"""The HTTP gateway and answers that no server should give; the ordinary ones are in tests/integration."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.config import Settings
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from chalicelib.gateways.http import HttpGateway
from chalicelib.gateways.http_adapter import parse_retry_after
from chalicelib.gateways.transport import Request, packet_of
from tests.factories import outgoing
from tests.unit.gateways.raw_server import RawServer

pytestmark = pytest.mark.enable_socket

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
OK = b'{"code": 0, "message": "OK"}'


def send(url: str, **settings: Any) -> Answer:
    """One message to a gateway that is given half a second."""
    timeouts = {"gateway_connect_timeout": 0.5, "gateway_read_timeout": 0.5}
    settings = {"gateway_url": url, "gateway_token": "token", **timeouts, **settings}
    return HttpGateway(Settings(**settings)).send(outgoing(7, "+79161234567", "Hello, мир"))


def http(body: bytes, status: str = "200 OK", *headers: str) -> list[bytes]:
    lines = [f"HTTP/1.1 {status}", *(headers or (f"Content-Length: {len(body)}",)), "", ""]
    return ["\r\n".join(lines).encode("latin-1"), body]


def endless(head: bytes) -> Iterator[bytes]:
    """An answer of a gigabyte."""
    yield head
    for _ in range(1024):
        yield b"x" * 2**20


# -- the request


def test_the_request_is_exactly_that_of_the_contract(raw: RawServer) -> None:
    """One POST with path, token, content type and JSON; nothing of the person's own environment."""
    raw.answer = http(OK)
    assert send(raw.url + "/base/").outcome is Outcome.ACCEPTED
    (request,) = raw.requests
    head, _, body = request.partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    fields = dict(header.split(": ", 1) for header in headers)
    assert line == "POST /base/v1/send/7 HTTP/1.1"
    assert fields["Authorization"] == "Bearer token"
    assert fields["Content-Type"] == "application/json"
    assert not {"Cookie", "Proxy-Authorization"} & set(fields)
    assert json.loads(body) == {"id": 7, "phone": 79161234567, "text": "Hello, мир"}


def test_neither_proxy_nor_netrc_is_used(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of the environment cannot lead messages elsewhere."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    raw.answer = http(OK)
    assert send(raw.url).outcome is Outcome.ACCEPTED


def test_no_cookie_is_kept(raw: RawServer) -> None:
    """What one message was answered does not go along with another one."""
    raw.answer = http(OK, "200 OK", "Set-Cookie: a=b; Path=/", f"Content-Length: {len(OK)}")
    gateway = HttpGateway(Settings(gateway_url=raw.url))
    for gateway_id in (1, 2):
        assert gateway.send(outgoing(gateway_id, "+79161234567", "Hello")).outcome is Outcome.ACCEPTED
        raw.wait_closed()
    assert [b"cookie" in request.lower() for request in raw.requests] == [False, False]


# -- bodies


@pytest.mark.parametrize(
    ("body", "outcome", "cause"),
    [
        (OK, Outcome.ACCEPTED, None),
        (b'{"code": 0}', Outcome.ACCEPTED, None),
        (b' \n{"code":0.0,"other":[]}', Outcome.ACCEPTED, None),
        (b'{"code": 1}', Outcome.FAILED, Cause(Reason.GATEWAY_CODE, "1")),
        (b'{"code": -3}', Outcome.FAILED, Cause(Reason.GATEWAY_CODE, "-3")),
        (b'{"code": 79161234567}', Outcome.FAILED, Cause(Reason.GATEWAY_CODE)),
        (b'{"code": "0"}', Outcome.FAILED, Cause(Reason.GATEWAY_CODE)),
        (b'{"code": null}', Outcome.FAILED, Cause(Reason.GATEWAY_CODE)),
        (b'{"code": false}', Outcome.FAILED, Cause(Reason.GATEWAY_CODE)),
        (b'{"code": NaN}', Outcome.FAILED, Cause(Reason.GATEWAY_CODE)),
        (b'{"code": [0]}', Outcome.FAILED, Cause(Reason.GATEWAY_CODE)),
        (b"", Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR)),
        (b"{}", Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR)),
        (b"[]", Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR)),
        (b"0", Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR)),
        (b"null", Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR)),
        (b'"code"', Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR)),
        (b'{"code": 0', Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR)),
        (b'{"code": 0}}', Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR)),
        (b"\xff\xfe\x00", Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR)),
        (b"[" * 60_000, Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR)),
        (b'{"code": ' + b"1" * 5000 + b"}", Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR)),
        (b'{"code": 0, "message": "' + b"x" * 70_000 + b'"}', Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR)),
    ],
)
def test_only_code_zero_is_success(raw: RawServer, body: bytes, outcome: Outcome, cause: Cause | None) -> None:
    """Another code says no, and what is no answer leaves it open; neither is repeated in full in the cause."""
    raw.answer = http(body)
    answer = send(raw.url)
    assert (answer.outcome, answer.http_status, answer.cause) == (outcome, 200, cause)


@pytest.mark.parametrize("status", ["201 Created", "202 Accepted", "204 No Content", "206 Partial"])
def test_another_success_leaves_it_open(raw: RawServer, status: str) -> None:
    """It may have been taken, and the contract does not say so."""
    raw.answer = http(b"" if status.startswith("204") else OK, status)
    assert send(raw.url).outcome is Outcome.UNKNOWN


def test_a_chunked_answer_is_read(raw: RawServer) -> None:
    """In however many pieces it comes."""
    raw.answer = [*http(b"", "200 OK", "Transfer-Encoding: chunked"), b"5\r\n" + OK[:5] + b"\r\n", b"17\r\n" + OK[5:]]
    raw.answer += [b"\r\n0\r\n\r\n"]
    assert send(raw.url).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "500 Oops", "400 No"])
def test_of_a_gigabyte_only_the_beginning_is_read(raw: RawServer, status: str) -> None:
    """Whatever it comes with: a redirect's body would be read whole, even where it is not followed."""
    raw.answer = endless(http(b"", status, "Content-Length: 1073741824", "Location: /elsewhere")[0])
    answer = send(raw.url, gateway_read_timeout=5.0)
    assert answer.outcome is not Outcome.ACCEPTED
    assert raw.sent < 64 * 2**20  # what the sockets' buffers hold counts too
    assert len(raw.requests) == 1


def test_a_small_answer_that_unpacks_into_a_large_one_is_none(raw: RawServer) -> None:
    """64 KB are read of what comes out, too."""
    raw.answer = http(gzip.compress(b'{"code": 0, "message": "' + b"x" * 10_000_000 + b'"}'))
    raw.answer[0] = raw.answer[0].replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    assert send(raw.url).outcome is Outcome.UNKNOWN


HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(OK)


@pytest.mark.parametrize(
    "answer",
    [
        [HEAD + b"\r\n", OK],  # it ends with the connection
        [b"HTTP/1.0 200 OK\r\n\r\n" + OK],
        [b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n", OK],
        [b"HTTP/1.1 200 OK\n" + LENGTH.replace(b"\r", b"") + b"\n", OK],
        [HEAD + b"X: a\r\n b\r\n" + LENGTH + b"\r\n", OK],
        [HEAD + b"X: \xff\xfe\r\n" + LENGTH + b"\r\n", OK],
        [HEAD + LENGTH.lower() + b"\r\n", OK[:3], OK[3:]],
        [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + LENGTH + b"\r\n" + OK],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + LENGTH + b"\r\n" + OK],
        [HEAD + LENGTH + b"\r\n" + OK + b"and more"],
        [HEAD + LENGTH + b"\r\n" + OK + HEAD + b"Content-Length: 1\r\n\r\n7"],
        [HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(OK)],
        [HEAD + b"Content-Encoding: identity\r\n" + LENGTH + b"\r\n", OK],
        [HEAD + b"Content-Encoding: utf-8\r\n" + LENGTH + b"\r\n", OK],
        [HEAD + b"Upgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\n" + LENGTH + b"\r\n", OK],
        [HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n", b"1c  \r\n" + OK + b"\r\n0\r\n\r\n"],
        [HEAD + b"Content-Length : 28\r\n\r\n", OK],
        [HEAD + b"Connection: close\r\n" + LENGTH + b"\r\n", OK, b"more"],
        [bytes([one]) for one in HEAD + LENGTH + b"\r\n" + OK],
    ],
)
def test_an_answer_is_read_however_it_is_written(raw: RawServer, answer: list[bytes]) -> None:
    """Whoever wrote the gateway's server took some liberties; each of them can be read in one way only."""
    raw.answer = answer
    assert send(raw.url).outcome is Outcome.ACCEPTED


def test_another_protocol_is_about_the_address(raw: RawServer) -> None:
    """Nobody asked for it."""
    raw.answer = [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"]
    assert send(raw.url).outcome is Outcome.BLOCKED


def test_a_request_is_one_request() -> None:
    """Its length is that of its body; a line break would begin another header, or another request."""
    lines = packet_of(Request("/send", b"{}", {"content-length": "1", "user-agent": "own"}), "gateway.example")
    assert lines.split(b"\r\n") == [
        b"POST /send HTTP/1.1",
        b"Content-Length: 2",
        b"Host: gateway.example",
        b"Accept-Encoding: identity",
        b"user-agent: own",
        b"",
        b"{}",
    ]
    request = Request("/send", b"{}", {"X-Name": "a\r\nX-Other: b"})
    with pytest.raises(ValueError, match="request"):
        packet_of(request, "gateway.example")
    with pytest.raises(ValueError, match="request"):
        packet_of(Request("/send me", b"{}", {}), "gateway.example")


# -- connections


@pytest.mark.parametrize(
    "answer",
    [
        [],
        [b"HTTP/1.1 200"],
        [b"HTTP/1.1 200 OK\r\nContent-Le"],
        [b"SSH-2.0-OpenSSH_9.2\r\n"],
        [b"HTTP/1.1 banana OK\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", OK],
        [b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", OK],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", OK],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", OK],
        [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 28\r\n\r\n", OK],
    ],
)
@pytest.mark.parametrize("reset", [False, True])
def test_an_answer_that_breaks_off_leaves_it_open(raw: RawServer, answer: list[bytes], reset: bool) -> None:
    """The request was read, so the message may have been taken; nothing is raised."""
    raw.answer, raw.reset_at_end = answer, reset
    assert send(raw.url).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "location", ["/elsewhere", "http://[", "//", "http://127.0.0.1:1/", "\xff\xfe", "", "http://:x"]
)
def test_a_redirect_is_about_the_address_wherever_it_points_to(raw: RawServer, location: str) -> None:
    """It is neither followed nor even read."""
    raw.answer = http(b"", "307 Temporary Redirect", "Content-Length: 0", f"Location: {location}")
    answer = send(raw.url)
    assert (answer.outcome, answer.cause, len(raw.requests)) == (Outcome.BLOCKED, Cause.http(307), 1)


def test_informational_answers_without_an_end_are_cut_off(raw: RawServer) -> None:
    """Each is complete, and none is the answer."""
    raw.answer = (b"HTTP/1.1 100 Continue\r\n\r\n" * 100 for _ in range(10**6))
    began = time.monotonic()
    assert send(raw.url).outcome is Outcome.UNKNOWN
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "url", ["http://", "http://[", "http://127.0.0.1:port", "http://127.0.0.1:99999", "http://a b"]
)
def test_an_invalid_address_is_no_messages_fault(url: str) -> None:
    """Nothing was sent, and the reason says where to look."""
    answer = send(url)
    assert (answer.outcome, answer.cause) == (Outcome.BLOCKED, Cause(Reason.GATEWAY_URL_INVALID))


@pytest.mark.parametrize("token", ["тайна", "to\nken"])
def test_a_token_that_no_header_can_hold_is_no_messages_fault(raw: RawServer, token: str) -> None:
    """Nothing was sent, and the token is not in the reason."""
    answer = send(raw.url, gateway_token=token)
    assert (answer.outcome, answer.cause) == (Outcome.BLOCKED, Cause(Reason.TOKEN_INVALID))
    assert raw.requests == []


def test_a_server_that_accepts_no_connection_is_a_failure(raw: RawServer) -> None:
    """Nothing was sent."""
    url = raw.url
    raw.stop()
    answer = send(url)
    assert (answer.outcome, answer.cause) == (Outcome.FAILED, Cause(Reason.NO_CONNECTION))


# -- Retry-After


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("Mon, 02 Mar 2026 09:02:00 GMT", 120),
        ("Mon, 02 Mar 2026 12:02:00 +0300", 120),
        ("Mon, 02 Mar 2026 09:02:00 -0000", 120),
        ("Mon, 02 Mar 2026 08:00:00 GMT", 0),
        ("999999999", 999_999_999),
        ("1000000000", 1e9),
        ("9" * 5000, 1e9),
        ("", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("\u0661\u0662", None),
        ("\u00b2", None),
        ("soon", None),
        ("Mon, 99 Mar 2026 09:02:00 GMT", None),
        ("Mon, 02 Mar 99999999999 09:02:00 GMT", None),
        ("2026-03-02T09:02:00Z", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    """A date that is past is now; what is absurd is a very long time, what is neither is nothing."""
    assert parse_retry_after(text, NOW) == seconds


@pytest.mark.parametrize(("status", "given"), [("429 Slow", 9), ("503 Busy", 9), ("504 Late", 9), ("400 No", None)])
def test_the_wish_of_whoever_is_in_trouble_is_passed_on(raw: RawServer, status: str, given: float | None) -> None:
    """A refusal is not in trouble."""
    raw.answer = http(b"", status, "Content-Length: 0", "Retry-After: 9")
    assert send(raw.url).retry_after == given


def test_a_date_is_counted_from_now(raw: RawServer) -> None:
    """By this machine's clock."""
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    raw.answer = http(b"", "503 Busy", "Content-Length: 0", f"Retry-After: {later}")
    assert send(raw.url).retry_after == pytest.approx(3600, abs=10)
