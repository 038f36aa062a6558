"""Buckets of the ledger as DynamoDB holds them: a line of text for each message, so that a dozen fit into 1 KB.

A line has these values, separated by commas; what is empty at its end is left out:

    client, number without its plus, zone, status with revision, created, updated, claim, sent, attempts,
    lease until, retry at, due at, cause, forgiven, hinted, how many older attempts stand elsewhere, values

What a receipt said follows `sent` after a slash: d for delivered, u for undelivered for good, t for undelivered this
time, with the moment of it; and if they were told, separated by slashes, cause, parts and price.

Moments are milliseconds since the bucket's `since`, in base 36; the zone is a place in `zones`. An attempt is its
moment, its milliseconds, its outcome, its cause, the HTTP status and which of several gateways it went to, separated
by slashes, and followed by a semicolon if there are more. A cause is quoted as in a URL. After `hinted` stand other
marks, after a p the SMS parts of a text that not everybody gets, and after an @ which of several gateways a claim is
for. The values that a text was made with have an = before them and slashes between them; an ! stands for those that
are too large to be kept. Older attempts of a bucket that would be too large stand in an item of their own
(storage/older_attempts.py), whose number is the bucket's `older`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from ..domain.deliveries import Delivery
from ..domain.messages import Attempt, Message, Outcome
from ..domain.reasons import Cause
from ..domain.statuses import IN_TROUBLE, MessageStatus
from .dynamodb import Item
from .models import from_ms, to_ms

UNIT = 1024  # bytes; what a unit of writing is for
TROUBLE_SHARDS = 4  # that have one key in the index of what failed
_SHARD_SPAN = 2**32  # more than a shard has buckets
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
    MessageStatus.SKIPPED: "o",  # mostly for somebody who opted out
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
# Of values, which are mostly no ASCII, only what has a meaning in a line is quoted.
_SIGNS = {ord(sign): quote(sign, safe="") for sign in ("%", ",", "/", *map(chr, range(32)))}
_STATUS_OF = {letter: status for status, letter in _STATUSES.items()}
_OUTCOME_OF = {letter: outcome for outcome, letter in _OUTCOMES.items()}


def trouble_key(mailing_id: str, shard: str) -> str:
    """The key of the index `trouble` for a shard: one for four of them, so that a list takes four queries, not 16."""
    return f"{mailing_id}#{int(shard) // TROUBLE_SHARDS}"


class Place(NamedTuple):
    """Where a bucket stands: in which shard of which mailing, and its number there."""

    mailing_id: str
    shard: str
    number: int

    @property
    def ledger_key(self) -> str:
        return f"{self.mailing_id}#{self.shard}"

    @property
    def among_all(self) -> int:
        """A number by which the buckets of all shards of a mailing are in order."""
        return int(self.shard) * _SHARD_SPAN + self.number

    @property
    def key(self) -> Item:
        return {"ledger_key": {"S": self.ledger_key}, "bucket_no": {"N": str(self.number)}}

    @classmethod
    def of(cls, item: Item) -> Place:
        """The place that an item says."""
        mailing_id, _, shard = str(item["ledger_key"]["S"]).partition("#")
        return cls(mailing_id, shard, int(item["bucket_no"]["N"]))


@dataclass(frozen=True, slots=True)
class Older:
    """Attempts that do not stand in the bucket: the number of their item, and how many there are of each client."""

    number: int
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Bucket:
    """Messages that are written together. `revision` grows with every change and guards every write; it is 0 before
    the first. `since` is milliseconds, `expires_at` seconds since 1970, 0 for never.
    """

    place: Place
    messages: Mapping[str, Message]
    revision: int = 0
    since: int = 0
    expires_at: int = 0
    older: Older | None = None

    def left_out(self, client_id: str) -> int:
        """How many attempts of a client's message stand elsewhere: its first ones."""
        return self.older.counts.get(client_id, 0) if self.older else 0

    def changed(self, messages: Iterable[Message], expires_at: int) -> Bucket:
        """The bucket with these messages added or changed, in its next revision; it never expires earlier."""
        now = {message.client_id: message for message in messages}
        since = self.since or min(to_ms(message.created_at) for message in now.values())
        kept = max(self.expires_at, expires_at) if expires_at else 0
        older = self.older if kept == self.expires_at and self._still_has(now) else None
        return Bucket(
            place=self.place,
            messages={**self.messages, **now},
            revision=self.revision + 1,
            since=since,
            expires_at=kept,
            older=older,
        )

    def _still_has(self, now: Mapping[str, Message]) -> bool:
        """Whether messages begin with the attempts that stand elsewhere. Of very many one in between is forgotten."""
        pairs = [(now[one], self.messages[one], self.left_out(one)) for one in now if self.left_out(one)]
        texts = [[attempts_text(m.attempts[:count], self.since) for m in (new, old)] for new, old, count in pairs]
        return all(new == old for new, old in texts)

    @cached_property
    def values(self) -> Item:
        """The item but for its key; what is empty is left out, so that sparse indexes stay sparse."""
        zones = {zone: place for place, zone in enumerate(dict.fromkeys(m.timezone for m in self.messages.values()))}
        lines = [_line(one, self.since, zones, self.left_out(name)) for name, one in sorted(self.messages.items())]
        values: Item = {
            "messages": {"S": "\n".join(lines)},
            "revision": {"N": str(self.revision)},
            "since": {"N": str(self.since)},
            "zones": {"S": " ".join(zones)},
        }
        if self.expires_at:
            values["expires_at"] = {"N": str(self.expires_at)}
        if self.older:
            values["older"] = {"N": str(self.older.number)}
        due = [message.due_at for message in self.messages.values() if message.due_at is not None]
        if due:
            values["parked_in"] = {"S": self.place.ledger_key}
            values["due_at"] = {"N": str(to_ms(min(due)))}
        if any(message.status in IN_TROUBLE for message in self.messages.values()):
            values["trouble_of"] = {"S": trouble_key(self.place.mailing_id, self.place.shard)}
            values["trouble_at"] = {"N": str(self.place.among_all)}
        return values


def bucket_of_item(item: Item) -> Bucket:
    """The bucket that an item says, with those of its attempts that are in it."""
    place, since = Place.of(item), int(item["since"]["N"])
    zones = item["zones"]["S"].split(" ")
    lines = item["messages"]["S"].split("\n")
    messages = [_message(line, place.mailing_id, since, zones) for line in lines]
    expires_at = int(item["expires_at"]["N"]) if "expires_at" in item else 0
    revision = int(item["revision"]["N"])
    older = None
    if "older" in item:
        counts = {m.client_id: _left_out(line) for m, line in zip(messages, lines, strict=True) if _left_out(line)}
        older = Older(int(item["older"]["N"]), counts)
    bucket = Bucket(
        place=place,
        messages={message.client_id: message for message in messages},
        revision=revision,
        since=since,
        expires_at=expires_at,
        older=older,
    )
    bucket.__dict__["values"] = {name: value for name, value in item.items() if name not in place.key}
    return bucket


def write_units(before: Item | None, after: Item) -> int:
    """Units of a write: the item's KB, and one for each entry of an index that comes, goes or moves."""
    units = -(-item_bytes(after) // UNIT)
    for names in (("parked_in", "due_at"), ("trouble_of", "trouble_at")):
        old, new = ([where.get(name) for name in names] if where else [None] for where in (before, after))
        if old != new:
            units += (old[0] is not None) + (new[0] is not None)
    return units


def item_bytes(values: Item) -> int:
    """About how large an item with these values is."""
    return _KEY_BYTES + sum(len(name) + len(value) for name, one in values.items() for value in one.values())


_KEY_BYTES = 60  # of an item's key, with the names


def _line(message: Message, since: int, zones: Mapping[str, int], left_out: int) -> str:
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


def _message(line: str, mailing_id: str, since: int, zones: list[str]) -> Message:
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


def _left_out(line: str) -> int:
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
    """Attempts as they stand in an item."""
    return ";".join(_attempt_text(attempt, since) for attempt in attempts)


def attempts_of(text: str, since: int) -> tuple[Attempt, ...]:
    """The attempts that a text says."""
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


def _cause(text: str) -> Cause | None:
    return Cause.parse(unquote(text)) if text else None
