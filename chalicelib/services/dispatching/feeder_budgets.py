"""How much the rates of the gateway and of mailings let a feeder give to the send queue."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.gateway_paces import TOLERANCE
from ..gateway_control import HORIZON

GATEWAY = ""  # the name of its rate; others are those of mailings
# Of work at the allowed rate that a mailing may be ahead: less than senders can book, or they would park what is over.
AHEAD: timedelta = HORIZON * 0.75
# The same for one with a rate of its own at a gateway without one: a sender that waits for a turn does nothing else.
NEARLY = timedelta(seconds=0.3)


class Budgets:
    """What each rate has let through. Messages count once they have hints.

    Those of mailings are of messages; the gateway's may be of something that a message is several of.
    """

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, datetime]] = {}
        self._next_at: datetime | None = None

    def of(self, name: str, rate: float, ahead: timedelta = AHEAD) -> int:
        """How much a rate lets through now: what is due since the last look, and so far ahead."""
        now = self._clock.now()
        per_second = rate / (1 + TOLERANCE.total_seconds())
        most = max(1.0, per_second * ahead.total_seconds())
        left, since = self._left.get(name, (most, now))
        come = min(max(0.0, (now - since).total_seconds()), AHEAD.total_seconds()) * per_second
        left = min(max(most, come), left + come)
        self._left[name] = left, now
        if left < 1:
            self._next_at = min(self._next_at or now + HORIZON, now + timedelta(seconds=(1 - left) / per_second))
        return int(left)

    def seconds_until_next(self) -> float | None:
        """Until the first rate that let nothing through since this was asked last will do so, None if there is none."""
        next_at, self._next_at = self._next_at, None
        return None if next_at is None else max(0.0, (next_at - self._clock.now()).total_seconds())

    def spend(self, mailing_id: str, count: int, weight: int = 1) -> None:
        """Count messages of a mailing that have got their hints, each of them as so much of the gateway's rate."""
        for name, spent in ((GATEWAY, count * weight), (mailing_id, count)):
            if name in self._left:
                left, since = self._left[name]
                self._left[name] = left - spent, since
