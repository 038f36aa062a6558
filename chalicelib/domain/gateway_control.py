"""How fast the gateway may be called: its rate, the pace that it can take, and the circuit that opens on trouble."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal, NamedTuple

from .deadlines import is_over
from .errors import Invalid
from .faults import Fault
from .reasons import Cause

OPEN_FOR = timedelta(seconds=5)  # after the circuit opens; doubled for every probe that fails
OPEN_AT_MOST = timedelta(seconds=60)
RETRY_AFTER_AT_MOST = timedelta(seconds=300)  # longest wait that a gateway can ask for
PROBE_LEASE = timedelta(seconds=20)  # for a prober to finish; longer than one call may take
PROBES = 3  # messages in one probe
SAME_REFUSALS = 20  # messages in a row refused with the same answer: then it is about the gateway, not about them
# How the pace follows what the gateway takes ("slow start", then "additive increase, multiplicative decrease", RFC 5681
# section 3.1):
DOUBLED_IN = timedelta(seconds=2)  # at first, while each sender knows only its own share
SLOWER = 0.85  # times the pace, whenever the gateway says "too many"
FASTER = 0.05  # of the reduced pace: how much it grows each second after that
FASTER_AT_LEAST = 0.5  # messages a second: the least that it grows each second
SLOWEST = 0.5  # messages a second
SLOWED_FOR = timedelta(minutes=5)  # without another "too many", and the pace is unlimited again
ONE_ROUND = timedelta(seconds=1)  # how long a slower pace is tried before it is made slower still
MAX_REASON = 200  # characters
_NO_TEXT = ("Cc", "Zl", "Zp")  # control characters and ends of lines

Circuit = Literal["closed", "open", "held"]
CIRCUITS: tuple[Circuit, ...] = ("closed", "open", "held")


class Setting(StrEnum):
    """A setting of the gateway."""

    RATE = "rate"
    CIRCUIT = "circuit"
    MONTH_BUDGET = "month_budget"


@dataclass(frozen=True, slots=True)
class GatewayChange:
    """A change of one setting. `by` is "" if the service did it; a rate or budget of None means no limit.

    For a change of the circuit, `cause` and `reason` are those of the control.
    """

    at: datetime
    by: str
    setting: Setting
    old: int | Decimal | Circuit | None
    new: int | Decimal | Circuit | None
    reason: str = ""
    cause: Cause | None = None


class TroubledCall(NamedTuple):
    """A call of which nothing came: when it began, and the id of its message."""

    at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class GatewayControl:
    """The shared state of the gateway.

    `rate` is in messages a second over all mailings (SMS parts, if the gateway counts those), None without a limit.

    The circuit is closed if `retry_at` is None. An operator's hold keeps it open until an operator closes it.
    `slowed_to` is the pace, in messages a second, to which the gateway made senders slow down at `slowed_at`; nothing
    is sent before `rest_until`. `refused` are the ids of messages that were refused in a row with the answer `refusal`.
    """

    rate: int | None = None
    month_budget: Decimal | None = None  # for all messages of a month, in the currency of the price list
    retry_at: datetime | None = None
    opened_at: datetime | None = None
    last_stop: tuple[datetime, datetime] | None = None  # from when until when the circuit was last open
    trips: int = 0
    troubled: tuple[TroubledCall, ...] = ()  # since one was answered, as far as senders have told; the earliest first
    held: bool = False
    held_by: str = ""
    held_at: datetime | None = None
    # Why the circuit is as it is: what an operator wrote, or the service's cause with the gateway's words.
    reason: str = ""
    cause: Cause | None = None
    revision: int = 0
    changed_by: str = ""
    changed_at: datetime | None = None
    slowed_at: datetime | None = None
    slowed_to: float = 0.0
    finding: bool = False  # whether the pace is still being searched, after the first "too many"
    rest_until: datetime | None = None
    refused: tuple[str, ...] = ()
    refusal: Cause | None = None

    def pace(self, now: datetime) -> float | None:
        """Messages a second that the gateway seems to take; None if it has not said "too many" lately.

        It follows from the time since the gateway said "too many", so it grows without being written.
        """
        if self.slowed_at is None or not timedelta(0) <= now - self.slowed_at < SLOWED_FOR:
            return None
        span = now - self.slowed_at
        if self.finding:
            return self.slowed_to * 2 ** min(20.0, span / DOUBLED_IN)
        return self.slowed_to + max(FASTER_AT_LEAST, self.slowed_to * FASTER) * span.total_seconds()

    def limit(self, now: datetime, weight: float = 1) -> float | None:
        """Messages a second that may be sent now: the smaller one of the rate and the pace.

        `weight` is how much a message counts against `rate`: its SMS parts, or 1.
        """
        rate = self.rate and self.rate / weight
        return min((one for one in (rate, self.pace(now)) if one is not None), default=None)

    def slowed(self, now: datetime, taken: int, share: float, retry_after: float) -> GatewayControl:
        """A slower pace, after the gateway said "too many".

        In the second before, the gateway took `taken` calls of one sender, a `share` of all it made. If there is a
        pace, which all senders share, it is multiplied by the share. Otherwise the number is all that is known.
        """
        pace = self.pace(now)
        rest = min(RETRY_AFTER_AT_MOST, timedelta(seconds=min(retry_after, 1e6)))
        return replace(
            self,
            slowed_at=now,
            slowed_to=max(SLOWEST, SLOWER * (taken if pace is None else pace * share)),
            finding=pace is None,
            rest_until=now + rest if rest else None,
            revision=self.revision + 1,
        )

    def may_be_tried(self, now: datetime) -> bool:
        """Whether the circuit is open, and it is time for a probe."""
        return not self.held and self.retry_at is not None and is_over(self.retry_at, now, RETRY_AFTER_AT_MOST)

    def rests_until(self, now: datetime) -> datetime:
        """When messages may be sent again, if the gateway asked for a rest; otherwise now."""
        rest = self.rest_until
        return now if rest is None or is_over(rest, now, RETRY_AFTER_AT_MOST) else rest

    @property
    def open(self) -> bool:
        return self.held or self.retry_at is not None

    @property
    def circuit(self) -> Circuit:
        """The circuit in a word. "held" means that an operator keeps it open."""
        return "held" if self.held else "open" if self.open else "closed"

    def changes_since(self, old: GatewayControl) -> list[GatewayChange]:
        """The changes since `old`, which this control replaces, as an operator would call them."""
        if self.changed_at is None:
            return []
        at, by = self.changed_at, self.changed_by
        changes = []
        if self.rate != old.rate:
            changes.append(GatewayChange(at=at, by=by, setting=Setting.RATE, old=old.rate, new=self.rate))
        if self.month_budget != old.month_budget:
            changes.append(
                GatewayChange(at=at, by=by, setting=Setting.MONTH_BUDGET, old=old.month_budget, new=self.month_budget)
            )
        if self.circuit != old.circuit:
            changes.append(
                GatewayChange(
                    at=at,
                    by=by,
                    setting=Setting.CIRCUIT,
                    old=old.circuit,
                    new=self.circuit,
                    reason=self.reason,
                    cause=self.cause,
                )
            )
        return changes

    def tripped(
        self,
        now: datetime,
        retry_after: float,
        cause: Cause | None = None,
        words: str = "",
        refusal: Cause | None = None,
    ) -> GatewayControl:
        """The control with the circuit open: longer each time in a row, and at least as long as the gateway asked for.

        `words` are the gateway's own. `refusal` is the answer that so many messages got that it cannot be about them,
        None if the circuit opens for another reason.
        """
        span = max(self._next_span(), min(RETRY_AFTER_AT_MOST, timedelta(seconds=min(retry_after, 1e6))))
        return replace(
            self,
            retry_at=now + span,
            opened_at=self.opened_at or now,
            trips=self.trips + 1,
            troubled=(),
            refused=(),
            refusal=refusal,
            reason=words,
            cause=cause,
            revision=self.revision + 1,
            changed_by="",
            changed_at=now,
        )

    def probing(self, now: datetime) -> GatewayControl:
        """The control while one sender probes the gateway. If that sender stops, another one may probe later."""
        return replace(self, retry_at=now + PROBE_LEASE, revision=self.revision + 1)

    def refused_probe(self, now: datetime) -> GatewayControl:
        """The control after a probe that was refused: the gateway answers, but takes nothing yet.

        Each probe costs people their message, so the next one waits as long as after a failed one.
        """
        return replace(self, retry_at=now + self._next_span(), revision=self.revision + 1)

    def _next_span(self) -> timedelta:
        span: timedelta = OPEN_FOR * 2 ** min(self.trips, 10)
        return min(OPEN_AT_MOST, span)

    def closed(self, now: datetime, by: str = "", reason: str = "") -> GatewayControl:
        """The control with the circuit closed."""
        return replace(
            self,
            retry_at=None,
            opened_at=None,
            last_stop=(self.opened_at or now, now),
            trips=0,
            troubled=(),
            refused=(),
            refusal=None,
            held=False,
            held_by="",
            held_at=None,
            reason=reason,
            cause=None,
            revision=self.revision + 1,
            changed_by=by,
            changed_at=now,
        )

    def held_open(self, now: datetime, by: str, reason: str = "") -> GatewayControl:
        """The control with the circuit open until an operator closes it."""
        return replace(
            self,
            held=True,
            held_by=by,
            held_at=now,
            opened_at=self.opened_at or now,
            reason=reason,
            cause=None,
            revision=self.revision + 1,
            changed_by=by,
            changed_at=now,
        )

    def with_rate(self, rate: int | None, now: datetime, by: str) -> GatewayControl:
        """The control with another rate."""
        return replace(self, rate=rate, revision=self.revision + 1, changed_by=by, changed_at=now)

    def with_month_budget(self, budget: Decimal | None, now: datetime, by: str) -> GatewayControl:
        """The control with another monthly budget."""
        return replace(self, month_budget=budget, revision=self.revision + 1, changed_by=by, changed_at=now)

    def noting(self, troubled: Sequence[TroubledCall], refused: set[str], refusal: Cause | None) -> GatewayControl:
        """The control with these calls in trouble, and these messages that were refused in a row with one answer."""
        return replace(
            self,
            troubled=tuple(troubled),
            refused=tuple(sorted(refused)),
            refusal=refusal,
            revision=self.revision + 1,
        )


def check_reason(reason: str) -> str:
    """A reason without surrounding spaces. Raises Invalid if it is too long or holds control characters."""
    reason = reason.strip()
    if len(reason) > MAX_REASON:
        raise Invalid.of("reason", Fault.TOO_LONG, most=MAX_REASON)
    # Unlike str.isprintable, this allows the joiners inside emoji and the marks of right-to-left text.
    if any(unicodedata.category(character) in _NO_TEXT for character in reason):
        raise Invalid.of("reason", Fault.NOT_ONE_LINE)
    return reason
