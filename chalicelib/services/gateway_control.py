"""The gateway's circuit and pace: senders ask for them, operators set them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum

from ..clock import SystemClock
from ..domain.budgets import check_budget
from ..domain.deadlines import is_over
from ..domain.errors import Invalid, Unavailable
from ..domain.faults import Fault
from ..domain.gateway_control import ONE_ROUND, GatewayChange, GatewayControl, check_reason
from ..domain.gateway_paces import GatewayPaces
from ..domain.gateway_trouble import SHARED_REFUSALS, Run, Trip, is_refusal
from ..domain.mailings import Mailing
from ..domain.messages import Attempt, Outcome
from ..domain.pace import Spacing
from ..domain.stops import Span, known_stops, stops_between
from ..observability import logger
from ..storage.gateway_control import GatewayControlRepository

MAX_AGE = timedelta(seconds=1)
MAX_RATE = 10_000  # messages, or SMS parts, a second
HORIZON = timedelta(seconds=4)  # how far ahead moments are booked
CHANGING_HORIZON = timedelta(
    seconds=1.5
)  # while the gateway's own pace is searched, because booked moments do not follow it
# For a mailing with a rate of its own at a gateway without one: a sender that waits for a turn does nothing for other
# mailings, so messages with later turns go back to the queue. That is with messages of others in the batch, and
# without.
NEAR, NEAR_ALONE = timedelta(seconds=0.15), timedelta(seconds=1.5)
# The same for a gateway with a rate beside others.
NEAR_GATEWAYS = timedelta(seconds=0.5)
_LONGEST_LEAD, _LEAD_FORGOTTEN = timedelta(seconds=2), 0.95  # how much of the lead is left after each booking
_TRIES = 5
_PAGE, _MOST_CHANGES = 100, 1000  # of changes
_QUICK_TRIPS = 4  # in a row; after that the circuit is open for a minute each time, and the tick starts the probes


class Permit(Enum):
    """What the circuit lets a sender do."""

    SEND = "send"
    PROBE = "probe"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Noted:
    """What follows from attempts: whether to feed the send queue again after `wait` seconds, and what to put back."""

    feed: bool = False
    wait: float = 0.0
    put_back: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Booking:
    """Moments at which one message each may be sent, in the named paces. The other messages must wait until `after`.

    `again` is when to try the first of the others again, and how much later each following one; None if they should
    wait in the ledger.
    """

    paces: frozenset[str]
    moments: list[datetime]
    after: datetime
    again: tuple[datetime, timedelta] | None = None


class GatewayControlService:
    """The control of one gateway, at most a second old for every sender, and read at most once a second."""

    def __init__(
        self,
        repository: GatewayControlRepository,
        threshold: int,
        clock: SystemClock,
        rng: random.Random,
        paces: GatewayPaces,
    ) -> None:
        self._repository = repository
        self._threshold = threshold
        self._clock = clock
        self._rng = rng
        self._paces = paces
        self._lock = threading.Lock()
        self._known: GatewayControl | None = None
        self._known_at = clock.now()
        self._run = Run()
        self._lead = timedelta(0)  # time from booking a moment until its call can be made
        self._booked_with = timedelta(0)  # the lead of the last booking

    # -- the circuit

    def state(self, since: datetime | None = None) -> GatewayControl:
        """The control, at most a second old, or as it was at `since` or later."""
        now = self._clock.now()
        since = now - MAX_AGE if since is None else since
        known = self._known
        if known is None or not since < self._known_at <= now + MAX_AGE:  # the clock may have been set back
            known = self._remember(self._repository.read(), now)
        return known

    def controls(self) -> list[GatewayControl]:
        """The controls by gateway: only this one."""
        return [self.state()]

    def _remember(self, control: GatewayControl, now: datetime) -> GatewayControl:
        self._known, self._known_at = control, now
        return control

    def permit(self) -> Permit:
        """Whether a sender may send. If the circuit has been open long enough, one sender may probe."""
        control = self.state()
        if not control.open:
            return Permit.SEND
        now = self._clock.now()
        if not control.may_be_tried(now):
            return Permit.WAIT
        control = self._remember(self._repository.read(), now)  # the probe's lease must be taken from the current state
        if not control.open:
            return Permit.SEND
        if not control.may_be_tried(now):
            return Permit.WAIT
        probing = control.probing(now)
        if self._repository.change(control, probing):
            self._remember(probing, now)
            return Permit.PROBE
        return Permit.WAIT

    def retry_at(self) -> datetime:
        """When messages that wait for the circuit may be tried again, spread a little.

        Soon, however long it stays open: until it closes only probes are fed, and then nobody has to wait.
        """
        return self._clock.now() + timedelta(seconds=self._rng.uniform(1, 3))

    def has_accepted_since(self, moment: datetime) -> bool:
        """Whether the gateway has taken a message from this sender since a moment."""
        return self._run.accepted_at is not None and self._run.accepted_at >= moment

    def is_same_refusal(self, attempt: Attempt) -> bool:
        """Whether an attempt got the same refusal that keeps the circuit open."""
        control = self.state()
        return control.open and control.refusal is not None and is_refusal(attempt, control.refusal)

    def note(self, attempts: Sequence[tuple[str, Attempt]], probed: bool) -> Noted:
        """Learn from attempts (with their messages' ids), in the order in which they ended.

        Slows senders down, opens the circuit, or closes it after a probe.
        """
        with self._lock:
            outage, blocked = self._run.add(attempts, self._threshold)
            run = copy(self._run)
        slowed = self._slow_down([attempt for _, attempt in attempts])
        if not attempts:
            return Noted(put_back=self._left_over())
        accepted = any(attempt.outcome is Outcome.ACCEPTED for _, attempt in attempts)
        if probed and accepted:
            self._update(self._recovered)
            logger.info("circuit closed")
            return Noted(feed=True)
        refused = probed and all(attempt.outcome is Outcome.REFUSED for _, attempt in attempts)
        if refused and not all(self.is_same_refusal(attempt) for _, attempt in attempts):
            control = self._update(lambda one: one.refused_probe(self._clock.now()) if one.retry_at else None)
            return Noted(feed=True, wait=self._left(control))
        return self._after_trouble(run, attempts, probed, blocked or outage, slowed, accepted)

    def _after_trouble(
        self,
        run: Run,
        attempts: Sequence[tuple[str, Attempt]],
        probed: bool,
        certain: bool,
        slowed: bool,
        accepted: bool,
    ) -> Noted:
        known = self._known
        shared = known is not None and (known.troubled or known.refused)
        certain = certain or probed
        answered = accepted or any(attempt.outcome is Outcome.REFUSED for _, attempt in attempts)
        # Noting something costs a write, so nothing is noted about a gateway that answers some calls.
        telling = shared if answered else run.troubled
        if not certain and not telling and len(run.refused) < SHARED_REFUSALS:
            return Noted(feed=slowed, put_back=self._left_over())
        trip = Trip(
            run=run,
            certain=certain,
            probed=probed,
            threshold=self._threshold,
            accepted=accepted,
            now=self._clock.now(),
            attempts=attempts,
        )
        control = self._update(trip.after)
        if not trip.opened:
            if control.open:  # calls from before it opened say nothing about the time after
                with self._lock:
                    self._run.troubled.clear()
            return Noted(feed=slowed, put_back=self._left_over())
        why = control.cause.logged if control.cause else {}
        logger.warning("circuit open", trips=control.trips, words=control.reason, extra=why)
        with self._lock:
            self._run.forget()
        # A feeder that comes at once would find nothing parked yet, and the probe would have to wait for the tick.
        return Noted(feed=control.trips <= _QUICK_TRIPS, wait=self._left(control), put_back=trip.put_back)

    def _left(self, control: GatewayControl) -> float:
        """Seconds until an open circuit is probed."""
        return (control.retry_at - self._clock.now()).total_seconds() if control.retry_at else 0.0

    def _left_over(self) -> tuple[str, ...]:
        """This sender's messages with the refusal that opened the circuit at another sender."""
        control = self.state()
        with self._lock:
            if not (control.open and control.refusal and self._run.refusal == control.refusal):
                return ()
            left = tuple(self._run.refused)
            self._run.refused.clear()
        return left

    def _recovered(self, control: GatewayControl) -> GatewayControl | None:
        return control.closed(self._clock.now()) if control.open and not control.held else None

    def _update(self, step: Callable[[GatewayControl], GatewayControl | None]) -> GatewayControl:
        for _ in range(_TRIES):
            asked_at = self._clock.now()
            control = self._repository.read()
            new = step(control)
            if new is None:
                return self._remember(control, asked_at)
            if self._repository.change(control, new):
                return self._remember(new, asked_at)
        raise Unavailable("the gateway's control is being changed by others")

    def stops_between(self, since: datetime, until: datetime) -> Sequence[Span]:
        """When the circuit was open between two moments, from its last 1,000 changes.

        The changes are read only if it was open after the first moment.
        """
        control = self.state()
        if all(end <= since for _, end in known_stops(control)):
            return ()
        changes, cursor = self._repository.changes("", _PAGE)
        while cursor and changes[-1].at > since and len(changes) < _MOST_CHANGES:
            earlier, cursor = self._repository.changes(cursor, _PAGE)
            changes += earlier
        known_since = max(since, changes[-1].at) if cursor else since
        return stops_between(changes, control, known_since, until)

    # -- the pace

    def _slow_down(self, attempts: Sequence[Attempt]) -> bool:
        """Slow down if the gateway said "too many", once for all calls that got this at the same time."""
        throttled = [attempt for attempt in attempts if attempt.outcome is Outcome.THROTTLED]
        if not throttled:
            return False
        wish = max(attempt.retry_after or 0.0 for attempt in throttled)
        told_at = max(attempt.at for attempt in throttled)
        with self._lock:
            taken, share = self._run.taken_before(told_at)

        def slower(control: GatewayControl) -> GatewayControl | None:
            if control.slowed_at and not is_over(control.slowed_at + ONE_ROUND, told_at, ONE_ROUND):
                return None
            return control.slowed(self._clock.now(), taken, share, wish)

        control = self._update(slower)
        logger.info("gateway asks for a lower rate", messages=len(throttled), pace=round(control.slowed_to, 1))
        return True

    @property
    def counts_parts(self) -> bool:
        """Whether the gateway's rate is of SMS parts, not of messages."""
        return self._paces.counts_parts

    def weight(self, mailing: Mailing) -> int:
        """How much each message of a mailing counts against the gateway's rate: its SMS parts, or 1."""
        return self._paces.weight(mailing)

    def limit(self, mailings: Sequence[Mailing]) -> float | None:
        """What may be sent a second, counted in weights, if these mailings get equal shares; None without a limit."""
        return self._paces.limit(mailings, self.state(), self._clock.now())

    def spread(self, throttled: Sequence[Mailing]) -> float:
        """Seconds over which to spread retries after "too many". `throttled` has the mailing of each such message."""
        return self._paces.spread(throttled, self.state(), self._clock.now())

    def paces(self, mailing: Mailing, since: datetime | None = None) -> dict[str, Spacing]:
        """The paces that a mailing's messages must keep now, by name, with what each message takes."""
        return self._paces.of(mailing, self.state(since), self._clock.now())

    def book(
        self,
        mailing: Mailing,
        wanted: int,
        *,
        text: str = "",
        beside_others: bool = False,
        beside_gateways: bool = False,
    ) -> Booking | None:
        """Book moments for `wanted` messages: fewer if the paces do not allow more, None if there is no pace.

        `text` is their longest text, if clients get different ones. `beside_others` says that the sender also has
        messages that keep no pace, `beside_gateways` that it has some for other gateways.
        """
        paces = self.paces(replace(mailing, text=text) if text else mailing)
        if not paces:
            return None
        now, control = self._clock.now(), self.state()
        lead = self._booked_with = self._lead
        start = max(now + lead, control.rests_until(now))
        self._lead *= _LEAD_FORGOTTEN
        if control.limit(now) is None:
            return self._book_near(paces, wanted, start, NEAR if beside_others else NEAR_ALONE)
        # Counted from the lead: else a sender with slow tables would never get a turn.
        end = now + lead + (HORIZON if control.pace(now) is None else CHANGING_HORIZON)
        if beside_gateways:
            end = start + NEAR_GATEWAYS
        if start >= end:
            return Booking(frozenset(paces), [], start)
        moments = self._repository.reserve(paces, wanted, start, end - start)
        return Booking(frozenset(paces), moments, start)

    def _book_near(self, paces: dict[str, Spacing], wanted: int, start: datetime, near: timedelta) -> Booking:
        """Book moments in a mailing's own pace, which no other mailing has to keep."""
        moments = self._repository.reserve(paces, wanted, start, near)
        (gap,) = (timedelta(microseconds=one.span) for one in paces.values())
        free = moments[-1] + gap if moments else start + near  # or shortly after
        return Booking(frozenset(paces), moments, start, (free - near, gap))

    def booked_until(self, mailing: Mailing) -> datetime | None:
        """The moment up to which a mailing's own pace is booked; None if it has none, or if the gateway has one too."""
        if mailing.rate_limit is None or self.state().limit(self._clock.now()) is not None:
            return None
        return self._repository.taken_until(*self.paces(mailing))

    def missed(self, late: timedelta) -> None:
        """Note how late a message was for its turn because tables were slow: moments are then booked later by that.

        Several messages of one booking do not add up.
        """
        self._lead = min(_LONGEST_LEAD, max(self._lead, self._booked_with + late))

    # -- for operators

    def set_rate(self, rate: int | None, by: str) -> GatewayControl:
        """Set the gateway's rate per second, of messages or of SMS parts, None for no limit.

        It takes effect within a second. Raises Invalid if the rate is out of range.
        """
        if rate is not None and not 1 <= rate <= MAX_RATE:
            raise Invalid.of("rate", Fault.RATE, most=MAX_RATE)
        return self._update(
            lambda control: control.with_rate(rate, self._clock.now(), by) if control.rate != rate else None
        )

    def set_month_budget(self, budget: Decimal | None, by: str) -> GatewayControl:
        """Set what the messages of each month may cost, None for no limit. It takes effect within seconds.

        Raises Invalid if it is not an amount of money.
        """
        if errors := check_budget(budget, "month_budget"):
            raise Invalid(*errors)
        return self._update(
            lambda one: one.with_month_budget(budget, self._clock.now(), by) if one.month_budget != budget else None
        )

    def hold(self, by: str, reason: str = "") -> GatewayControl:
        """Pause sending: hold the circuit open until an operator closes it. Nothing changes if it is held already."""
        reason = check_reason(reason)
        return self._update(lambda control: None if control.held else control.held_open(self._clock.now(), by, reason))

    def close(self, by: str, reason: str = "") -> GatewayControl:
        """Resume sending: close the circuit. Nothing changes if it is closed already."""
        reason = check_reason(reason)
        return self._update(lambda control: control.closed(self._clock.now(), by, reason) if control.open else None)

    def changes(self, cursor: str, limit: int) -> tuple[list[GatewayChange], str]:
        """Up to `limit` changes of rate and circuit, the newest first, and the next cursor, "" at the end."""
        return self._repository.changes(cursor, limit)
