"""The kind `http`: POST {base}/v1/send/{id} with a bearer token, success is 200 with {"code": 0}."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..domain.deliveries import DeliveryStatus, Receipt
from ..domain.messages import Outcome
from ..domain.reasons import OF_RECEIPTS, Cause, Reason
from .base import Answer, Callback, Capabilities, Outgoing
from .http_adapter import HttpAdapter, shown
from .receipts import content_of, moment_of, number_of, parts_of, price_of
from .transport import Reply, Request

if TYPE_CHECKING:
    from ..domain.replies import Inbound

_PATH = "/v1/send/"
_MOST = 1000  # receipts in one callback


class HttpGateway(HttpAdapter):
    """The gateway that the service was first written for; docs/architecture.md has its contract."""

    def request(self, message: Outgoing, token: str) -> Request:
        """The request; the number is sent as digits."""
        number = int(message.phone_number.removeprefix("+"))
        body: dict[str, int | str] = {"id": message.gateway_id, "phone": number, "text": message.text}
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if message.receipt_url:
            headers["X-Receipt-Url"] = message.receipt_url
        return Request(f"{_PATH}{message.gateway_id}", json.dumps(body).encode(), headers)

    def read(self, reply: Reply) -> Answer | None:
        """Read the code in the body of a 200."""
        return _answer_of_body(reply.body) if reply.status == 200 else None

    @property
    def capabilities(self) -> Capabilities:
        """It gives receipts if it gets an address for them."""
        return replace(super().capabilities, gives_receipts=self._receipts)

    def read_receipts(self, callback: Callback, now: datetime) -> list[Receipt]:
        """As the contract says."""
        return receipts_in(callback, now)

    def read_replies(self, callback: Callback, now: datetime) -> list[Inbound]:
        """As the contract says."""
        from .replies import replies_in  # imported here because only the receiver needs it

        return replies_in(callback, now)

    def shown_request(self, message: Outgoing) -> str:
        """The request line with the path only, the important header and the body."""
        number = message.masked().phone_number.removeprefix("+")
        body = {"id": message.gateway_id, "phone": number, "text": message.text}
        headers = {"Authorization": "Bearer ***", "Content-Type": "application/json"}
        return shown(f"POST {_PATH}{message.gateway_id}", headers, body)


def receipts_in(callback: Callback, now: datetime) -> list[Receipt]:
    """The receipts in a callback: one object, or a list of them under `receipts`.

    Raises ValueError, KeyError or TypeError if it cannot be read.
    """
    content = content_of(callback)
    several = content.get("receipts") if isinstance(content, dict) else content
    return [_receipt(one, now) for one in (several if isinstance(several, list) else [content])[:_MOST]]


def _receipt(told: dict[str, Any], now: datetime) -> Receipt:
    status = DeliveryStatus(told["status"])
    if status is DeliveryStatus.NO_RECEIPT:
        raise ValueError("no_receipt is what is known without a receipt")
    reason = told.get("reason")
    return Receipt(
        message_id=str(told["message_id"]),
        status=status,
        at=moment_of(told.get("at"), now),
        cause=Cause(Reason(reason)) if reason in OF_RECEIPTS and status is DeliveryStatus.UNDELIVERED else None,
        permanent=told.get("permanent") is True,
        phone_number=number_of(told.get("phone")),
        parts=parts_of(told.get("parts")),
        price=price_of(told.get("price"), told.get("currency")),
    )


def _answer_of_body(content: bytes | None) -> Answer:
    try:
        code = json.loads(content or b"")["code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Answer(Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR), 200)
    if code == 0 and not isinstance(code, bool):
        return Answer(Outcome.ACCEPTED, http_status=200)
    shown = str(code) if type(code) is int and abs(code) < 10**9 else ""
    return Answer(Outcome.FAILED, Cause(Reason.GATEWAY_CODE, shown), 200)
