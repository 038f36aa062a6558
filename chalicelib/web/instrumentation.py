"""Every request of the API and the admin UI is measured, and logged in one record."""

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

_NAMED = ("mailing", "client")  # query parameters that are ids


def served(request: Request, route: str, answer: Callable[[], Response]) -> Response:
    """Answer a request, and log it with its route instead of its path, because a path may contain secrets."""
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
    """The texts of a request and its answer that may be ids."""
    yield from (request.uri_params or {}).values()
    if request.query_params is not None:
        yield from (request.query_params.get(name, "") for name in _NAMED)
    yield from re.split("[/?]", str(response.headers.get("Location", "")))


def known_ids(texts: Iterator[str]) -> dict[str, str]:
    """The ids among texts, by their keys in log records. Texts that do not have the form of an id are left out."""
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
