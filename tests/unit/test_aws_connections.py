"""Calls of AWS on the wire: who signs them, over which connection they go, and what comes of one that breaks."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from chalicelib.aws_calls import signature
from chalicelib.aws_clients import aws_client, plain_client
from tests.unit.gateways.raw_server import RawServer

pytestmark = pytest.mark.enable_socket

NAMES = {"TableNames": ["й"]}
BODY = json.dumps(NAMES).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amzn-RequestId: one\r\n"
OK = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
THROTTLED = b'{"__type": "com.amazonaws#ThrottlingException", "message": "slower"}'


@pytest.fixture
def raw() -> Iterator[RawServer]:
    """A server that says what a test wants, and closes the connection after it."""
    server = RawServer()
    server.answer = [OK]
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def client_at(url: str, monkeypatch: pytest.MonkeyPatch, tries: int = 1, **options: Any) -> Any:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    retries = {"mode": "standard", "total_max_attempts": tries}
    return plain_client("dynamodb", Config(connect_timeout=1, read_timeout=0.3, retries=retries, **options))


@pytest.mark.parametrize("token", [None, "of a session"])
@pytest.mark.parametrize(
    "url", ["https://dynamodb.eu-west-1.amazonaws.com/", "http://127.0.0.1:4566/", "https://example.org:443/"]
)
def test_a_call_is_signed_as_botocore_signs_it(url: str, token: str | None) -> None:
    """Expects the very same headers, with a session's credentials (those of a function) and without."""
    who = Credentials("key", "secret", token)
    named = {"X-Amz-Target": "DynamoDB_20120810.Query", "Content-Type": "application/x-amz-json-1.0"}
    named |= {"User-Agent": "Boto3/1", "X-Amzn-Trace-Id": "Root=1", "x-amzn-query-mode": "true"}
    theirs = AWSRequest("POST", url, named, BODY)
    now = datetime(2026, 11, 27, 13, 50, 1)  # noqa: DTZ001 - as both of them have it
    with (
        mock.patch("botocore.auth.get_current_datetime", return_value=now),
        mock.patch("chalicelib.aws_calls.get_current_datetime", return_value=now),
    ):
        SigV4Auth(who, "dynamodb", "eu-west-1").add_auth(theirs)
        ours = signature(who, "eu-west-1", "dynamodb", url, named, BODY)
    assert {**named, **ours} == dict(theirs.headers.items())


def test_changed_credentials_sign_from_the_next_call_on(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda gives a function new ones from time to time; botocore's own object tells the newest."""
    client = client_at(raw.url, monkeypatch)
    client.list_tables()
    client._request_signer._credentials = Credentials("other", "secret", "of a session")
    client.list_tables()
    first, second = raw.requests
    assert b"Credential=key/" in first
    assert b"Credential=other/" in second
    assert b"X-Amz-Security-Token: of a session\r\n" in second


def test_nobody_calls_without_credentials(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_at(raw.url, monkeypatch)
    client._request_signer._credentials = None
    with pytest.raises(NoCredentialsError):
        client.list_tables()
    assert raw.requests == []


def test_a_call_says_what_botocore_says(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects host, target, type, length, date, signature and the SDK's name, once each, and nothing else."""
    client = client_at(raw.url, monkeypatch)
    assert client.list_tables(Limit=1)["TableNames"] == ["й"]
    head, _, body = raw.requests[0].partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert (line, json.loads(body)) == ("POST / HTTP/1.1", {"Limit": 1})
    said = [header.partition(": ")[0] for header in headers]
    wanted = ["Host", "X-Amz-Target", "Content-Type", "User-Agent", "X-Amz-Date", "Authorization", "Content-Length"]
    assert sorted(said) == sorted(wanted)
    assert re.search(r"User-Agent: Boto(core|3)/1\.", head.decode())


@pytest.mark.parametrize(
    "pieces",
    [
        [OK[:10], OK[10:60], OK[60:]],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n" % len(BODY), BODY[:3], BODY[3:] + b"\r\n0\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + OK],
    ],
    ids=["in pieces", "chunked", "after a 100"],
)
def test_a_response_is_understood_however_it_comes(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]
) -> None:
    raw.answer = pieces
    answer = client_at(raw.url, monkeypatch).list_tables()
    assert answer["TableNames"] == ["й"]
    assert answer["ResponseMetadata"]["RequestId"] == "one"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(
    "pieces", [[], [OK[:40]], [OK[:-1]], [b"nonsense\r\n\r\n"]], ids=["none", "half a head", "half a body", "no HTTP"]
)
def test_a_connection_that_breaks_is_an_error_of_botocore(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]
) -> None:
    raw.answer = pieces
    with pytest.raises(ConnectionClosedError):
        client_at(raw.url, monkeypatch).list_tables()


def test_a_server_that_says_nothing_is_given_up(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = threading.Event()

    def nothing() -> Iterator[bytes]:
        silent.wait(5)
        yield b""

    raw.answer = nothing()
    with pytest.raises(ReadTimeoutError):
        client_at(raw.url, monkeypatch).list_tables()
    silent.set()


def test_where_nobody_listens_there_is_no_endpoint(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_at(raw.url, monkeypatch)
    raw.stop()
    with pytest.raises(EndpointConnectionError):
        client.list_tables()


@pytest.mark.parametrize("broken", [OK[:40], b"HTTP/1.1 500 -\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"])
def test_what_passes_is_tried_again_as_often_as_was_said(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch, broken: bytes
) -> None:
    """Each time over a new connection, for a broken one is kept by nobody, and signed anew."""
    answers = iter([broken, broken, OK])

    class Next:
        def __iter__(self) -> Iterator[bytes]:
            return iter([next(answers)])

    raw.answer = Next()
    with mock.patch("time.sleep"):
        answer = client_at(raw.url, monkeypatch, tries=3).list_tables()
    assert (answer["TableNames"], answer["ResponseMetadata"]["RetryAttempts"]) == (["й"], 2)
    assert len(raw.requests) == 3


def test_a_refusal_is_that_of_botocore_after_the_last_try(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    raw.answer = [b"HTTP/1.1 400 -\r\nContent-Length: %d\r\n\r\n" % len(THROTTLED) + THROTTLED]
    with mock.patch("time.sleep"), pytest.raises(ClientError) as caught:
        client_at(raw.url, monkeypatch, tries=2).list_tables()
    assert caught.value.response["Error"] == {"Code": "ThrottlingException", "Message": "slower"}
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 1
    assert len(raw.requests) == 2


def test_a_kept_connection_that_the_other_side_closed_is_made_anew(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a function was frozen: without spending a try, since nothing was sent yet."""
    client = client_at(raw.url, monkeypatch)
    for _ in range(3):
        assert client.list_tables()["TableNames"] == ["й"]
        raw.wait_closed()
    assert len(raw.requests) == 3


class _Kept(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ports: list[int] = []  # noqa: RUF012 - of all connections, which is what the test counts
    wants: str = "keep-alive"

    def do_POST(self) -> None:
        self.ports.append(self.client_address[1])
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(OK.replace(b"Content-Type", b"Connection: %s\r\nContent-Type" % self.wants.encode()))
        self.close_connection = self.wants == "close"

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


@pytest.mark.parametrize(("wants", "connections"), [("keep-alive", 1), ("close", 5)])
def test_connections_are_kept_as_long_as_the_server_lets(
    monkeypatch: pytest.MonkeyPatch, wants: str, connections: int
) -> None:
    monkeypatch.setattr(_Kept, "ports", [])
    monkeypatch.setattr(_Kept, "wants", wants)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Kept) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = client_at(f"http://127.0.0.1:{server.server_port}", monkeypatch)
        for _ in range(5):
            client.list_tables()
        client.close()
        server.shutdown()
        thread.join()
    assert (len(_Kept.ports), len(set(_Kept.ports))) == (5, connections)


def test_a_proxy_is_asked_as_botocore_asks_it(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    client = client_at("http://dynamodb.invalid", monkeypatch, proxies={"http": raw.url})
    assert client.list_tables()["TableNames"] == ["й"]
    assert raw.requests[0].startswith(b"POST http://dynamodb.invalid/ HTTP/1.1\r\n")


def test_a_trusted_certificate_is_enough(secure: RawServer, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secure.answer = [OK]
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    assert client_at(secure.url, monkeypatch).list_tables()["TableNames"] == ["й"]


def test_a_certificate_that_nobody_trusts_hears_nothing(secure: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    secure.answer = [OK]
    with pytest.raises(SSLError):
        client_at(secure.url, monkeypatch).list_tables()
    assert secure.requests == []


def test_the_clients_of_the_service_call_like_this(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", raw.url)
    assert aws_client("dynamodb").list_tables()["TableNames"] == ["й"]
    assert b"amz-sdk-invocation-id" not in raw.requests[0]
