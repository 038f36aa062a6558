"""Shows the progress of a long measurement in lines to stderr, for terminals and logs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

EVERY = 10.0  # seconds between two lines
_now = time.perf_counter  # which simulated clocks leave alone
_BEGAN = _now()


def say(text: str) -> None:
    """Show a line, how long it took so far, and how busy the machine is meanwhile."""
    sys.stderr.write(f"{_span(_now() - _BEGAN)}, load {os.getloadavg()[0]:.1f}: {text}\n")
    sys.stderr.flush()


class Progress:
    """The progress over a number of things, shown at most every ten seconds."""

    def __init__(
        self, what: str, total: int, tell: Callable[[str], None] = say, now: Callable[[], float] = _now
    ) -> None:
        self._what, self._total, self._tell, self._now = what, total, tell, now
        self._began = self._told = now()

    def at(self, done: int) -> None:
        """Note that so many are done."""
        now = self._now()
        if now - self._told < EVERY:
            return
        self._told = now
        left = f", about {_span((now - self._began) * (self._total - done) / done)} to go" if done else ""
        self._tell(f"{self._what}: {done:,} of {self._total:,}{left}")


def _span(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
