"""Stands in for API Gateway: HTTP requests become proxy events for the Chalice app, its answers become responses."""

from __future__ import annotations

import base64
import binascii
import logging
import re
import threading
import uuid
from collections.abc import Iterable
from datetime import UTC
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from chalice.app import Chalice, RouteEntry

from chalicelib.clock import SystemClock
from infra.local.gateway_responses import CONTENT_TYPE, GATEWAY_RESPONSES
from infra.local.lambda_context import ACCOUNT, LambdaContext
from infra.local.routing import Match, RouteTable

logger = logging.getLogger(__name__)

STAGE = "local"
_TIMEOUT = 29.0  # seconds, API Gateway's for an integration
_UNSAFE = re.compile(rb"[^\x21-\x7e]")
_HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
    ]
)

Environ = dict[str, Any]
Header = tuple[str, str]
Reply = tuple[int, list[Header], bytes]


class RefusedError(Exception):
    """The app is not called, or its answer is invalid; the argument is a key of GATEWAY_RESPONSES."""


class HttpFront:
    """A WSGI application that serves the REST routes of a Chalice app. Makes the app safe for several threads."""

    def __init__(self, app: Chalice, clock: SystemClock, region: str) -> None:
        self._app = app
        self._clock = clock
        self._region = region
        self._routes = RouteTable(app.routes)
        _keep_requests_apart(app)

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        request_id = str(uuid.uuid4())
        try:
            status, headers, body = self._reply(environ, request_id)
        except RefusedError as error:
            status, headers, body = _refusal(str(error))
        except Exception:
            # The last boundary: callers get a problem, never a traceback.
            logger.exception("request %s could not be handled", request_id)
            status, headers, body = _refusal("DEFAULT_5XX")
        headers += [("Content-Length", str(len(body))), ("x-amzn-RequestId", request_id)]
        start_response(f"{status} {_phrase(status)}", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    def _reply(self, environ: Environ, request_id: str) -> Reply:
        method = environ["REQUEST_METHOD"]
        path, query = _target(environ)
        match = self._routes.match(path)
        if match is None:
            raise RefusedError("MISSING_AUTHENTICATION_TOKEN")
        entries = self._app.routes[match.route]
        if method == "HEAD" and "HEAD" not in entries:
            method = "GET"
        if method not in entries:
            return _other_method(method, entries)
        headers = _headers(environ)
        context = self._request_context(environ, method, path, match.route, request_id)
        event = _event(match, path, query, headers, context)
        event["body"], event["isBase64Encoded"] = _body(environ, headers, self._app.api.binary_types)
        lambda_context = LambdaContext(
            function_name=f"{self._app.app_name}-{STAGE}",
            request_id=request_id,
            timeout=_TIMEOUT,
            clock=self._clock,
            region=self._region,
        )
        return _response(self._app(event, lambda_context))

    def _request_context(self, environ: Environ, method: str, path: str, route: str, request_id: str) -> dict[str, Any]:
        now = self._clock.now().astimezone(UTC)
        return {
            "accountId": ACCOUNT,
            "apiId": "local",
            "domainName": environ.get("HTTP_HOST", ""),
            "httpMethod": method,
            "identity": {
                "sourceIp": environ.get("REMOTE_ADDR", ""),
                "userAgent": environ.get("HTTP_USER_AGENT"),
            },
            "path": path,
            "protocol": environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
            "requestId": request_id,
            "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": int(now.timestamp() * 1000),
            "resourceId": "local",
            "resourcePath": route,
            "stage": STAGE,
        }


def _target(environ: Environ) -> tuple[str, str]:
    """The path and the query as they came, with bytes that are not allowed in a URL percent-encoded."""
    uri = environ.get("REQUEST_URI") or environ["PATH_INFO"]
    if not uri.startswith("/"):
        try:
            parts = urlsplit(uri)
        except ValueError as error:
            raise RefusedError("BAD_REQUEST_PARAMETERS") from error
        uri = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    path, _, query = _encoded(uri).partition("?")
    if not path.startswith("/"):
        raise RefusedError("BAD_REQUEST_PARAMETERS")
    return path.partition("#")[0], query.partition("#")[0]


def _encoded(text: str) -> str:
    return _UNSAFE.sub(lambda one: b"%%%02X" % one[0][0], text.encode("latin-1")).decode("ascii")


def _headers(environ: Environ) -> dict[str, str]:
    headers = {name[5:].replace("_", "-").title(): value for name, value in environ.items() if name.startswith("HTTP_")}
    # Content-Type is API Gateway's own default for a request without one.
    headers["Content-Type"] = environ.get("CONTENT_TYPE") or "application/json"
    # Overrides such headers from the client, as API Gateway does.
    headers["X-Forwarded-For"] = environ.get("REMOTE_ADDR", "")
    headers["X-Forwarded-Port"] = environ.get("SERVER_PORT", "")
    headers["X-Forwarded-Proto"] = environ.get("wsgi.url_scheme", "http")
    return headers


def _event(match: Match, path: str, query: str, headers: dict[str, str], context: dict[str, Any]) -> dict[str, Any]:
    parameters: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        parameters.setdefault(name, []).append(value)
    return {
        "resource": match.route,
        "path": path,
        "httpMethod": context["httpMethod"],
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in parameters.items()} or None,
        "multiValueQueryStringParameters": parameters or None,
        "pathParameters": match.parameters or None,
        "stageVariables": None,
        "requestContext": context,
    }


def _body(environ: Environ, headers: dict[str, str], binary_types: list[str]) -> tuple[str | None, bool]:
    body: bytes = environ["wsgi.input"].read()
    if not body:
        return None, False
    if headers["Content-Type"].partition(";")[0].strip().lower() not in binary_types:
        try:
            return body.decode("utf-8"), False
        except UnicodeDecodeError:
            logger.info("a body that is not UTF-8 is passed on as binary")
    return base64.b64encode(body).decode("ascii"), True


def _response(answer: dict[str, Any]) -> Reply:
    """The function's answer as HTTP. Raises RefusedError if API Gateway would not accept it."""
    try:
        status = int(answer["statusCode"])
        headers = _response_headers(answer)
        body = answer.get("body") or ""
        if answer.get("isBase64Encoded"):
            content = base64.b64decode(body, validate=True)
        else:
            content = body if isinstance(body, bytes) else str(body).encode("utf-8", "replace")
        if not 200 <= status <= 599:
            raise ValueError(f"status {status}")
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        logger.error("the app did not return a response: %r", error)
        raise RefusedError("INTEGRATION_FAILURE") from error
    if status in {204, 304}:
        content = b""
    elif not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return status, headers, content


def _response_headers(answer: dict[str, Any]) -> list[Header]:
    pairs = list((answer.get("headers") or {}).items())
    pairs += [(name, one) for name, values in (answer.get("multiValueHeaders") or {}).items() for one in values]
    headers: list[Header] = []
    for name, value in pairs:
        text = str(value)
        if "\r" in text or "\n" in text:
            raise ValueError(f"line break in header {name}")
        if name.lower() not in _HOP_BY_HOP and name.lower() != "content-length":
            # HTTP headers travel as latin-1: other characters go as the bytes of their UTF-8.
            headers.append((name, text.encode("utf-8").decode("latin-1")))
    return headers


def _other_method(method: str, entries: dict[str, RouteEntry]) -> Reply:
    """The answer to a method that the route does not have: the gateway answers OPTIONS and refuses all others."""
    allowed = sorted({*entries, "OPTIONS", *({"HEAD"} if "GET" in entries else ())})
    allow: list[Header] = [("Allow", ", ".join(allowed))]
    if method != "OPTIONS":
        status, headers, body = _refusal("METHOD_NOT_ALLOWED")
        return status, headers + allow, body
    cors = next((entry.cors for entry in entries.values() if entry.cors is not None), None)
    if cors is not None:
        allow += [(name, str(value)) for name, value in cors.get_access_control_headers().items()]
        allow.append(("Access-Control-Allow-Methods", ",".join(allowed)))
    return 204, allow, b""


def _refusal(name: str) -> Reply:
    response = GATEWAY_RESPONSES[name]
    return response.status, [("Content-Type", CONTENT_TYPE), *response.headers], response.body


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _keep_requests_apart(app: Chalice) -> None:
    """Chalice keeps the request on the app object, which in Lambda serves one request at a time."""
    local = threading.local()

    def kept(name: str) -> property:
        return property(lambda _: getattr(local, name, None), lambda _, value: setattr(local, name, value))

    threaded = type(
        "ThreadedChalice",
        (type(app),),
        {"current_request": kept("current_request"), "lambda_context": kept("lambda_context")},
    )
    app.__class__ = threaded
