"""How much a feeder may give to the send queue, by the rates of the gateway and of mailings."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.gateway_paces import TOLERANCE
from ..gateway_control import HORIZON

GATEWAY = ""  # the name of its rate; the other names are mailings
# How much work at the allowed rate may be queued ahead: less than senders can book, or they would park the rest.
AHEAD: timedelta = HORIZON * 0.75
# The same for a mailing with its own rate at a gateway without one: a sender that waits for a turn does nothing else.
NEARLY = timedelta(seconds=0.3)


class Budgets:
    """How much of each rate is used. A message counts when it has a hint.

    Rates of mailings count messages; that of the gateway may count SMS parts.
    """

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, datetime]] = {}
        self._next_at: datetime | None = None

    def of(self, name: str, rate: float, ahead: timedelta = AHEAD) -> int:
        """How much a rate allows now: what became due since the last call, up to `ahead` in advance."""
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
        """Seconds until the first used-up rate allows something again, None if none was used up since the last call."""
        next_at, self._next_at = self._next_at, None
        return None if next_at is None else max(0.0, (next_at - self._clock.now()).total_seconds())

    def spend(self, mailing_id: str, count: int, weight: int = 1) -> None:
        """Count messages of a mailing that got hints; each counts `weight` against the gateway's rate."""
        for name, spent in ((GATEWAY, count * weight), (mailing_id, count)):
            if name in self._left:
                left, since = self._left[name]
                self._left[name] = left - spent, since
