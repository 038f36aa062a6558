"""What API Gateway itself answers, in the service's one error shape; locally from here, on AWS from the template.

The keys are API Gateway's response types, so that the template's GatewayResponses can be generated from this table.
METHOD_NOT_ALLOWED and REQUEST_HEADERS_TOO_LARGE have no such type: there API Gateway answers as for an unknown
resource, and with its own 4xx.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from chalicelib.domain.errors import Forbidden, Malformed, NotFound, ServiceError, TooManyRequests, Unavailable
from chalicelib.web.problems import CONTENT_TYPE, PROBLEMS, UNEXPECTED, ProblemType, TooLarge

__all__ = ["CONTENT_TYPE", "GATEWAY_RESPONSES", "GatewayResponse"]


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """One problem that needs no knowledge of the request. A 5xx has no code."""

    status: int
    kind: ProblemType
    detail: str
    code: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=())

    @property
    def body(self) -> bytes:
        problem = {
            "type": self.kind.uri,
            "title": self.kind.title,
            "status": self.status,
            "detail": self.detail,
            **({"code": self.code} if self.code else {}),
        }
        return json.dumps(problem).encode()


def _refused(error: type[ServiceError], code: str, detail: str, status: int = 0, **headers: str) -> GatewayResponse:
    kind = PROBLEMS[error]
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return GatewayResponse(status=status or int(kind.status), kind=kind, detail=detail, code=code, headers=named)


_NO_SUCH_ADDRESS = _refused(
    NotFound, "no_such_address", "there is nothing at this address; /api/docs/ lists what there is"
)

GATEWAY_RESPONSES = {
    "BAD_REQUEST_PARAMETERS": _refused(Malformed, "request_unreadable", "the request is not valid HTTP"),
    "ACCESS_DENIED": _refused(Forbidden, "access_denied", "this address cannot be used from where you are"),
    # So API Gateway calls an unknown resource or method: it takes the request for one that AWS itself should answer,
    # and a token in it for a signature.
    "MISSING_AUTHENTICATION_TOKEN": _NO_SUCH_ADDRESS,
    "INVALID_SIGNATURE": _NO_SUCH_ADDRESS,
    "METHOD_NOT_ALLOWED": _refused(
        NotFound, "no_such_method", "this address does not take this method; Allow lists those it takes", 405
    ),
    "REQUEST_TOO_LARGE": _refused(TooLarge, "request_too_large", "a request can have at most 10 MB"),
    "REQUEST_HEADERS_TOO_LARGE": _refused(TooLarge, "headers_too_large", "the headers can have at most 32 KB", 431),
    "THROTTLED": _refused(
        TooManyRequests, "too_many_requests", "there are too many requests; try again in a second", Retry_After="1"
    ),
    "DEFAULT_5XX": GatewayResponse(500, UNEXPECTED, "The request could not be handled."),
    "INTEGRATION_FAILURE": GatewayResponse(502, UNEXPECTED, "The service gave no valid answer."),
    "INTEGRATION_TIMEOUT": GatewayResponse(504, PROBLEMS[Unavailable], "The service gave no answer in time."),
}
