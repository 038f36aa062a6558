"""What API Gateway itself answers, in the service's one error shape; locally from here, on AWS from the template.

The keys are API Gateway's response types, so that the template's GatewayResponses can be generated from this table.
METHOD_NOT_ALLOWED and REQUEST_HEADERS_TOO_LARGE have no such type: there API Gateway answers as for an unknown
resource, and with its own 4xx.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """One RFC 9457 problem that needs no knowledge of the request."""

    status: int
    detail: str
    headers: tuple[tuple[str, str], ...] = field(default=())

    @property
    def body(self) -> bytes:
        problem = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return json.dumps(problem).encode()


GATEWAY_RESPONSES = {
    "BAD_REQUEST_PARAMETERS": GatewayResponse(400, "The request cannot be read."),
    "ACCESS_DENIED": GatewayResponse(403, "This is not allowed."),
    # So API Gateway calls an unknown resource or method: it takes the request for one that AWS itself should answer,
    # and a token in it for a signature.
    "MISSING_AUTHENTICATION_TOKEN": GatewayResponse(404, "There is no such resource."),
    "INVALID_SIGNATURE": GatewayResponse(404, "There is no such resource."),
    "METHOD_NOT_ALLOWED": GatewayResponse(405, "This resource does not have that method."),
    "REQUEST_TOO_LARGE": GatewayResponse(413, "The request body is larger than 10 MB."),
    "REQUEST_HEADERS_TOO_LARGE": GatewayResponse(431, "The request's headers are too large."),
    "THROTTLED": GatewayResponse(429, "There are too many requests; try again soon.", (("Retry-After", "1"),)),
    "DEFAULT_5XX": GatewayResponse(500, "The request could not be handled."),
    "NOT_IMPLEMENTED": GatewayResponse(501, "The request uses something that is not supported."),
    "INTEGRATION_FAILURE": GatewayResponse(502, "The service gave no valid answer."),
    "INTEGRATION_TIMEOUT": GatewayResponse(504, "The service gave no answer in time."),
}
