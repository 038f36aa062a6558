"""Reasons: why a message has its status and an attempt its outcome, as a code with a detail.

Code branches on it; tables, queues and logs contain it; `chalicelib.wording` makes the text that people read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

_SEPARATOR = ":"  # between the parts of a cause as it is stored; no code has one


class Reason(StrEnum):
    """The codes. Tables store them and the API returns them, so a released one never changes its meaning."""

    # For a message that is not sent, or not yet.
    OPTED_OUT = "opted_out"
    MARKED_UNREACHABLE = "marked_unreachable"
    CLIENT_REMOVED = "client_removed"
    VALUE_MISSING = "value_missing"
    TEXT_TOO_LONG = "text_too_long"
    TEXT_EMPTY = "text_empty"
    OUTSIDE_LOCAL_WINDOW = "outside_local_window"
    LOCAL_WINDOW_TOO_LATE = "local_window_too_late"
    WINDOW_CLOSED = "window_closed"
    MAILING_CANCELLED = "mailing_cancelled"
    NOT_DISPATCHED = "not_dispatched"
    CIRCUIT_OPEN = "circuit_open"
    RATE_LIMIT = "rate_limit"
    PUT_BACK = "put_back"
    END_MOVED = "end_moved"
    ATTEMPTS_USED_UP = "attempts_used_up"
    ASKING = "asking"
    NOBODY_KNOWS = "nobody_knows"
    GATEWAY_GONE = "gateway_gone"
    # For an attempt, and the message that it ended.
    HTTP = "http"
    GATEWAY_CODE = "gateway_code"
    ANSWER_UNCLEAR = "answer_unclear"
    ANSWER_UNREADABLE = "answer_unreadable"
    NO_ANSWER = "no_answer"
    NO_CONNECTION = "no_connection"
    CONNECTION_BROKEN = "connection_broken"
    SENDER_STOPPED = "sender_stopped"
    ADAPTER_FAILED = "adapter_failed"
    GATEWAY_ANSWER = "gateway_answer"
    ANSWER_NOT_DECLARED = "answer_not_declared"
    OPTED_OUT_AT_GATEWAY = "opted_out_at_gateway"
    NOT_AT_GATEWAY = "not_at_gateway"
    GATEWAY_URL_INVALID = "gateway_url_invalid"
    GATEWAY_URL_NOT_HTTPS = "gateway_url_not_https"
    GATEWAY_HOST_NOT_ALLOWED = "gateway_host_not_allowed"
    GATEWAY_ADDRESS_PRIVATE = "gateway_address_private"
    TOKEN_INVALID = "token_invalid"  # noqa: S105 - a name
    TOKEN_SECRET_UNREADABLE = "token_secret_unreadable"  # noqa: S105 - a name
    TOKEN_SECRET_INVALID = "token_secret_invalid"  # noqa: S105 - a name
    NO_AWS_CREDENTIALS = "no_aws_credentials"
    # For a delivery, from a receipt.
    NOT_DELIVERED = "not_delivered"
    PHONE_UNREACHABLE = "phone_unreachable"
    NUMBER_INVALID = "number_invalid"
    BLOCKED_BY_CARRIER = "blocked_by_carrier"
    TAKEN_FOR_SPAM = "taken_for_spam"
    VALIDITY_ENDED = "validity_ended"
    # For a dead letter that cannot be read, and for everything that no other code fits.
    NOT_A_MESSAGE = "not_a_message"
    OTHER = "other"


# Why a message was not delivered, from a receipt.
OF_RECEIPTS = frozenset(
    {
        Reason.NOT_DELIVERED,
        Reason.PHONE_UNREACHABLE,
        Reason.NUMBER_INVALID,
        Reason.BLOCKED_BY_CARRIER,
        Reason.TAKEN_FOR_SPAM,
        Reason.VALIDITY_ENDED,
    }
)

_HTTP_STATUS = re.compile(r"[1-5][0-9]{2}")
_SMALL_CODE = re.compile(r"-?[0-9]{1,2}")
# The details that a reason keeps when messages are counted by it; none without an entry.
_DECLARED_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")  # a code that the gateway's declaration knows
_NAME = re.compile(r"[^\W\d_]\w{0,39}")
_COUNTED_DETAILS = {
    Reason.HTTP: _HTTP_STATUS,
    Reason.GATEWAY_CODE: _SMALL_CODE,
    Reason.GATEWAY_ANSWER: _DECLARED_CODE,
    Reason.ANSWER_NOT_DECLARED: _HTTP_STATUS,
    Reason.VALUE_MISSING: _NAME,  # one of the few names in the mailing's texts
}
_NAME_THE_STATUS = frozenset({Reason.HTTP, Reason.GATEWAY_CODE, Reason.ANSWER_UNCLEAR, Reason.ANSWER_NOT_DECLARED})


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason with its detail.

    `detail` is short and contains neither text nor phone number: an HTTP status, a gateway's code, the name of an
    error, or how many attempts were made. In the last case `last` is the cause of the last attempt. str() is the form
    in which it is stored.
    """

    reason: Reason
    detail: str = ""
    last: Cause | None = None

    @classmethod
    def http(cls, status: int) -> Cause:
        """The gateway answered with this HTTP status."""
        return cls(Reason.HTTP, str(status))

    @classmethod
    def used_up(cls, attempts: int, last: Cause | None) -> Cause:
        """All attempts were made, and `last` is what ended the last one."""
        return cls(Reason.ATTEMPTS_USED_UP, str(attempts), last)

    @staticmethod
    def parse(text: str) -> Cause | None:
        """The cause that was stored as this text, None for "". Reads what older versions stored too."""
        return _parsed(text) if text else None

    def __str__(self) -> str:
        parts = [str(self.reason), self.detail, str(self.last or "")]
        while not parts[-1]:
            parts.pop()
        return _SEPARATOR.join(parts)

    @property
    def logged(self) -> dict[str, str]:
        """The fields of a log record: the code as `reason`, and the rest, if any, as `detail`."""
        code, _, detail = str(self).partition(_SEPARATOR)
        return {"reason": code} | ({"detail": detail} if detail else {})

    @property
    def names_status(self) -> bool:
        """Whether its text names the HTTP status of the answer."""
        return self.reason in _NAME_THE_STATUS

    @property
    def counted(self) -> Cause:
        """The cause that messages are counted by: that of the last attempt, with one of a bounded number of details.

        Otherwise a gateway could make a new counter for every message.
        """
        if self.reason is Reason.ATTEMPTS_USED_UP:
            return self.last.counted if self.last else Cause(Reason.OTHER)
        details = _COUNTED_DETAILS.get(self.reason)
        if details and details.fullmatch(self.detail):
            return self
        return Cause(Reason.OTHER if self.reason is Reason.HTTP else self.reason)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Cause:
    code, _, detail = text.partition(_SEPARATOR)
    try:
        reason = Reason(code)
    except ValueError:
        return _of_old_sentence(text)
    if reason is Reason.ATTEMPTS_USED_UP:
        attempts, _, last = detail.partition(_SEPARATOR)
        return Cause.used_up(int(attempts), Cause.parse(last)) if attempts.isdigit() else Cause(reason)
    return Cause(reason, detail)


# -- what versions up to November 2026 stored: sentences

_OLD_SENTENCES = {
    "opted out": Reason.OPTED_OUT,
    "the client was removed": Reason.CLIENT_REMOVED,
    "outside the local window": Reason.OUTSIDE_LOCAL_WINDOW,
    "the window closes before the local window opens": Reason.LOCAL_WINDOW_TOO_LATE,
    "the window closed first": Reason.WINDOW_CLOSED,
    "the mailing was cancelled": Reason.MAILING_CANCELLED,
    "not dispatched before the mailing ended": Reason.NOT_DISPATCHED,
    "the circuit is open": Reason.CIRCUIT_OPEN,
    "the rate": Reason.RATE_LIMIT,
    "put back by hand": Reason.PUT_BACK,
    "the end was moved": Reason.END_MOVED,
    "HTTP 200 with an answer that makes no sense": Reason.ANSWER_UNCLEAR,
    "HTTP 200 with another code": Reason.GATEWAY_CODE,
    "HTTP 200 with code ?": Reason.GATEWAY_CODE,
    "no usable answer": Reason.ANSWER_UNREADABLE,
    "no answer in time": Reason.NO_ANSWER,
    "no connection to the gateway": Reason.NO_CONNECTION,
    "the connection broke before an answer": Reason.CONNECTION_BROKEN,
    "the sender stopped before it recorded an outcome": Reason.SENDER_STOPPED,
    "the gateway's adapter failed": Reason.ADAPTER_FAILED,
    "the gateway's address is none": Reason.GATEWAY_URL_INVALID,
    "the gateway's address does not begin with https://": Reason.GATEWAY_URL_NOT_HTTPS,
    "the gateway's host is not among GATEWAY_HOSTS": Reason.GATEWAY_HOST_NOT_ALLOWED,
    "the gateway's address is not public": Reason.GATEWAY_ADDRESS_PRIVATE,
    "the gateway's token is none that a header can hold": Reason.TOKEN_INVALID,
    "the secret with the gateway's token cannot be read": Reason.TOKEN_SECRET_UNREADABLE,
    "the secret with the gateway's token holds none that a header can carry": Reason.TOKEN_SECRET_INVALID,
    "another reason": Reason.OTHER,
}
_OLD_PATTERNS = (
    (re.compile(r"HTTP 200 with code (-?[0-9]+)"), Reason.GATEWAY_CODE),
    (re.compile(r"HTTP ([0-9]{3})"), Reason.HTTP),
    (re.compile(r"no usable answer: (.+)"), Reason.ANSWER_UNREADABLE),
    (re.compile(r"the gateway's adapter failed: (.+)"), Reason.ADAPTER_FAILED),
)
_OLD_USED_UP = re.compile(r"attempts used up \(([0-9]+)\), last: (.*)")


def _of_old_sentence(text: str) -> Cause:
    """The cause that an old version stored as a sentence; an unknown sentence is kept as it is."""
    if reason := _OLD_SENTENCES.get(text):
        return Cause(reason)
    if found := _OLD_USED_UP.fullmatch(text):
        return Cause.used_up(int(found[1]), Cause.parse(found[2]))
    for pattern, reason in _OLD_PATTERNS:
        if found := pattern.fullmatch(text):
            return Cause(reason, found[1])
    return Cause(Reason.OTHER, text)


def parse_with_words(text: str) -> tuple[Cause | None, str]:
    """The cause of an old sentence, and the gateway's words that followed it."""
    beginning, _, words = text.partition(": ")
    cause = Cause.parse(beginning)
    if cause is None or cause.reason is Reason.OTHER:
        return Cause.parse(text), ""
    return (cause, words) if cause.names_status else (Cause.parse(text), "")
