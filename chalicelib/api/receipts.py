"""/gateway/receipts/ and /gateway/replies/: gateways report here what happened to messages, and pass on replies."""

from __future__ import annotations

from urllib.parse import urlencode

from pydantic import BaseModel

from ..domain.deliveries import RECEIPTS_PATH, REPLIES_PATH
from ..domain.errors import NotFound, Unavailable
from ..gateways.base import Callback
from ..web.callbacks import MAX_RECEIPT, callback_of
from ..web.request import Request, Text
from .routing import Routes

routes = Routes("gateway")


class CallbackQuery(BaseModel, extra="allow"):
    """Whatever the gateway writes into the address, beside the message's id that stands there already."""

    message_id: str = ""


def _callback(request: Request, gateway: str) -> Callback:
    query = urlencode([(name, one) for name, all_ in request.query_values.items() for one in all_])
    return callback_of(gateway, query, request.header, request.body, url=_called(request))


def _called(request: Request) -> str:
    """The address that was called, unless the settings have it: on AWS the receiver knows neither this nor its own."""
    context = request.raw.context
    host = context.get("domainName")  # which not every emulator of API Gateway gives
    return "" if request.services.settings.public_url or not host else f"https://{host}{context['path']}"


def _take(request: Request, gateway: str, secret: str) -> Text:
    return Text(request.services.receipt_gate().take(_callback(request, gateway), secret), "text/plain")


def _take_reply(request: Request, gateway: str, secret: str) -> Text:
    return Text(*request.services.receipt_gate().take_reply(_callback(request, gateway), secret))


_ROUTE = {"roles": None, "errors": (NotFound, Unavailable), "produces": "text/plain", "max_bytes": MAX_RECEIPT}


@routes.route("POST", RECEIPTS_PATH + "/{gateway}/{secret}", **_ROUTE)  # type: ignore[arg-type]
def take_receipt(request: Request, gateway: str, secret: str, query: CallbackQuery) -> Text:
    """Receive what a gateway reports about messages: JSON or a form, as this gateway writes it.

    It is read in the background. The address with its secret is given to the gateway by the service.
    """
    del query
    return _take(request, gateway, secret)


@routes.route("GET", RECEIPTS_PATH + "/{gateway}/{secret}", **_ROUTE)  # type: ignore[arg-type]
def take_receipt_of_query(request: Request, gateway: str, secret: str, query: CallbackQuery) -> Text:
    """The same for gateways that write everything into the address."""
    del query
    return _take(request, gateway, secret)


@routes.route("POST", REPLIES_PATH + "/{gateway}/{secret}", **_ROUTE)  # type: ignore[arg-type]
def take_reply(request: Request, gateway: str, secret: str, query: CallbackQuery) -> Text:
    """Receive a reply: JSON or a form, as this gateway writes it. It is read in the background."""
    del query
    return _take_reply(request, gateway, secret)


@routes.route("GET", REPLIES_PATH + "/{gateway}/{secret}", **_ROUTE)  # type: ignore[arg-type]
def take_reply_of_query(request: Request, gateway: str, secret: str, query: CallbackQuery) -> Text:
    """The same for gateways that write everything into the address."""
    del query
    return _take_reply(request, gateway, secret)
