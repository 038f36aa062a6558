"""Bodies and queries that cannot be read, or are of the wrong kind: a problem, and never a 500."""

from __future__ import annotations

import json

import pytest

from tests.factories import ClientBodyFactory
from tests.support.api import Api


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"{'text': 1}",
        b'{"text": "x",}',
        b"\xff\xfe",
        b'{"text": "\xc3\x28"}',
        b'{"text": "x", "text": "y"}',
        b"\x00",
        b"[" * 100_000,
        b'{"a":' * 40_000,
        b"// x\n{}",
    ],
)
def test_a_body_that_is_not_json(api: Api, raw: bytes) -> None:
    """Expects 400 that says so."""
    for path in ("/api/clients", "/api/mailing", "/api/mailing/preview", "/auth-token"):
        reply = api.post(path, raw=raw)
        assert reply.status == 400, (path, reply.text)
        assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("raw", [b"null", b"[]", b"5", b'"x"', b"true", b"[{}]"])
def test_a_body_that_is_not_an_object(api: Api, raw: bytes) -> None:
    """Expects 422: it can be read, but is not what is needed."""
    reply = api.post("/api/clients", raw=raw)
    assert (reply.status, list(reply.errors)) == (422, ["body"])


def test_a_deeply_nested_body(api: Api) -> None:
    """Expects an answer, not a stack overflow."""
    deep = b'{"clients":' + b"[" * 900 + b"]" * 900 + b"}"
    assert api.post("/api/mailing", raw=deep).status in (400, 422)


def test_a_body_that_is_too_large(api: Api) -> None:
    """Expects 413 that says how large a body may be."""
    reply = api.post("/api/clients", raw=b" " * 300_000 + b"{}")
    assert reply.status == 413
    assert "262144" in reply.json["detail"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "json", ""]
)
def test_a_body_of_another_content_type(api: Api, content_type: str) -> None:
    """Expects 415; without any content type it is read as JSON, which is API Gateway's default."""
    raw = json.dumps(ClientBodyFactory()).encode()
    reply = api.post("/api/clients", raw=raw, headers={"Content-Type": content_type})
    assert reply.status == (201 if content_type == "" else 415)


@pytest.mark.parametrize(
    "query", ["%00=1", "limit=%FF", "limit=1&limit=2", "cursor=%00", "a=b", "limit=%F0%9F%8E%84", "=", "tag=%ED%A0%80"]
)
def test_an_invalid_query(api: Api, query: str) -> None:
    """Expects 400 or 422, whatever bytes it has, or a list if it makes sense."""
    target = dict(part.partition("=")[::2] for part in query.split("&"))
    reply = api.request("GET", "/api/clients?" + query)
    assert reply.status in (200, 400, 422), reply.text
    if "limit" in target or "a" in target or "cursor" in target:
        assert reply.status != 200
