"""Clocks for tests that need no scheduler: one that a test moves, one that notes its waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from chalicelib.clock import SystemClock

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class FrozenClock(SystemClock):
    """A clock that only moves when a test moves it or sleeps."""

    def __init__(self, start: datetime = START) -> None:
        self.moment = start

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class CountingClock(SystemClock):
    """A clock that does not wait, but counts how long it would have."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
