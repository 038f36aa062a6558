"""One shape for every error, whatever is sent: a problem document, never a 500 or a stack trace."""

from __future__ import annotations

import pytest

from chalicelib.web.parsing import MAX_JSON
from tests.support.api import PASSWORD, Api, Reply


def expect_problem(reply: Reply, status: int) -> None:
    """Fails unless the answer is an RFC 9457 problem with the members that ours always have."""
    assert reply.status == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["status"] == status
    assert {"type", "title", "detail"} <= reply.json.keys()
    assert "Traceback" not in reply.text


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing/", "/api/clients/x/y/z", "/api/%00", "/api/../etc"])
def test_an_unknown_route_is_a_404(api: Api, path: str) -> None:
    """As a problem document, with and without a slash."""
    expect_problem(api.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/api/clients/"), ("DELETE", "/health"), ("PATCH", "/auth-token/")]
)
def test_a_wrong_method_is_a_405(api: Api, method: str, path: str) -> None:
    """As a problem document."""
    expect_problem(api.request(method, path), 405)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "nonsense"])
def test_another_content_type_is_a_415(api: Api, kind: str) -> None:
    """Even if the body is JSON."""
    expect_problem(api.post("/api/clients/", {}, headers={"Content-Type": kind}), 415)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b"\xff\xfe",
        b'"\\ud800"',
        b"[" * 100_000,
        b'{"a":' * 10_000,
        b"1" * 5_000,
    ],
)
def test_a_body_that_cannot_be_read_is_the_callers_error(api: Api, raw: bytes) -> None:
    """No JSON, invalid JSON, or deeply nested JSON: expects 400 or 422, and nothing created."""
    reply = api.post("/api/clients/", raw=raw)
    expect_problem(reply, reply.status)
    assert reply.status in (400, 413, 422)
    assert api.get("/api/clients/").json["total"] == 0


def test_a_body_that_is_too_large_is_a_413(api: Api) -> None:
    """Before it is parsed."""
    expect_problem(api.post("/api/clients/", raw=b" " * (MAX_JSON + 1)), 413)


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "x"}, {"limit": "201"}, {"nothing": "1"}])
def test_a_wrong_query_names_the_parameter(api: Api, query: dict[str, str]) -> None:
    """Expects 422, as for any other wrong value."""
    reply = api.get("/api/clients/", query=query)
    expect_problem(reply, 422)
    assert reply.errors.keys() == query.keys()


def test_wrong_passwords_slow_the_account_and_the_address(api: Api) -> None:
    """Expects even the right password to have to wait after some tries, and then to work again."""
    wrong, right = {"username": "operator", "password": "wrong"}, {"username": "operator", "password": PASSWORD}
    statuses = [api.post("/auth-token/", wrong).status for _ in range(30)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    reply = api.post("/auth-token/", right)
    expect_problem(reply, 429)
    assert int(reply.headers["retry-after"]) > 0
    api.address = "198.51.100.7"
    expect_problem(api.post("/auth-token/", right), 429)  # the account, wherever from
    api.pass_time(hours=24)
    assert api.post("/auth-token/", right).status in (200, 201)
