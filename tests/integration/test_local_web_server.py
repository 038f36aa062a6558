"""The web server of the local environment over real connections: hostile bytes, limits, keep-alive and stopping."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from chalice.app import Chalice

from chalicelib.clock import SystemClock
from infra.local.api_gateway import HttpFront
from infra.local.loopback import listen
from infra.local.web_server import BODY_LIMIT, WebServer

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def server() -> Iterator[WebServer]:
    app = Chalice("app", configure_logs=False)

    def echo() -> dict[str, object]:
        assert app.current_request is not None
        return {"length": len(app.current_request.raw_body), "path": app.current_request.path}

    app.route("/echo", methods=["GET", "POST"], content_types=["*/*"])(echo)
    server = WebServer(HttpFront(app, SystemClock(), "eu-west-1"), listen(0), threads=4)
    server.start()
    yield server
    server.stop()


def _raw(server: WebServer, request: bytes) -> tuple[int, bytes]:
    """The status and the body of the answer to any bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


def _line(target: bytes, headers: bytes = b"", method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        _line(b"/%"),
        _line(b"/\xff\xfe"),
        _line(b"/a\x00b"),
        _line(b"/echo?\xc3\x28=%c3%28"),
        _line(b"http://[::1/echo"),
        _line(b"*", method=b"OPTIONS"),
        _line(b"/echo", b"X-Odd: \xff\xfe\x00\r\n"),
        _line(b"/echo", b"No colon\r\n"),
        _line(b"/echo", b"Content-Length: -1\r\n"),
        _line(b"/echo", b"Content-Length: x\r\n"),
        _line(b"/echo", b"Transfer-Encoding: chunked\r\n") + b"zz\r\n",
        _line(b"/echo", method=b"PROPFIND"),
        b"nonsense\r\n\r\n",
        b"GET /echo HTTP/9.9\r\n\r\n",
    ],
)
def test_hostile_bytes_get_a_json_answer_below_500(server: WebServer, request_bytes: bytes) -> None:
    """Expects every malformed request to be answered with JSON, and never as our own failure."""
    status, body = _raw(server, request_bytes)
    assert status < 500
    if body:
        assert isinstance(json.loads(body), dict)


def test_endless_headers_are_refused(server: WebServer) -> None:
    """Expects 431 as a problem."""
    status, body = _raw(server, _line(b"/echo", b"X-Large: " + b"a" * 40_000 + b"\r\n"))
    assert (status, json.loads(body)["status"]) == (431, 431)


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server: WebServer) -> None:
    """Expects 413 as a problem because of the announced length."""
    announced = b"Expect: 100-continue\r\nContent-Length: " + str(BODY_LIMIT + 1).encode() + b"\r\n"
    status, body = _raw(server, _line(b"/echo", announced, b"POST"))
    assert (status, json.loads(body)["status"]) == (413, 413)


def test_a_body_that_is_too_large_but_sent_is_refused(server: WebServer) -> None:
    """Expects 413 as a problem, which callers see though they send the whole body."""
    announced = b"Content-Length: " + str(BODY_LIMIT + 1).encode() + b"\r\n"
    status, body = _raw(server, _line(b"/echo", announced, b"POST") + b"x" * (BODY_LIMIT + 1))
    assert (status, json.loads(body)["status"]) == (413, 413)


def test_a_caller_who_disconnects_halfway_changes_nothing() -> None:
    """Expects half of an upload not to be handed on, with an announced length and in chunks."""
    reached: list[bytes] = []

    def taking(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        reached.append(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    server = WebServer(taking, listen(0), 2)
    server.start()
    halves = [(b"Content-Length: 9\r\n", b"half"), (b"Transfer-Encoding: chunked\r\n", b"4\r\nhalf\r\n")]
    for header, half in halves:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(_line(b"/", header, b"POST") + half)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""  # the server has seen that nothing more comes
    assert _raw(server, _line(b"/", b"Content-Length: 5\r\n", b"POST") + b"whole")[0] == 200
    server.stop()
    assert reached == [b"whole"]


def test_a_chunked_body_arrives_whole(server: WebServer) -> None:
    """Expects a body without an announced length to be handed on."""
    request = _line(b"/echo", b"Transfer-Encoding: chunked\r\n", b"POST") + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    status, body = _raw(server, request)
    assert (status, json.loads(body)["length"]) == (200, 5)


def test_a_caller_who_waits_before_the_body_is_told_to_send_it(server: WebServer) -> None:
    """Expects 100 Continue for callers who send the headers first, as curl does with a large file."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(_line(b"/echo", b"Expect: 100-continue\r\nContent-Length: 3\r\n", b"POST"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["length"]) == (200, 3)


def test_requests_that_are_sent_together_are_answered_in_order(server: WebServer) -> None:
    """Expects two answers to two requests that come in one packet, and the second to end the connection."""
    first = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(first + _line(b"/echo"))
        with connection.makefile("rb") as lines:
            answers = lines.read()
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.index(b'"length":1') < answers.index(b'"length":0')


def test_an_address_may_have_letters_of_any_script(server: WebServer) -> None:
    """Expects an address in UTF-8, as curl sends it, to be the same as the percent-encoded one."""
    status, body = _raw(server, _line("/echo?tag=вип".encode()))
    assert (status, json.loads(body)["path"]) == (200, "/echo")


def test_a_connection_is_kept_open_and_without_delays(server: WebServer) -> None:
    """Expects many requests over one connection, which sends small packets at once."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.connect()
    ports = set()
    for _ in range(20):
        connection.request("POST", "/echo", b"x", {"Content-Type": "text/plain"})
        assert connection.getresponse().read()
        ports.add(connection.sock.getsockname()[1])
    assert len(ports) == 1
    (kept,) = server._server.server_state.connections
    assert kept.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    connection.close()


def test_a_taken_port_is_an_os_error(server: WebServer) -> None:
    """Expects a second server on a port to be refused before it serves anything."""
    with pytest.raises(OSError, match="in use"):
        listen(server.port)


def test_a_stop_lets_a_running_request_finish() -> None:
    """Expects a request that is running at the stop to be answered, and nothing to listen afterwards."""
    entered, leave = threading.Event(), threading.Event()

    def slow(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        entered.set()
        assert leave.wait(10)
        start_response("200 OK", [("Content-Length", "4")])
        return [b"done"]

    server = WebServer(slow, listen(0), 2)
    server.start()
    answers: list[tuple[int, bytes]] = []
    caller = threading.Thread(target=lambda: answers.append(_raw(server, _line(b"/"))))
    caller.start()
    assert entered.wait(10)
    threading.Timer(0.1, leave.set).start()
    server.stop(10)
    caller.join(10)
    assert answers == [(200, b"done")]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)
