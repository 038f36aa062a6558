"""The front that stands in for API Gateway: the events it makes, the answers it passes on, and what it refuses."""

from __future__ import annotations

import base64
import io
import json
import threading
from typing import Any

import pytest
from chalice.app import Chalice, CORSConfig, Response

from chalicelib.web.problems import PROBLEMS, UNEXPECTED
from infra.local.api_gateway import HttpFront
from infra.local.gateway_responses import GATEWAY_RESPONSES
from tests.support.clocks import FrozenClock

KINDS = {kind.uri: kind.title for kind in (*PROBLEMS.values(), UNEXPECTED)}


class Reply:
    """What the front answered."""

    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = int(status.split()[0])
        self.headers = {name.lower(): value for name, value in headers}
        self.all_headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Front:
    """Calls the front as a WSGI server does."""

    def __init__(self, app: Chalice) -> None:
        self._front = HttpFront(app, FrozenClock(), "eu-west-1")

    def __call__(self, method: str, uri: str, body: bytes = b"", **environ: str) -> Reply:
        answered: list[Any] = []
        request = {
            "REQUEST_METHOD": method,
            "REQUEST_URI": uri,
            "REMOTE_ADDR": "127.0.0.9",
            "wsgi.input": io.BytesIO(body),
            **environ,
        }
        chunks = self._front(request, lambda status, headers: answered.extend((status, headers)))
        return Reply(answered[0], answered[1], b"".join(chunks))


@pytest.fixture
def app() -> Chalice:
    return Chalice("app", configure_logs=False)


@pytest.fixture
def front(app: Chalice) -> Front:
    """A front on an app that echoes its event at /echo and /echo/{name}."""

    def echo(**_: str) -> Any:
        assert app.current_request is not None
        return app.current_request.to_original_event()

    app.route("/echo", methods=["GET", "POST"], content_types=["*/*"], name="echo")(echo)
    app.route("/echo/{name}", methods=["GET"], name="named")(echo)
    return Front(app)


def _assert_problem(reply: Reply, status: int) -> None:
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert set(reply.json) == {"type", "title", "status", "detail"} | ({"code"} if status < 500 else set())
    assert reply.json["status"] == status


def test_a_request_becomes_a_proxy_event(front: Front) -> None:
    """Expects API Gateway's fields, with the real peer and the request's own values."""
    event = front("GET", "/echo/a%20b/?x=1&x=2&y=%C3%A9", HTTP_X_TRACE="t", HTTP_HOST="h:1").json
    assert event["resource"] == "/echo/{name}"
    assert event["path"] == "/echo/a%20b/"
    assert event["pathParameters"] == {"name": "a%20b"}
    assert event["queryStringParameters"] == {"x": "2", "y": "é"}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"], "y": ["é"]}
    assert event["headers"]["X-Trace"] == "t"
    assert event["multiValueHeaders"]["X-Trace"] == ["t"]
    assert (event["body"], event["isBase64Encoded"], event["stageVariables"]) == (None, False, None)
    context = event["requestContext"]
    assert context["identity"]["sourceIp"] == "127.0.0.9"
    assert (context["resourcePath"], context["path"], context["httpMethod"]) == ("/echo/{name}", "/echo/a%20b/", "GET")
    assert (context["stage"], context["requestTimeEpoch"]) == ("local", 1772442000000)
    assert "authorizer" not in context


def test_without_a_query_the_parameters_are_null(front: Front) -> None:
    """Expects null, not an empty object, as API Gateway sends."""
    event = front("GET", "/echo").json
    keys = ("queryStringParameters", "multiValueQueryStringParameters", "pathParameters")
    assert [event[key] for key in keys] == [None, None, None]


def test_a_text_body_is_passed_as_text_and_others_as_base64(front: Front) -> None:
    """Expects UTF-8 as it is, and every other body encoded and marked."""
    text = front("POST", "/echo", "é".encode(), CONTENT_TYPE="text/plain").json
    assert (text["body"], text["isBase64Encoded"]) == ("é", False)
    for content, kind in ((b"\xff\xfe\x00", "application/json"), (b"abc", "application/octet-stream")):
        binary = front("POST", "/echo", content, CONTENT_TYPE=kind, HTTP_ACCEPT="*/*").json
        assert binary["isBase64Encoded"] is True
        assert base64.b64decode(binary["body"]) == content


def test_forwarding_headers_of_a_client_are_not_believed(front: Front) -> None:
    """Expects the peer's address, whatever the client says."""
    headers = front("GET", "/echo", HTTP_X_FORWARDED_FOR="8.8.8.8").json["headers"]
    assert headers["X-Forwarded-For"] == "127.0.0.9"


def test_an_answer_is_passed_on(app: Chalice) -> None:
    """Expects status, several cookies, content type and text to arrive as the app gave them."""
    answer = Response("<p>ü</p>", headers={"Content-Type": "text/html", "Set-Cookie": ["a=1", "b=2"]}, status_code=201)
    app.route("/page", name="page")(lambda: answer)
    reply = Front(app)("GET", "/page")
    assert (reply.status, reply.body.decode()) == (201, "<p>ü</p>")
    assert [value for name, value in reply.all_headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert reply.headers["content-length"] == str(len("<p>ü</p>".encode()))


def test_a_binary_answer_is_decoded(app: Chalice) -> None:
    """Expects the bytes, not their base64."""
    answer = Response(b"\x89PNG", headers={"Content-Type": "image/png"})
    app.route("/image", name="image")(lambda: answer)
    assert Front(app)("GET", "/image", HTTP_ACCEPT="image/png").body == b"\x89PNG"


def test_an_answer_without_content_has_no_body(app: Chalice) -> None:
    """Expects neither body nor content type with 204."""
    app.route("/gone", methods=["DELETE"], name="gone")(lambda: Response("", status_code=204))
    reply = Front(app)("DELETE", "/gone")
    assert (reply.status, reply.body, "content-type" in reply.headers) == (204, b"", False)


@pytest.mark.parametrize(
    "answer",
    [
        Response("", headers={"X-Bad": "a\rb"}),
        Response("", status_code=99),
        Response("", headers={"X-Many": ["a", "b\nc"]}),
    ],
)
def test_an_answer_that_http_cannot_carry_is_a_bad_gateway(app: Chalice, answer: Response) -> None:
    """Expects a problem instead of a broken connection."""
    app.route("/bad", name="bad")(lambda: answer)
    reply = Front(app)("GET", "/bad")
    assert reply.status in {500, 502}
    assert "a\rb" not in reply.headers.values()


def test_headers_beyond_latin_1_do_not_break_the_answer(app: Chalice) -> None:
    """Expects a header with any characters to be sent as UTF-8 bytes."""
    app.route("/name", name="name")(lambda: Response("", headers={"X-Name": "Ж"}))
    assert Front(app)("GET", "/name").headers["x-name"].encode("latin-1").decode() == "Ж"


def test_an_unknown_path_is_a_problem(front: Front) -> None:
    """Expects 404 in the one error shape."""
    _assert_problem(front("GET", "/nothing"), 404)


def test_a_wrong_method_names_the_right_ones(front: Front) -> None:
    """Expects 405 with Allow."""
    reply = front("DELETE", "/echo")
    _assert_problem(reply, 405)
    assert reply.headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_head_answers_as_get_without_a_body(front: Front) -> None:
    """Expects the headers of GET and nothing else."""
    reply = front("HEAD", "/echo")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 0


def test_options_tells_the_methods(front: Front) -> None:
    """Expects 204 without the app being asked."""
    reply = front("OPTIONS", "/echo/a")
    assert (reply.status, reply.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


def test_options_carries_the_routes_cors_headers(app: Chalice) -> None:
    """Expects a preflight to be answered with the configured origin."""
    app.route("/shared", cors=CORSConfig(allow_origin="https://example.org"), name="shared")(lambda: {})
    reply = Front(app)("OPTIONS", "/shared")
    assert reply.headers["access-control-allow-origin"] == "https://example.org"
    assert reply.headers["access-control-allow-methods"] == "GET,HEAD,OPTIONS"


@pytest.mark.parametrize(
    "uri",
    [
        "/echo/%",
        "/echo/%zz",
        "/echo/%00",
        "/echo/\xff\xfe",
        "/echo/a\x00b",
        "/echo?%ff=%fe&=&&%00=\x00",
        "/echo?" + "&".join(f"a{n}=1" for n in range(2000)),
        "http://elsewhere/echo?x=1",
        "http://[bad/echo",
        "*",
        "//echo",
        "/echo/../other",
        "/echo/a#fragment",
        "/" + "a/" * 3000,
    ],
)
def test_hostile_targets_are_answered(front: Front, uri: str) -> None:
    """Expects an answer below 500 for anything that may stand in a request line."""
    reply = front("GET", uri)
    assert reply.status < 500
    assert json.loads(reply.body)


def test_hostile_headers_are_answered(front: Front) -> None:
    """Expects header values of any bytes to reach the app as text."""
    reply = front("GET", "/echo", HTTP_X_ODD="\xff\x00\x7f", HTTP_AUTHORIZATION="\xff")
    assert reply.json["headers"]["X-Odd"] == "\xff\x00\x7f"


def test_an_exception_of_the_app_is_no_traceback(app: Chalice) -> None:
    """Expects 500 without a word about the cause."""

    def broken() -> None:
        raise RuntimeError("secret")

    app.route("/broken", name="broken")(broken)
    reply = Front(app)("GET", "/broken")
    assert (reply.status, b"secret" in reply.body) == (500, False)


def test_requests_of_several_threads_are_kept_apart(app: Chalice) -> None:
    """Expects each thread to see its own request although the app object is shared."""
    barrier = threading.Barrier(4, timeout=10)

    def who(name: str) -> dict[str, str]:
        barrier.wait()
        assert app.current_request is not None
        assert app.current_request.uri_params is not None
        return {"name": name, "request": app.current_request.uri_params["name"]}

    app.route("/who/{name}", name="who")(who)
    front = Front(app)
    replies: dict[str, Any] = {}
    threads = [
        threading.Thread(target=lambda name=name: replies.update({name: front("GET", f"/who/{name}").json}))
        for name in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert replies == {name: {"name": name, "request": name} for name in "abcd"}


def test_every_gateway_response_is_a_problem() -> None:
    """Expects the whole table in the service's own shape, of kinds that it has itself."""
    for response in GATEWAY_RESPONSES.values():
        problem = json.loads(response.body)
        assert problem["type"] in KINDS
        assert (problem["title"], problem["status"]) == (KINDS[problem["type"]], response.status)
        assert problem["detail"]
        assert ("code" in problem) == (response.status < 500)
