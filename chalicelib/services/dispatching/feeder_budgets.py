"""How much the rates of the gateway and of mailings let a feeder give to the send queue."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...clock import SystemClock
from ..gateway_control import HORIZON, TOLERANCE

GATEWAY = ""  # the name of its rate; others are those of mailings
# Of work at the allowed rate that a mailing may be ahead: less than senders can book, or they would park what is over.
AHEAD: timedelta = HORIZON * 0.75


class Budgets:
    """What each rate has let through. Messages count once they have hints."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, datetime]] = {}

    def of(self, name: str, rate: float) -> int:
        """How many messages a rate lets through now."""
        now = self._clock.now()
        per_second = rate / (1 + TOLERANCE.total_seconds())
        most = max(1.0, per_second * AHEAD.total_seconds())
        left, since = self._left.get(name, (most, now))
        left = min(most, left + max(0.0, (now - since).total_seconds()) * per_second)
        self._left[name] = left, now
        return int(left)

    def spend(self, mailing_id: str, count: int) -> None:
        """Count messages of a mailing that have got their hints."""
        for name in (GATEWAY, mailing_id):
            if name in self._left:
                left, since = self._left[name]
                self._left[name] = left - count, since
