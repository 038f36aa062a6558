"""Lets a receive that waits at an emulated queue end as soon as there is a message, as SQS does.

MiniStack itself looks at the queue ten times a second, so that a message waits for 50 ms on average at each of its two
queues.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Bell:
    """Rung if any queue has something new. Replaces MiniStack's event, and its module `asyncio`.

    For calls of one event loop, as are all that the emulator answers.
    """

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def set(self) -> None:
        """Wake all sleepers."""
        waiting, self._waiting = self._waiting, set()
        for one in waiting:
            if not one.done():
                one.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """Sleep until the bell is rung, or for so many seconds."""
        rung: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(rung)
        try:
            await asyncio.wait([rung], timeout=seconds)
        finally:
            self._waiting.discard(rung)

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)
