"""The one table of errors: which problem (RFC 9457) each error of the service is, and how it is written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ..domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    NotReady,
    ServiceError,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)

CONTENT_TYPE = "application/problem+json"


class TooLarge(ServiceError):
    """The body is longer than this resource takes."""


class UnsupportedMedia(ServiceError):
    """The body is of a kind that this resource does not read."""


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem. `name` ends its type's URI, `meaning` says what to do about it."""

    status: HTTPStatus
    name: str
    title: str
    meaning: str

    @property
    def uri(self) -> str:
        return f"/problems/{self.name}"


UNEXPECTED = ProblemType(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "unexpected",
    "Something went wrong in the service",
    "A fault of the service, not of the request. The log has the details under the request's id.",
)

PROBLEMS: dict[type[ServiceError], ProblemType] = {
    Malformed: ProblemType(
        HTTPStatus.BAD_REQUEST,
        "malformed",
        "The request cannot be read",
        "The body is no JSON object, or a cursor was changed or belongs to another list.",
    ),
    Unauthenticated: ProblemType(
        HTTPStatus.UNAUTHORIZED,
        "unauthenticated",
        "Nobody is signed in",
        "The token is missing, unknown, revoked or too old, or the username or password is wrong. Get a token from "
        "`/auth-token/`.",
    ),
    Forbidden: ProblemType(
        HTTPStatus.FORBIDDEN,
        "forbidden",
        "This user may not do that",
        "The token is good, and its user's role does not allow the request.",
    ),
    NotFound: ProblemType(
        HTTPStatus.NOT_FOUND,
        "not-found",
        "There is no such thing",
        "No such resource, or it was deleted.",
    ),
    Conflict: ProblemType(
        HTTPStatus.CONFLICT,
        "conflict",
        "That cannot be done now",
        "It exists already, or is in a state that does not allow the request; `detail` says which.",
    ),
    TooLarge: ProblemType(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too-large",
        "The body is too large",
        "Send less at once; `detail` says how much is taken.",
    ),
    UnsupportedMedia: ProblemType(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body is of the wrong kind",
        "Send the content type that `detail` names.",
    ),
    Invalid: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid",
        "Values are not allowed",
        "`errors` names each wrong field by its path, and says what is allowed.",
    ),
    TooManyRequests: ProblemType(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too-many-requests",
        "Too many tries",
        "Wait for as many seconds as the header `Retry-After` says.",
    ),
    Unavailable: ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        "A part of the service does not answer",
        "A table or queue is too busy or down. Try the same request again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: status, headers and text."""

    status: int
    headers: dict[str, str]
    body: str


def problem_type(error: Exception) -> ProblemType:
    """The kind of problem that an error is."""
    for kind in type(error).__mro__:
        if kind in PROBLEMS:
            return PROBLEMS[kind]
    return UNEXPECTED


def answer_for(error: Exception) -> Answer:
    """The response that an error becomes. Of an unexpected one nothing is told, and why a part is down neither."""
    kind = problem_type(error)
    body: dict[str, Any] = {"type": kind.uri, "title": kind.title, "status": int(kind.status)}
    headers = {"Content-Type": CONTENT_TYPE}
    if kind.status < HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, NotReady):
        body["detail"] = str(error) or kind.meaning
    else:
        body["detail"] = kind.meaning
    if isinstance(error, Invalid):
        body["errors"] = [{"field": one.field, "message": one.message, "code": one.fault.code} for one in error.errors]
    elif kind.status < HTTPStatus.INTERNAL_SERVER_ERROR and isinstance(error, ServiceError):
        body["code"] = error.fault.code
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return Answer(int(kind.status), headers, json.dumps(body))
