"""Deterministic concurrency: tasks that take turns at every I/O and every sleep, in an order drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType

import greenlet
import time_machine

from chalicelib.clock import SystemClock

_LONG = timedelta(seconds=5)  # that nobody does anything


class VirtualClock(SystemClock):
    """Stands still until all tasks sleep. The emulator's clock moves with it. `skew` is one worker's own error."""

    def __init__(self, traveller: time_machine.Coordinates, start: datetime) -> None:
        self._traveller = traveller
        self.moment = start
        self.scheduler: Scheduler | None = None

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        span = timedelta(milliseconds=max(0, -(-timedelta(seconds=seconds) // timedelta(milliseconds=1))))
        if self.scheduler and self.scheduler.current:
            self.scheduler.wait_until(self.moment + span)
        else:
            self.move_to(self.moment + span)

    def move_to(self, moment: datetime) -> None:
        """Let time pass until a moment."""
        self.moment = max(self.moment, moment)
        self._traveller.move_to(self.moment)


class SkewedClock(SystemClock):
    """A worker's clock that is wrong by a fixed span."""

    def __init__(self, clock: VirtualClock, skew: timedelta) -> None:
        self._clock = clock
        self._skew = skew

    def now(self) -> datetime:
        return self._clock.now() + self._skew

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)


@dataclass(eq=False)
class Task:
    """Something that runs by itself until it ends or is stopped."""

    name: str
    run: greenlet.greenlet
    wake_at: datetime
    idle: bool = False


@dataclass
class Scheduler:
    """Runs tasks on a virtual clock. At each turn one of those that are ready is drawn."""

    clock: VirtualClock
    rng: random.Random
    # How likely a task is to let others go first at an I/O point; 1.0 interleaves as finely as possible.
    switching: float = 1.0
    tasks: list[Task] = field(default_factory=list)
    current: Task | None = None
    _hub: greenlet.greenlet | None = None

    def spawn(self, name: str, function: Callable[[], None]) -> Task:
        """Add a task, which starts when time next passes."""
        task = Task(name, greenlet.greenlet(function), self.clock.now())
        self.tasks.append(task)
        return task

    def wait_until(self, moment: datetime) -> None:
        """Let the others go on until a moment; called by a task."""
        task, hub = self.current, self._hub
        assert task is not None
        assert hub is not None
        task.wake_at = moment
        hub.switch()

    def idle_until(self, moment: datetime) -> None:
        """Like `wait_until`, but `wake_idle` ends the wait."""
        task = self.current
        assert task is not None
        task.idle = True
        self.wait_until(moment)
        task.idle = False

    def wake_idle(self) -> None:
        """Let tasks that had nothing to do look again."""
        for task in self.tasks:
            if task.idle:
                task.wake_at = min(task.wake_at, self.clock.now())

    def io_point(self) -> None:
        """A place where another task may come in between."""
        if self.current and (self.switching >= 1.0 or self.rng.random() < self.switching):
            self.wait_until(self.clock.now())

    def run_until(self, moment: datetime, done: Callable[[], bool] = lambda: False, check: int = 1) -> bool:
        """Let the tasks work until a moment or until `done`, which is asked every `check` turns; says if it was."""
        assert self.current is None, "a task cannot run the others"
        self._hub = greenlet.getcurrent()
        turns = 0
        while True:
            self.tasks = [task for task in self.tasks if not task.run.dead]
            turns += 1
            if turns % check == 0 and done():
                return True
            ready = [task for task in self.tasks if task.wake_at <= self.clock.moment]
            if not ready:
                following = min((task.wake_at for task in self.tasks), default=moment)
                if following > self.clock.moment + _LONG and check > 1 and done():
                    return True
                if following > moment:
                    self.clock.move_to(moment)
                    return done()
                self.clock.move_to(following)
                continue
            if self.clock.moment > moment:
                return done()
            self.current = self.rng.choice(ready)
            try:
                self.current.run.switch()
            finally:
                self.current = None

    def stop(self) -> None:
        """End all tasks where they are."""
        for task in self.tasks:
            task.run.throw(greenlet.GreenletExit)
        self.tasks.clear()


class TurnLock:
    """A lock for tasks of one thread: who finds it taken lets the others go on."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._taken = False

    def __enter__(self) -> None:
        while self._taken:
            self._scheduler.idle_until(self._scheduler.clock.now() + _LONG)
        self._taken = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._taken = False
        self._scheduler.wake_idle()
