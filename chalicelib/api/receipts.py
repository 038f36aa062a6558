"""/gateway/receipts/: where gateways tell what became of messages."""

from __future__ import annotations

from urllib.parse import urlencode

from pydantic import BaseModel

from ..domain.deliveries import RECEIPTS_PATH
from ..domain.errors import NotFound, Unavailable
from ..gateways.base import Callback
from ..web.parsing import read_text
from ..web.request import Request, Text
from .routing import Routes

routes = Routes("gateway")
MAX_RECEIPT = 64 * 1024  # bytes of a callback


class CallbackQuery(BaseModel, extra="allow"):
    """Whatever the gateway writes into the address, beside the message's id that stands there already."""

    message_id: str = ""


def _take(request: Request, gateway: str, secret: str) -> Text:
    callback = Callback(
        gateway=gateway,
        query=urlencode([(name, one) for name, all_ in request.query_values.items() for one in all_]),
        media_type=(request.header("content-type") or "")[:100],
        body=read_text(request.body, MAX_RECEIPT),
        signature=(request.header("x-twilio-signature") or "")[:100],
    )
    return Text(request.services.receipt_gate().take(callback, secret), "text/plain")


_ROUTE = {"roles": None, "errors": (NotFound, Unavailable), "produces": "text/plain", "max_bytes": MAX_RECEIPT}


@routes.route("POST", RECEIPTS_PATH + "/{gateway}/{secret}", **_ROUTE)  # type: ignore[arg-type]
def take_receipt(request: Request, gateway: str, secret: str, query: CallbackQuery) -> Text:
    """Take what a gateway says became of messages: JSON or a form, as this gateway writes it.

    It is read in the background. The address with its secret is given to the gateway by the service.
    """
    del query
    return _take(request, gateway, secret)


@routes.route("GET", RECEIPTS_PATH + "/{gateway}/{secret}", **_ROUTE)  # type: ignore[arg-type]
def take_receipt_of_query(request: Request, gateway: str, secret: str, query: CallbackQuery) -> Text:
    """The same for gateways that write everything into the address."""
    del query
    return _take(request, gateway, secret)
