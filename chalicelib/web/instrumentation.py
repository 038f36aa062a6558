"""What every request of the API and the admin UI has in common: it is measured, and logged in one record."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from time import perf_counter

from chalice.app import Request, Response

from ..domain.client_ids import is_client_id
from ..domain.errors import NotFound
from ..domain.mailing_ids import is_mailing_id
from ..domain.messages import parse_message_id
from ..observability import API_ERRORS, API_LATENCY, invocation, logger, measure

_NAMED = ("mailing", "client")  # parameters of a query that hold an id


def served(request: Request, route: str, answer: Callable[[], Response]) -> Response:
    """The answer to a request of a route, which is written as the route is: a path may hold what no log may."""
    started = perf_counter()
    with invocation("api", request.context["requestId"]):
        response = answer()
        milliseconds = (perf_counter() - started) * 1000
        measure(API_LATENCY, milliseconds)
        status = response.status_code
        if status >= 400:
            measure(API_ERRORS, of=f"{status // 100}xx")
        about = {"route": route, "method": request.method, "status": status, "duration_ms": round(milliseconds)}
        logger.info("request", extra={**about, **known_ids(_said(request, response))})
    return response


def _said(request: Request, response: Response) -> Iterator[str]:
    """Where a request or its answer may hold an id."""
    yield from (request.uri_params or {}).values()
    if request.query_params is not None:
        yield from (request.query_params.get(name, "") for name in _NAMED)
    yield from re.split("[/?]", str(response.headers.get("Location", "")))


def known_ids(texts: Iterator[str]) -> dict[str, str]:
    """The ids among texts, by the keys that records have them under. What has not the form of an id is left out."""
    found: dict[str, str] = {}
    for text in texts:
        if is_mailing_id(text):
            found["mailing_id"] = text
        elif is_client_id(text):
            found["client_id"] = text
        elif "-" in text:
            try:
                found["mailing_id"], found["client_id"] = parse_message_id(text)
            except NotFound:
                continue
            found["message_id"] = text
    return found
