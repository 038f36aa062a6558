"""Who may call the embedded emulator: over real HTTP, as a web page, another user or the service itself would."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from ministack.core import sigv4

from chalicelib.aws_calls import signature
from infra.local.emulator import IDENTITY_PATH, Emulator
from infra.local.emulator_access import Access, NoAccessError, check_signature
from tests.support.emulator import client, data_directory

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.filterwarnings("ignore:subprocess [0-9]+ is still running:ResourceWarning"),
]
TARGET = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator with one table that has one person in it."""
    with data_directory(tmp_path_factory.mktemp("data")) as directory:
        emulator = Emulator.start_or_adopt(directory)
        dynamodb = client("dynamodb", emulator)
        dynamodb.create_table(
            TableName="people",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        dynamodb.put_item(TableName="people", Item={"id": {"S": "one"}, "phone": {"S": "+79161234567"}})
        yield emulator
        assert dynamodb.get_item(TableName="people", Key={"id": {"S": "one"}})["Item"]["phone"]


def asked(
    emulator: Emulator, method: str = "POST", path: str = "/", body: bytes = b"{}", **headers: str
) -> tuple[int, Mapping[str, str], bytes]:
    """A request with exactly these headers; `_` in a name stands for a dash."""
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=10)
    try:
        names = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        connection.putrequest(method, path, skip_host="host" in names, skip_accept_encoding=True)
        for name, value in {**names, "content-length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def signed(emulator: Emulator, body: bytes = b"{}", access: Access | None = None, **headers: str) -> dict[str, str]:
    """The headers of a call whose content is signed."""
    access = access or emulator.access
    host = headers.pop("Host", f"127.0.0.1:{emulator.port}")
    request = AWSRequest("POST", f"http://{host}/", data=body, headers={**TARGET, "Host": host, **headers})
    SigV4Auth(Credentials(access.key_id, access.secret), "dynamodb", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def is_refused(answer: tuple[int, Mapping[str, str], bytes]) -> bool:
    """Whether it refuses, reveals nothing, and lets no page read even that."""
    status, headers, body = answer
    assert not [name for name in headers if name.startswith("access-control-")]
    return status == 403 and b"people" not in body and b"+7916" not in body


def test_calls_with_the_credentials_are_answered(emulator: Emulator) -> None:
    """A signed call, as every AWS client sends it."""
    status, _, body = asked(emulator, **signed(emulator))
    assert (status, json.loads(body)) == (200, {"TableNames": ["people"]})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/_ministack/reset", b""),
        ("POST", "/_ministack/config", b"{}"),
        ("GET", "/_ministack/health", b""),
        ("GET", "/_localstack/health", b""),
        ("GET", "/health", b""),
        ("GET", "/_ministack/sqs/messages", b""),
        ("POST", "/", b'{"TableName": "people"}'),
        ("POST", "/", b"Action=DeleteQueue&QueueUrl=http%3A%2F%2F127.0.0.1%2F000000000000%2Fsend"),
        ("GET", "/?Action=ListQueues", b""),
        ("GET", "/people", b""),
        ("OPTIONS", "/", b""),
        ("GET", IDENTITY_PATH, b""),
        ("DELETE", "/people", b""),
    ],
)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_no_web_page_gets_anything(
    emulator: Emulator, method: str, path: str, body: bytes, kind: str, origin: str
) -> None:
    """One such request used to wipe all tables, another to read them: expects neither a simple request nor a form to
    work."""
    headers = {"Content_Type": kind, "Sec_Fetch_Site": "cross-site"} | ({"Origin": origin} if origin else {})
    assert is_refused(asked(emulator, method, path, body, **headers))
    del headers["Sec_Fetch_Site"]  # a browser that sends none
    assert is_refused(asked(emulator, method, path, body, **headers))


@pytest.mark.parametrize("header", ["Origin", "Sec_Fetch_Site", "Referer", "Cookie"])
def test_a_signed_call_from_a_browser_is_refused(emulator: Emulator, header: str) -> None:
    """The headers that browsers add are never in a call of an SDK."""
    assert is_refused(asked(emulator, **signed(emulator), **{header: "same-origin"}))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "localhost:{port}", "127.0.0.1", "127.0.0.1:1"]
)
def test_another_host_name_of_this_machine_is_refused(emulator: Emulator, host: str) -> None:
    """A page whose name resolves to 127.0.0.1 (DNS rebinding) sends no Origin, but its own Host."""
    host = host.format(port=emulator.port)
    assert is_refused(asked(emulator, **signed(emulator, Host=host)))
    assert is_refused(asked(emulator, "GET", "/_ministack/health", b"", Host=host))


def test_wrong_credentials_are_refused(emulator: Emulator) -> None:
    """Another key, the right key with another secret, those that emulators usually accept, and none."""
    own = emulator.access
    for access in (Access("test", "test"), Access(own.key_id, "guessed"), Access("LOCAL", own.secret)):
        assert is_refused(asked(emulator, **signed(emulator, access=access)))
        with pytest.raises(ClientError, match=r"UnrecognizedClientException|InvalidSignatureException"):
            client("dynamodb", emulator, access).list_tables()
        with pytest.raises(ClientError, match=r"UnrecognizedClientException|InvalidSignatureException"):
            client("sqs", emulator, access).list_queues()
    assert is_refused(asked(emulator, **TARGET))
    assert is_refused(asked(emulator, **TARGET, Authorization=f"Bearer {own.secret}"))
    assert is_refused(asked(emulator, **TARGET, Authorization=f"AWS4-HMAC-SHA256 Credential={own.key_id}"))


def test_the_signature_covers_the_call(emulator: Emulator) -> None:
    """Expects an intercepted call not to be usable with another body, operation or time."""
    headers = signed(emulator)
    other = {**headers, "X-Amz-Target": "DynamoDB_20120810.DeleteTable"}
    assert is_refused(asked(emulator, body=b'{"TableName": "people"}', **headers))
    assert is_refused(asked(emulator, **other))
    digest = hashlib.sha256(b"{}").hexdigest()
    assert is_refused(asked(emulator, body=b'{"a": 1}', **signed(emulator, **{"X-Amz-Content-Sha256": digest})))
    assert is_refused(asked(emulator, path="/?TableName=people", **headers))
    twice = [*headers.items(), ("X-Amz-Target", "DynamoDB_20120810.DeleteTable")]
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=10) as raw:
        lines = [f"{name}: {value}" for name, value in twice] + ["Content-Length: 2", "Connection: close", "", "{}"]
        raw.sendall("\r\n".join(["POST / HTTP/1.1", *lines]).encode())
        assert b" 403 " in raw.recv(100)


def test_an_old_signature_is_refused() -> None:
    """AWS itself accepts one for a quarter of an hour."""
    access = Access("KEY", "secret")
    for age, good in ((timedelta(minutes=14), True), (timedelta(minutes=16), False), (-timedelta(minutes=16), False)):
        request = AWSRequest("POST", "http://127.0.0.1:1/", data=b"{}", headers={**TARGET, "Host": "127.0.0.1:1"})
        at = (datetime.now(UTC) - age).strftime("%Y%m%dT%H%M%SZ")
        auth = SigV4Auth(Credentials(access.key_id, access.secret), "dynamodb", "eu-west-1")
        request.context["timestamp"] = at
        request.headers["X-Amz-Date"] = at
        text = auth.string_to_sign(request, auth.canonical_request(request))
        auth._inject_signature_to_request(request, auth.signature(text, request))
        headers = {name.lower(): value for name, value in request.headers.items()}
        scope: dict[str, Any] = {"method": "POST", "path": "/"}
        if good:
            assert check_signature(access, scope, headers, b"{}") == "eu-west-1"
        else:
            with pytest.raises(NoAccessError):
                check_signature(access, scope, headers, b"{}")


def test_our_own_signed_calls_are_recognised_without_ministack(monkeypatch: pytest.MonkeyPatch) -> None:
    """MiniStack's code, which knows every form of a signature, is only for calls of another form."""
    access, scope = Access("KEY", "secret"), {"method": "POST", "path": "/"}
    who, url, target = Credentials(access.key_id, access.secret), "http://127.0.0.1:1/", {**TARGET, "User-Agent": "x"}
    made = {**target, **signature(who, "eu-west-1", "sqs", url, target, b"{}"), "Host": "127.0.0.1:1"}
    headers = {name.lower(): value for name, value in made.items()}
    monkeypatch.setattr(sigv4, "parse_header_signature", lambda _: ("", "looked at more closely"))
    assert check_signature(access, scope, headers, b"{}") == "eu-west-1"
    short = headers["authorization"].replace("content-type;", "")
    for other in (
        {"x-amz-target": "DynamoDB_20120810.DeleteTable"},
        {"x-amz-date": (datetime.now(UTC) - timedelta(minutes=2)).strftime("%Y%m%dT%H%M%SZ")},
        {"x-amz-date": "now"},
        {"authorization": short},
        {"authorization": headers["authorization"].replace("KEY", "LOCK")},
        {"authorization": headers["authorization"].replace("x-amz-target", "x-amz-other")},
        {"authorization": headers["authorization"].replace("host;", "")},
        {"authorization": headers["authorization"] + "0"},
    ):
        with pytest.raises(NoAccessError):
            check_signature(access, scope, headers | other, b"{}")
    for path, body in (("/other", b"{}"), ("/", b'{"a": 1}')):
        with pytest.raises(NoAccessError):
            check_signature(access, {**scope, "path": path}, headers, body)


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("dynamodb", "restore_table_from_backup", {"TargetTableName": "other", "BackupArn": "a" * 40}),
        ("dynamodb", "list_backups", {}),
        ("sts", "get_caller_identity", {}),
        ("s3", "list_buckets", {}),
        ("iam", "list_users", {}),
    ],
)
def test_only_what_the_service_needs_is_running(
    emulator: Emulator, service: str, call: str, arguments: dict[str, Any]
) -> None:
    """No other service of MiniStack, and no operation that would change tables without the journal."""
    with pytest.raises((ClientError, ResponseParserError)):
        getattr(client(service, emulator), call)(**arguments)


def test_each_directory_keeps_credentials_of_its_own(
    emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Expects them to be readable by nobody else, random, and the same in the next run."""
    other = tmp_path_factory.mktemp("other")
    with data_directory(other) as directory:
        access = Access.of(directory)
        assert access == Access.of(directory)
        assert directory.access_file.stat().st_mode & 0o777 == 0o600
        assert len({access.key_id, access.secret, emulator.access.key_id, emulator.access.secret}) == 4
        assert len(access.secret) >= 43
