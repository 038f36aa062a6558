"""The texts for codes, in one place for pages, the API, e-mails and the terminal.

The English sentences are also the keys by which the admin UI translates them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Final

from .domain.reasons import Cause, Reason

REASONS: Final = {
    Reason.OPTED_OUT: "opted out",
    Reason.MARKED_UNREACHABLE: "too many messages to this number could not be delivered",
    Reason.CLIENT_REMOVED: "the client was deleted",
    Reason.VALUE_MISSING: "the text needs a value that the client does not have",
    Reason.TEXT_TOO_LONG: "the text would be longer than 10 SMS",
    Reason.TEXT_EMPTY: "the text would be empty",
    Reason.OUTSIDE_LOCAL_WINDOW: "outside the client's local hours",
    Reason.LOCAL_WINDOW_TOO_LATE: "the mailing ends before the client's local hours begin",
    Reason.WINDOW_CLOSED: "the mailing ended before it was sent",
    Reason.MAILING_CANCELLED: "the mailing was cancelled",
    Reason.NOT_DISPATCHED: "the mailing ended before the message was prepared",
    Reason.CIRCUIT_OPEN: "sending is paused",
    Reason.RATE_LIMIT: "waiting for its turn, because the rate is limited",
    Reason.PUT_BACK: "retried by hand",
    Reason.END_MOVED: "the mailing's end was moved",
    Reason.ATTEMPTS_USED_UP: "all attempts failed",
    Reason.ASKING: "the gateway is being asked whether it has the message",
    Reason.NOBODY_KNOWS: "the gateway did not say whether it has the message",
    Reason.GATEWAY_GONE: "its gateway is not configured any more",
    Reason.HTTP: "an HTTP error",
    Reason.GATEWAY_CODE: "HTTP 200 with another code",
    Reason.ANSWER_UNCLEAR: "HTTP 200 with an answer that cannot be understood",
    Reason.ANSWER_UNREADABLE: "no usable answer",
    Reason.NO_ANSWER: "no answer in time",
    Reason.NO_CONNECTION: "no connection to the gateway",
    Reason.CONNECTION_BROKEN: "the connection broke before the answer came",
    Reason.SENDER_STOPPED: "the sender stopped before it saved the result",
    Reason.ADAPTER_FAILED: "the gateway adapter failed",
    Reason.GATEWAY_ANSWER: "another answer of the gateway",
    Reason.ANSWER_NOT_DECLARED: "an answer that is not in the gateway's declaration",
    Reason.OPTED_OUT_AT_GATEWAY: "opted out at the gateway",
    Reason.NOT_AT_GATEWAY: "the gateway does not know the message",
    Reason.GATEWAY_URL_INVALID: "the gateway's address is not a valid URL",
    Reason.GATEWAY_URL_NOT_HTTPS: "the gateway's address does not begin with https://",
    Reason.GATEWAY_HOST_NOT_ALLOWED: "the gateway's host is not in GATEWAY_HOSTS",
    Reason.GATEWAY_ADDRESS_PRIVATE: "the gateway's address is not public",
    Reason.TOKEN_INVALID: "the gateway's token has characters that an HTTP header cannot hold",
    Reason.TOKEN_SECRET_UNREADABLE: "the secret with the gateway's token cannot be read",
    Reason.TOKEN_SECRET_INVALID: (
        "the secret with the gateway's token is empty or has characters that an HTTP header cannot hold"
    ),
    Reason.NO_AWS_CREDENTIALS: "nobody is signed in to AWS",
    Reason.NOT_DELIVERED: "not delivered",
    Reason.PHONE_UNREACHABLE: "the phone could not be reached",
    Reason.NUMBER_INVALID: "there is no such number",
    Reason.BLOCKED_BY_CARRIER: "blocked by the carrier",
    Reason.TAKEN_FOR_SPAM: "taken for spam",
    Reason.VALIDITY_ENDED: "not delivered in time",
    Reason.NOT_A_MESSAGE: "this is not a message of this service",
    Reason.OTHER: "another reason",
}
DETAILED: Final = {
    Reason.ATTEMPTS_USED_UP: "all attempts failed (%(detail)s), last: %(last)s",
    Reason.VALUE_MISSING: "the client has no %(detail)s, which the text needs",
    Reason.TEXT_TOO_LONG: "the text would be %(detail)s SMS long, more than 10",
    Reason.HTTP: "HTTP %(detail)s",
    Reason.GATEWAY_CODE: "HTTP 200 with code %(detail)s",
    Reason.NOT_DELIVERED: "not delivered: %(detail)s",
    Reason.ANSWER_UNREADABLE: "no usable answer: %(detail)s",
    Reason.ADAPTER_FAILED: "the gateway adapter failed: %(detail)s",
    Reason.GATEWAY_ANSWER: "the gateway answered %(detail)s",
    Reason.ANSWER_NOT_DECLARED: "HTTP %(detail)s with an answer that is not in the gateway's declaration",
    Reason.NOT_A_MESSAGE: "this is not a message of this service: %(detail)s",
}

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
Translate = Callable[[str], str]


def _as_it_is(text: str) -> str:
    return text


def reason_text(cause: Cause | None, translate: Translate = _as_it_is) -> str:
    """The text of a cause, "" if there is none. `translate` gets a sentence of REASONS or DETAILED."""
    if cause is None:
        return ""
    if cause.reason is Reason.OTHER and cause.detail:  # an old sentence without a code
        return cause.detail
    if cause.detail and cause.reason in DETAILED:
        values = {"detail": cause.detail}
        if cause.reason is Reason.ATTEMPTS_USED_UP:
            values["last"] = reason_text(cause.last or Cause(Reason.OTHER), translate)
        return translate(DETAILED[cause.reason]) % values
    return translate(REASONS[cause.reason])


def circuit_text(cause: Cause | None, words: str, translate: Translate = _as_it_is) -> str:
    """Why the circuit is as it is: the service's cause with the gateway's words, or an operator's words."""
    return ": ".join(part for part in (reason_text(cause, translate), words) if part)


def day_text(on: date, *, year: bool = True) -> str:
    """A date in English, such as 27 Nov 2026; the year is left out on request."""
    return f"{on.day} {_MONTHS[on.month - 1]}" + (f" {on.year}" if year else "")


def moment_text(moment: datetime, *, seconds: bool = False) -> str:
    """A date and a time of day in English, in the time zone of `moment`, such as 27 Nov 2026, 10:35."""
    return f"{day_text(moment)}, {moment:%H:%M:%S}" if seconds else f"{day_text(moment)}, {moment:%H:%M}"
