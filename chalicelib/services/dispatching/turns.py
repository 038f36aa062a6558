"""Turns: a unit that takes long lets others go first, because launches wait in the same queue."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...clock import SystemClock
from ...queues import Queue

_TURN = timedelta(seconds=1)  # between checks whether other units wait


class Turn:
    """One unit's turn."""

    def __init__(self, queue: Queue, clock: SystemClock) -> None:
        self._queue = queue
        self._clock = clock
        self._ask_at: datetime = clock.now() + _TURN

    def is_over(self) -> bool:
        """Whether the turn is over because another unit waits that could begin now."""
        now = self._clock.now()
        if now < self._ask_at:
            return False
        self._ask_at = now + _TURN
        return self._queue.depths().visible > 0
