"""The kind `http`: POST {base}/v1/send/{id} with a bearer token, success is 200 with {"code": 0}."""

from __future__ import annotations

import json

from ..domain.messages import Outcome
from ..domain.reasons import Cause, Reason
from .base import Answer, Outgoing
from .http_adapter import HttpAdapter, shown
from .transport import Reply, Request

_PATH = "/v1/send/"


class HttpGateway(HttpAdapter):
    """The gateway that the service was first written for; its contract stands in docs/architecture.md."""

    def request(self, message: Outgoing, token: str) -> Request:
        """The number goes as digits."""
        number = int(message.phone_number.removeprefix("+"))
        body: dict[str, int | str] = {"id": message.gateway_id, "phone": number, "text": message.text}
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return Request(f"{_PATH}{message.gateway_id}", json.dumps(body).encode(), headers)

    def read(self, reply: Reply) -> Answer | None:
        """A 200 has the code of its body."""
        return _answer_of_body(reply.body) if reply.status == 200 else None

    def shown_request(self, message: Outgoing) -> str:
        """The request line, the header that matters and the body; nothing of the gateway's address but the path."""
        number = message.masked().phone_number.removeprefix("+")
        body = {"id": message.gateway_id, "phone": number, "text": message.text}
        headers = {"Authorization": "Bearer ***", "Content-Type": "application/json"}
        return shown(f"POST {_PATH}{message.gateway_id}", headers, body)


def _answer_of_body(content: bytes | None) -> Answer:
    try:
        code = json.loads(content or b"")["code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Answer(Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR), 200)
    if code == 0 and not isinstance(code, bool):
        return Answer(Outcome.ACCEPTED, http_status=200)
    shown = str(code) if type(code) is int and abs(code) < 10**9 else ""
    return Answer(Outcome.FAILED, Cause(Reason.GATEWAY_CODE, shown), 200)
