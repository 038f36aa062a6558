"""Callbacks of gateways to the API, or to the receiver function's own address."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from ..bootstrap import Services
from ..domain.deliveries import RECEIPTS_PATH, REPLIES_PATH
from ..domain.errors import Malformed, NotFound
from ..domain.faults import Fault
from ..gateways.base import Callback
from ..observability import logger
from . import problems
from .parsing import read_text

MAX_RECEIPT = 64 * 1024  # bytes of a callback
_MAX_SIGNATURE = 2000  # characters; a token with its claims has some 500
_MAX_MEDIA_TYPE = 100  # characters
_METHODS = ("GET", "POST")
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def callback_of(
    gateway: str, query: str, header: Callable[[str], str | None], body: bytes, *, url: str = ""
) -> Callback:
    """A callback for the queue. `header` takes names in lower case, `url` is the address that was called, if known.

    Raises TooLarge if the body has more than `MAX_RECEIPT` bytes, and Malformed if it is not UTF-8.
    """
    return Callback(
        gateway=gateway,
        query=query,
        media_type=(header("content-type") or "")[:_MAX_MEDIA_TYPE],
        body=read_text(body, MAX_RECEIPT),
        url=url,
        signature=(header("x-twilio-signature") or header("authorization") or "")[:_MAX_SIGNATURE],
    )


def answer_of_url(event: dict[str, Any], services: Services) -> dict[str, Any]:
    """Answer an event of the function's own address (a function URL of Lambda, payload format 2.0).

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    """
    try:
        body, media_type = _take(event, services)
        return _answer(200, {"Content-Type": media_type}, body)
    except Exception as error:  # the boundary of a request
        problem = problems.answer_for(error)
        if problem.status >= 500:
            logger.exception("call of a gateway failed", status=problem.status)
        return _answer(problem.status, dict(problem.headers), problem.body)


def _take(event: dict[str, Any], services: Services) -> tuple[str, str]:
    path, _, secret = str(event["rawPath"]).rpartition("/")
    path, _, gateway = path.rpartition("/")
    if path not in (RECEIPTS_PATH, REPLIES_PATH) or event["requestContext"]["http"]["method"] not in _METHODS:
        raise NotFound(Fault.NO_SUCH_RECEIPTS)
    url = f"https://{event['requestContext']['domainName']}{event['rawPath']}"
    query = str(event.get("rawQueryString") or "")
    callback = callback_of(gateway, query, event["headers"].get, _body(event), url=url)
    if path == REPLIES_PATH:
        return services.receipt_gate().take_reply(callback, secret)
    return services.receipt_gate().take(callback, secret), "text/plain"


def _body(event: dict[str, Any]) -> bytes:
    """The body, which Lambda encodes if its media type is not text, such as a form's."""
    text = str(event.get("body") or "")
    if not event.get("isBase64Encoded"):
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Malformed(Fault.NOT_A_RECEIPT, what="the body is no base64") from error


def _answer(status: int, headers: dict[str, str], body: str) -> dict[str, Any]:
    return {"statusCode": status, "headers": {**_HEADERS, **headers}, "body": body, "isBase64Encoded": False}
