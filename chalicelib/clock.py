"""Time and waiting for the services; tests and the simulation pass another clock."""

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock. Every service uses the clock that it is given."""

    def now(self) -> datetime:
        """The present moment, in UTC, in whole milliseconds: the precision of the tables."""
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between tries: full jitter up to 50 ms, doubling, at most 2 s (AWS Architecture Blog)."""

    clock: SystemClock
    rng: random.Random

    def wait(self, tries_made: int) -> None:
        """Wait before the next try, after `tries_made` tries."""
        self.clock.sleep(self.rng.uniform(0, min(2.0, 0.05 * 2**tries_made)))
