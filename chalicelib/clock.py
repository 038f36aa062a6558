"""The time as the services see it; tests and the simulation pass another one."""

import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock. Every service takes its time from the one it was given."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        time.sleep(seconds)
