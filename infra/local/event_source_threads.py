"""Drives an EventSourceRunner with threads: so many pollers for each source, one thread for each schedule."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from functools import partial

from chalicelib.clock import SystemClock
from infra.local.event_sources import EventSourceRunner

logger = logging.getLogger(__name__)

LONG_POLL = 1  # seconds; also how long a stop may wait for an idle poller
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


class EventSourceThreads:
    """Runs a runner's work in the background until `stop`."""

    def __init__(
        self,
        runner: EventSourceRunner,
        clock: SystemClock,
        beat: Callable[[str], None] | None = None,
        beat_every: float = 5.0,
    ) -> None:
        """`beat` gets the name of a source every few seconds, as long as one of its pollers works."""
        self._runner = runner
        self._beat = beat
        self._beat_every = beat_every
        self._began: dict[str, float] = {}  # when a poller last began to poll, by source
        self._clock = clock
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start polling and firing; returns at once."""
        for source in self._runner.sources.values():
            self._began[source.name] = time.monotonic()
            for number in range(source.concurrency):
                self._spawn(f"{source.name}-{number}", partial(self._poll, source.name))
        for name in self._runner.schedules:
            self._spawn(name, partial(self._await_schedule, name))
        if self._beat is not None:
            self._spawn("heartbeat", partial(self._tell, self._beat))

    def _poll(self, source: str) -> None:
        self._began[source] = time.monotonic()
        self._runner.poll(source, LONG_POLL)

    def _tell(self, beat: Callable[[str], None]) -> None:
        """Report heartbeats in a thread, because a poller's batch may take longer than the time between two."""
        for name, began in self._began.items():
            if time.monotonic() - began < LONG_POLL + self._runner.timeout(name) + self._beat_every:
                beat(name)
        self._stopping.wait(self._beat_every)

    def fire_soon(self, name: str) -> None:
        """Let a schedule fire within a second; the next time is counted from there."""
        self._runner.schedules[name].next_at = self._clock.now()

    def stop(self, timeout: float = 10.0) -> bool:
        """Take no new work and wait for running work. Returns whether everything ended within `timeout` seconds."""
        self._stopping.set()
        self._runner.close()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _spawn(self, name: str, step: Callable[[], object]) -> None:
        # Daemons: an invocation that outlives the bound of `stop` must not keep the process from ending.
        thread = threading.Thread(target=self._repeat, args=(name, step), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _repeat(self, name: str, step: Callable[[], object]) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                step()
                failures = 0
            except Exception as error:
                # The emulator may be restarting: nothing that happens to one poll may end the polling.
                failures += 1
                jitter = random.uniform(0.5, 1.0)  # noqa: S311 - no secret
                pause = jitter * min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**failures)
                logger.warning("%s: %s; trying again in %.1f s", name, error, pause)
                self._stopping.wait(pause)

    def _await_schedule(self, name: str) -> None:
        now = self._clock.now()
        if name in self._runner.due_schedules(now):
            self._runner.fire(name)
            return
        next_at = self._runner.schedules[name].next_at
        left = (next_at - now).total_seconds() if next_at is not None else LONG_POLL
        self._stopping.wait(min(max(left, 0.0), LONG_POLL))
