"""The table of errors: which problem (RFC 9457) each error of the service becomes, and how it is written."""

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
    """The body is longer than this resource allows."""


class UnsupportedMedia(ServiceError):
    """The body has a content type that this resource does not read."""


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
    "Something went wrong",
    "This is an error in the service, not in your request. The log has the details under the request's ID.",
)

PROBLEMS: dict[type[ServiceError], ProblemType] = {
    Malformed: ProblemType(
        HTTPStatus.BAD_REQUEST,
        "malformed",
        "The request cannot be read",
        "The body is not a JSON object, or the cursor was changed or belongs to another list.",
    ),
    Unauthenticated: ProblemType(
        HTTPStatus.UNAUTHORIZED,
        "unauthenticated",
        "You are not signed in",
        "The token is missing, unknown, revoked or expired, or the username or password is wrong. "
        "Get a token from `/auth-token/`.",
    ),
    Forbidden: ProblemType(
        HTTPStatus.FORBIDDEN,
        "forbidden",
        "You are not allowed to do this",
        "Your token is valid, but your role does not allow this request.",
    ),
    NotFound: ProblemType(
        HTTPStatus.NOT_FOUND,
        "not-found",
        "Not found",
        "It does not exist, or it was deleted.",
    ),
    Conflict: ProblemType(
        HTTPStatus.CONFLICT,
        "conflict",
        "This cannot be done now",
        "It already exists, or its state does not allow the request; `detail` says why.",
    ),
    TooLarge: ProblemType(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too-large",
        "The body is too large",
        "Send less at a time; `detail` gives the limit.",
    ),
    UnsupportedMedia: ProblemType(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "Wrong content type",
        "Send the content type that `detail` names.",
    ),
    Invalid: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid",
        "Some values are not valid",
        "`errors` lists each wrong field and says what is allowed.",
    ),
    TooManyRequests: ProblemType(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too-many-requests",
        "Too many attempts",
        "Wait for the number of seconds in the `Retry-After` header.",
    ),
    Unavailable: ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        "Part of the service is not answering",
        "A table or queue is down or too busy. Try the same request again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: status, headers and text."""

    status: int
    headers: dict[str, str]
    body: str


def problem_type(error: Exception) -> ProblemType:
    """The kind of problem of an error."""
    for kind in type(error).__mro__:
        if kind in PROBLEMS:
            return PROBLEMS[kind]
    return UNEXPECTED


def answer_for(error: Exception) -> Answer:
    """The response to an error. It says nothing about unexpected errors, nor why a part is down."""
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
