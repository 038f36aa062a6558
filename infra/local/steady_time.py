"""Keeps the emulated queues working when this machine's clock is set back; AWS's queues have their own clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

LONGEST = 930.0  # seconds that a message can be hidden: the longest delay, and half a minute


class SteadyTime:
    """The module `time` with a `time` that never goes back: if the clock does, it continues from where it was."""

    def __init__(self, wall: Callable[[], float] = time.time, steps: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steps = wall, steps
        self._last, self._last_step = wall(), steps()

    def time(self) -> float:
        """Seconds since 1970, by the clock if it is not behind."""
        step = self._steps()
        self._last = max(self._wall(), self._last + max(0.0, step - self._last_step))
        self._last_step = step
        return self._last

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def show_again(messages: list[dict[str, Any]], now: float) -> None:
    """Show messages now that are hidden for longer than any can be: they were saved before the clock was set back."""
    for message in messages:
        if message.get("visible_at", now) > now + LONGEST:
            message["visible_at"] = now
