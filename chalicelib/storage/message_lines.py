"""Messages of the ledger as lines of text, so that a dozen fit into 1 KB.

A line has these values, separated by commas; empty values at its end are left out:

    client, number without its plus, zone, status with revision, created, updated, claim, sent, attempts,
    lease until, retry at, due at, cause, forgiven, hinted, how many older attempts stand elsewhere, values

The delivery follows `sent` after a slash: d for delivered, u for undelivered for good, t for undelivered this time,
with its moment; then, if they are known, cause, parts and price, separated by slashes.

Moments are milliseconds since the bucket's `since`, in base 36; the zone is an index of `zones`. An attempt is its
moment, its milliseconds, its outcome, its cause, the HTTP status and (if there are several) its gateway, separated by
slashes, and followed by a semicolon if there are more. A cause is quoted as in a URL. `hinted` is followed by further
marks: p and the SMS parts of a text, if clients get different ones; @ and the gateway that a claim is for, if there are
several. The values of a text begin with = and are separated by slashes; ! means that they were too large. If a bucket
would be too large, older attempts are in an item of their own (storage/older_attempts.py), whose number is the bucket's
`older`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote, unquote

from ..domain.deliveries import Delivery
from ..domain.messages import Attempt, Message, Outcome
from ..domain.reasons import Cause
from ..domain.statuses import MessageStatus
from .moments import from_ms, to_ms

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_STATUSES = {
    MessageStatus.QUEUED: "q",
    MessageStatus.WAITING: "w",
    MessageStatus.SENDING: "c",  # claimed
    MessageStatus.SENT: "s",
    MessageStatus.FAILED: "f",
    MessageStatus.UNKNOWN: "u",
    MessageStatus.EXPIRED: "e",
    MessageStatus.CANCELLED: "x",
    MessageStatus.SKIPPED: "o",  # mostly because the client opted out
}
_OUTCOMES = {
    Outcome.ACCEPTED: "a",
    Outcome.REFUSED: "r",
    Outcome.FAILED: "f",
    Outcome.UNKNOWN: "u",
    Outcome.THROTTLED: "t",
    Outcome.BLOCKED: "b",
    Outcome.FOUND: "y",
    Outcome.MISSING: "n",
    Outcome.UNCLEAR: "x",
}
# In values, which are mostly not ASCII, only characters with a meaning in a line are quoted.
_SIGNS = {ord(sign): quote(sign, safe="") for sign in ("%", ",", "/", *map(chr, range(32)))}
_STATUS_OF = {letter: status for status, letter in _STATUSES.items()}
_OUTCOME_OF = {letter: outcome for outcome, letter in _OUTCOMES.items()}


def line_of(message: Message, since: int, zones: Mapping[str, int], left_out: int) -> str:
    """A message as a line, without its first `left_out` attempts."""
    marks = ("h" if message.hinted else "") + ("a" if message.ask else "")
    marks += f"p{message.parts}" if message.parts else ""
    marks += f"@{message.gateway}" if message.gateway and message.status is MessageStatus.SENDING else ""
    values = (
        message.client_id,
        message.phone_number.removeprefix("+"),
        _base36(zones[message.timezone]),
        _STATUSES[message.status] + _base36(message.revision),
        _after(message.created_at, since),
        _after(message.updated_at, since),
        message.claim,
        _after(message.sent_at, since) + _delivery_text(message.delivery, since),
        attempts_text(message.attempts[left_out:], since),
        _after(message.lease_until, since),
        _after(message.retry_at, since),
        _after(message.due_at, since),
        _quoted(message.cause),
        _base36(message.forgiven) if message.forgiven else "",
        marks,
        _base36(left_out) if left_out else "",
        _values_text(message.values),
    )
    return ",".join(values).rstrip(",")


def message_of(line: str, mailing_id: str, since: int, zones: list[str]) -> Message:
    """The message of a line."""
    values = line.split(",")
    values += [""] * (17 - len(values))
    client, number, zone, state, created, updated, claim, sent, attempts = values[:9]
    lease, retry, due, cause, forgiven, flags = values[9:15]
    flags, _, gateway = flags.partition("@") if "@" in flags else (flags, "", "")
    flags, _, parts = flags.partition("p")
    sent, _, delivery = sent.partition("/")
    return Message(
        mailing_id=mailing_id,
        client_id=client,
        phone_number=f"+{number}",
        timezone=zones[int(zone, 36)],
        status=_STATUS_OF[state[0]],
        revision=int(state[1:], 36),
        created_at=_moment(created, since),
        updated_at=_moment(updated, since),
        attempts=attempts_of(attempts, since),
        hinted="h" in flags,
        ask="a" in flags,
        gateway=gateway,
        claim=claim,
        lease_until=_moment(lease, since) if lease else None,
        retry_at=_moment(retry, since) if retry else None,
        due_at=_moment(due, since) if due else None,
        sent_at=_moment(sent, since) if sent else None,
        cause=_cause(cause),
        forgiven=int(forgiven, 36) if forgiven else 0,
        delivery=_delivery(delivery, since) if delivery else None,
        values=_values(values[16]),
        parts=int(parts or 0),
    )


def _delivery_text(delivery: Delivery | None, since: int) -> str:
    if delivery is None:
        return ""
    kind = "d" if delivery.delivered else "u" if delivery.permanent else "t"
    told = _quoted(delivery.cause), str(delivery.parts or ""), quote(delivery.price, safe=" ")
    return "/".join(("", kind + _after(delivery.at, since), *told)).rstrip("/")


def _delivery(text: str, since: int) -> Delivery:
    values = text.split("/")
    kind, cause, parts, price = values + [""] * (4 - len(values))
    return Delivery(
        delivered=kind[0] == "d",
        at=_moment(kind[1:], since),
        cause=_cause(cause),
        permanent=kind[0] == "u",
        parts=int(parts) if parts else None,
        price=unquote(price),
    )


def left_out_of(line: str) -> int:
    """How many attempts of a message are not in its line."""
    values = line.split(",")
    return int(values[15], 36) if len(values) > 15 and values[15] else 0


def _values_text(values: tuple[str, ...] | None) -> str:
    if values is None:
        return ""
    return "=" + "/".join(one.translate(_SIGNS) for one in values) if values else "!"


def _values(text: str) -> tuple[str, ...] | None:
    if not text:
        return None
    return tuple(unquote(one) for one in text[1:].split("/")) if text[0] == "=" else ()


def attempts_text(attempts: Iterable[Attempt], since: int) -> str:
    """Attempts as a text in an item."""
    return ";".join(_attempt_text(attempt, since) for attempt in attempts)


def attempts_of(text: str, since: int) -> tuple[Attempt, ...]:
    """The attempts in such a text."""
    return tuple(_attempt(one, since) for one in text.split(";")) if text else ()


def _attempt_text(attempt: Attempt, since: int) -> str:
    values = (
        _after(attempt.at, since),
        _base36(attempt.duration_ms),
        _OUTCOMES[attempt.outcome],
        _quoted(attempt.cause),
        str(attempt.http_status or ""),
        attempt.gateway,
    )
    return "/".join(values).rstrip("/")


@lru_cache(maxsize=4096)  # a bucket is read again and again while a few of its messages wait
def _attempt(text: str, since: int) -> Attempt:
    values = text.split("/")
    at, duration, outcome, cause, http, gateway = values + [""] * (6 - len(values))
    status = int(http) if http else None
    moment = _moment(at, since)
    return Attempt(
        at=moment,
        duration_ms=int(duration, 36),
        outcome=_OUTCOME_OF[outcome],
        cause=_cause(cause),
        http_status=status,
        gateway=gateway,
    )


def _after(moment: datetime | None, since: int) -> str:
    return "" if moment is None else _base36(to_ms(moment) - since)


def _moment(text: str, since: int) -> datetime:
    return from_ms(since + int(text, 36))


@lru_cache(maxsize=4096)
def _base36(number: int) -> str:
    sign, rest, text = "-" if number < 0 else "", abs(number), ""
    while True:
        rest, digit = divmod(rest, 36)
        text = _DIGITS[digit] + text
        if not rest:
            return sign + text


@lru_cache(maxsize=1024)
def _quoted(cause: Cause | None) -> str:
    return "" if cause is None else quote(str(cause), safe=":() ")


@lru_cache(maxsize=1024)
def _cause(text: str) -> Cause | None:
    return Cause.parse(unquote(text)) if text else None
