"""Tallies: the counters that a message stands in, so that statistics are read instead of counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from .mailings import COUNTED
from .messages import USED_UP, Message, MessageStatus

SEPARATOR = "|"  # between the parts of a counter's name; the counter of a status is named by it alone
# What sending has taken so far, for a mailing's cost: write units of the ledger, hints, milliseconds of senders.
WRITES, HINTS, MILLISECONDS = (SEPARATOR.join(("work", name)) for name in ("writes", "hints", "ms"))
WORK = frozenset({WRITES, HINTS, MILLISECONDS})
_HOURLY_FOR = timedelta(days=7)
_HOUR = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Reasons become names of counters, of which every message must not bring a new one, whatever a gateway answers.
OTHER_REASON = "another reason"
REASONS = frozenset(
    {
        "opted out",
        "the client was removed",
        "outside the local window",
        "the window closes before the local window opens",
        "the window closed first",
        "the mailing was cancelled",
        "not dispatched before the mailing ended",
        "the circuit is open",
        "the rate",
        "the sender stopped before it recorded an outcome",
        "no connection to the gateway",
        "the connection broke before an answer",
        "no answer in time",
        "no usable answer",
        "the gateway's adapter failed",
        "HTTP 200 with an answer that makes no sense",
        "HTTP 200 with another code",
    }
)
_HTTP = re.compile(r"HTTP [1-5][0-9]{2}|HTTP 200 with code -?[0-9]{1,2}")


def reason_group(reason: str) -> str:
    """The reason as statistics name it: one of a bounded number of texts."""
    if reason.startswith(USED_UP):
        reason = reason.partition("last: ")[2]
    if reason.startswith("HTTP 200 with code") and not _HTTP.fullmatch(reason):
        return "HTTP 200 with another code"
    if _HTTP.fullmatch(reason) or reason in REASONS:
        return reason
    beginning = reason.partition(":")[0]
    return beginning if beginning in REASONS else OTHER_REASON


def counters_of(message: Message) -> list[str]:
    """The names of the counters that a row of the ledger is counted in; of an open row mostly none."""
    if message.status not in COUNTED:
        return []
    if message.status is MessageStatus.SENT:
        return ["sent", SEPARATOR.join(("hour", str(_hour_of(message))))]
    return [str(message.status), SEPARATOR.join(("reason", message.status, reason_group(message.reason)))]


def _hour_of(message: Message) -> int:
    """Hours since 1970 when it was sent, a week after the mailing's start only by day: the counters must stay few."""
    sent_at = message.sent_at or message.updated_at
    hour = (sent_at - _EPOCH) // _HOUR
    return hour if sent_at - message.created_at < _HOURLY_FOR else hour // 24 * 24


@dataclass(frozen=True, slots=True)
class Tally:
    """A mailing's counters. The times are exact once it has finished, and off by a batch's duration while it runs."""

    counters: Counter[str] = field(default_factory=Counter)
    first_sent_at: datetime | None = None
    last_sent_at: datetime | None = None

    @property
    def by_status(self) -> Counter[str]:
        return Counter({name: count for name, count in self.counters.items() if SEPARATOR not in name})

    @property
    def by_reason(self) -> Mapping[tuple[str, str], int]:
        """How many messages have a status for a reason, of those that were not sent."""
        return {
            (parts[1], parts[2]): count
            for name, count in self.counters.items()
            if (parts := name.split(SEPARATOR))[0] == "reason" and count > 0
        }

    @property
    def by_hour(self) -> Mapping[datetime, int]:
        """How many messages were sent in the hour that begins then; in the day, a week after the mailing's start."""
        return {
            _EPOCH + int(parts[1]) * _HOUR: count
            for name, count in self.counters.items()
            if (parts := name.split(SEPARATOR))[0] == "hour" and count > 0
        }

    @property
    def work(self) -> Counter[str]:
        """What sending has taken so far."""
        return Counter({name: self.counters[name] for name in WORK})

    @property
    def rate(self) -> float | None:
        """Messages a second between the first and the last that was sent; None where that is no time."""
        if self.first_sent_at is None or self.last_sent_at is None or self.last_sent_at <= self.first_sent_at:
            return None
        return (self.counters["sent"] - 1) / (self.last_sent_at - self.first_sent_at).total_seconds()
