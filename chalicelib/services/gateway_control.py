"""The gateway's circuit and pace, as senders ask for them and operators set them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum

from ..clock import SystemClock
from ..domain.errors import Invalid, Unavailable
from ..domain.gateway_control import GatewayChange, GatewayControl, check_reason
from ..domain.mailings import Mailing
from ..domain.messages import Attempt, Outcome
from ..observability import logger
from ..storage.control import ControlRepository

MAX_AGE = timedelta(seconds=1)
MAX_RATE = 10_000  # messages a second
# Calls may start this much later than their moment. The gaps between moments are longer by it, so that even then no
# second sees more calls than the rate.
TOLERANCE = timedelta(milliseconds=100)
HORIZON = timedelta(seconds=4)  # that moments are reserved ahead
_TRIES = 5
_ANSWERED = (Outcome.ACCEPTED, Outcome.REFUSED)
_QUICK_TRIPS = 4  # in a row; after them the circuit is open for a minute each time, and the tick sees to the probes


class Permit(Enum):
    """What the circuit lets a sender do."""

    SEND = "send"
    PROBE = "probe"
    WAIT = "wait"


class GatewayControlService:
    """What every sender knows of the gateway is at most a second old, and read once a second at most."""

    def __init__(self, repository: ControlRepository, threshold: int, clock: SystemClock, rng: random.Random) -> None:
        self._repository = repository
        self._threshold = threshold
        self._clock = clock
        self._rng = rng
        self._lock = threading.Lock()
        self._known: GatewayControl | None = None
        self._known_at = clock.now()
        self._troubled: set[str] = set()  # messages since the last answer, as this sender knows it

    # -- the circuit

    def state(self) -> GatewayControl:
        """The control, at most a second old."""
        now = self._clock.now()
        known = self._known
        if known is None or now - self._known_at >= MAX_AGE:
            known = self._remember(self._repository.read(), now)
        return known

    def _remember(self, control: GatewayControl, now: datetime) -> GatewayControl:
        self._known, self._known_at = control, now
        return control

    def permit(self) -> Permit:
        """Whether to send; where the circuit has been open for long enough, one sender is let through to probe."""
        control = self.state()
        if not control.open:
            return Permit.SEND
        now = self._clock.now()
        if control.held or control.retry_at is None or control.retry_at > now:
            return Permit.WAIT
        control = self._remember(self._repository.read(), now)  # the probe's lease must be taken from what is true now
        if not control.open:
            return Permit.SEND
        if control.held or control.retry_at is None or control.retry_at > now:
            return Permit.WAIT
        probing = control.probing(now)
        if self._repository.change(control, probing):
            self._remember(probing, now)
            return Permit.PROBE
        return Permit.WAIT

    def retry_at(self) -> datetime:
        """When what waits for the circuit is to be tried again, spread a little."""
        spread = timedelta(seconds=self._rng.uniform(0, 2))
        known = self._known
        return max(self._clock.now(), (known.retry_at if known else None) or self._clock.now()) + spread

    def note(self, attempts: list[tuple[str, Attempt]], probed: bool) -> bool:
        """Learn from attempts, named by message, in the order in which they ended.

        Opens the circuit, or closes it after a probe. Answers whether the send queue has to be fed again: now that it
        is closed, or for the next probe.
        """
        if not attempts:
            return False
        tripped = self._in_a_row(attempts) >= self._threshold
        if any(attempt.outcome in _ANSWERED for _, attempt in attempts):
            if probed:
                self._update(self._recovered)
                logger.info("circuit closed")
                return True
            if self._known and self._known.troubled and not tripped:
                self._update(lambda control: control.with_troubled(()) if control.troubled else None)
            if not tripped:
                return False
        retry_after = max((attempt.retry_after or 0.0 for _, attempt in attempts), default=0.0)
        messages = {message for message, _ in attempts} | self._troubled
        reason = attempts[-1][1].reason
        control = self._update(
            lambda control: self._after_trouble(control, messages, retry_after, probed or tripped, reason)
        )
        return control.open and control.trips <= _QUICK_TRIPS

    def _in_a_row(self, attempts: list[tuple[str, Attempt]]) -> int:
        """With how many messages in a row, at most, this sender has had trouble, ending in these attempts."""
        longest = 0
        for message, attempt in attempts:
            if attempt.outcome in _ANSWERED:
                self._troubled.clear()
            else:
                self._troubled.add(message)
            longest = max(longest, len(self._troubled))
        return longest

    def _recovered(self, control: GatewayControl) -> GatewayControl | None:
        return control.closed(self._clock.now()) if control.open and not control.held else None

    def _after_trouble(
        self, control: GatewayControl, messages: set[str], retry_after: float, certain: bool, reason: str
    ) -> GatewayControl | None:
        """Senders that see few messages each have to put together what they see.

        It takes different messages: one that the gateway never takes is no sign of trouble, and has to be used up.
        """
        if control.held or (control.open and not certain):
            return None  # another sender has opened it
        troubled = messages.union(control.troubled)
        if not certain and len(troubled) < self._threshold:
            return control.with_troubled(tuple(sorted(troubled))) if troubled != set(control.troubled) else None
        logger.warning("circuit open", trips=control.trips + 1)
        self._troubled.clear()
        return control.tripped(self._clock.now(), retry_after, reason)

    def _update(self, step: Callable[[GatewayControl], GatewayControl | None]) -> GatewayControl:
        for _ in range(_TRIES):
            control = self._repository.read()
            new = step(control)
            if new is None:
                return self._remember(control, self._clock.now())
            if self._repository.change(control, new):
                return self._remember(new, self._clock.now())
        raise Unavailable("the gateway's control is being changed by others")

    # -- the pace

    def moments(self, mailing: Mailing, wanted: int) -> list[datetime] | None:
        """When so many messages may be sent: fewer where the rate does not allow more, None where there is no rate."""
        rates = {"gateway": self.state().rate, f"mailing-{mailing.mailing_id}": mailing.rate_limit}
        gaps = {
            name: int(1_000_000 / rate * (1 + TOLERANCE.total_seconds())) + 1 for name, rate in rates.items() if rate
        }
        return self._repository.reserve(gaps, wanted, self._clock.now(), HORIZON) if gaps else None

    # -- for operators

    def set_rate(self, rate: int | None, by: str) -> GatewayControl:
        """Set the gateway's rate, in messages a second, None for no limit; senders follow within a second."""
        if rate is not None and not 1 <= rate <= MAX_RATE:
            raise Invalid.of("rate", f"must be 1 to {MAX_RATE} messages a second, or null for no limit")
        return self._update(
            lambda control: control.with_rate(rate, self._clock.now(), by) if control.rate != rate else None
        )

    def hold(self, by: str, reason: str = "") -> GatewayControl:
        """Open the circuit by hand: nothing is sent until it is closed by hand; one that is held stays so."""
        reason = check_reason(reason)
        return self._update(lambda control: None if control.held else control.held_open(self._clock.now(), by, reason))

    def close(self, by: str, reason: str = "") -> GatewayControl:
        """Close the circuit by hand; one that is closed stays so."""
        reason = check_reason(reason)
        return self._update(lambda control: control.closed(self._clock.now(), by, reason) if control.open else None)

    def changes(self, cursor: str, limit: int) -> tuple[list[GatewayChange], str]:
        """Up to `limit` changes of rate and circuit, the newest first, and the next cursor, "" at the end."""
        return self._repository.changes(cursor, limit)
