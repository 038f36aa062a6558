"""Deterministic concurrency: tasks that take turns at every I/O and every sleep, in an order drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush

import greenlet
import time_machine

from chalicelib.clock import SystemClock

_LONG = timedelta(seconds=5)  # in which no task does anything


class Crash(BaseException):
    """A worker is stopped where it is: killed, out of memory, out of time."""


class VirtualClock(SystemClock):
    """A clock that stands still until all tasks sleep.

    The emulator's clock moves with it. `skew` is a worker's own error.
    """

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

    def set_back(self, span: timedelta) -> None:
        """Show an earlier time from now on, as if somebody set the clock. Sleeping tasks do not sleep longer."""
        self.moment -= span
        self._traveller.move_to(self.moment)
        if self.scheduler:
            self.scheduler.shift(-span)


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
    """A task that runs until it ends or is stopped.

    It is killed at `ends_at`, wherever it is. A `doomed` task is killed at its next turn, and again at every I/O that
    it tries afterwards. A `frozen` task gets no turns.
    """

    name: str
    run: greenlet.greenlet
    wake_at: datetime
    ends_at: datetime | None = None
    doomed: bool = False
    frozen: bool = False
    place: int = 0  # its last one among those that wait: an older one does not count any more
    skipped: bool = False  # its turn came while it was frozen


@dataclass
class Scheduler:
    """Runs tasks on a virtual clock. At each turn one of those that are ready is drawn."""

    clock: VirtualClock
    rng: random.Random
    # How likely a task is to let others go first at an I/O point; 1.0 interleaves as finely as possible.
    switching: float = 1.0
    tasks: dict[Task, None] = field(default_factory=dict)
    current: Task | None = None
    _ready: list[Task] = field(default_factory=list)
    _waiting: list[tuple[datetime, int, Task]] = field(default_factory=list)
    _idle: dict[Task, None] = field(default_factory=dict)
    _places: int = 0
    _hub: greenlet.greenlet | None = None

    def spawn(self, name: str, function: Callable[[], None]) -> Task:
        """Add a task, which starts when time next passes."""
        task = Task(name, greenlet.greenlet(function, self._hub), self.clock.now())
        self.tasks[task] = None
        self._wait(task, task.wake_at)
        return task

    def wait_until(self, moment: datetime) -> None:
        """Let others run until a moment; called by a task. Raises Crash if the task's time ends meanwhile."""
        task, hub = self.current, self._hub
        assert task is not None
        assert hub is not None
        self.check()
        self._wait(task, min(moment, task.ends_at) if task.ends_at else moment)
        hub.switch()
        self.check()

    def check(self) -> None:
        """Raises Crash if the running task must be killed, or its time has ended."""
        task = self.current
        if task and (task.doomed or (task.ends_at and self.clock.moment >= task.ends_at)):
            task.doomed = True
            raise Crash

    def idle_until(self, moment: datetime) -> None:
        """Like `wait_until`, but `wake_idle` ends the wait."""
        task = self.current
        assert task is not None
        self._idle[task] = None
        try:
            self.wait_until(moment)
        finally:
            self._idle.pop(task, None)

    def wake_idle(self) -> None:
        """Let tasks that had nothing to do look again."""
        for task in self._idle:
            self._wait(task, min(task.wake_at, self.clock.now()))
        self._idle.clear()

    def doom(self, task: Task) -> None:
        """Kill a task: whatever it waits for, it gets a last turn now."""
        task.doomed, task.frozen = True, False
        self._wait(task, self.clock.now())

    def freeze(self, task: Task) -> None:
        """Give a task no turn until it is thawed, however much time passes."""
        task.frozen = True

    def thaw(self, task: Task) -> None:
        """Let a frozen task go on."""
        task.frozen = False
        if task.skipped:
            task.skipped = False
            self._wait(task, self.clock.now())

    def io_point(self) -> None:
        """A point at which other tasks may run."""
        if self.current:
            self.check()
            if self.switching >= 1.0 or self.rng.random() < self.switching:
                self.wait_until(self.clock.now())

    def run_until(self, moment: datetime, done: Callable[[], bool] = lambda: False, check: int = 1) -> bool:
        """Let the tasks work until a moment or until `done`, which is asked every `check` turns; says if it was."""
        assert self.current is None, "a task cannot run the others"
        self._hub = greenlet.getcurrent()
        turns = 0
        while True:
            turns += 1
            if turns % check == 0 and done():
                return True
            task = self._drawn()
            if task is None:
                following = self._waiting[0][0] if self._waiting else None
                if (following is None or following > self.clock.moment + _LONG) and check > 1 and done():
                    return True
                if following is None or following > moment:
                    self.clock.move_to(moment)
                    return done()
                self.clock.move_to(following)
                continue
            if self.clock.moment > moment:
                self._ready.append(task)
                return done()
            self._give_turn(task)

    def _give_turn(self, task: Task) -> None:
        self.current = task
        try:
            task.run.switch()
        finally:
            self.current = None
        if task.run.dead:
            self.tasks.pop(task, None)

    def _drawn(self) -> Task | None:
        """One of the tasks that are ready, drawn; None if none is."""
        while self._waiting:
            moment, place, task = self._waiting[0]
            if place == task.place and moment > self.clock.moment:
                break
            heappop(self._waiting)
            if place == task.place:
                self._ready.append(task)
        while self._ready:
            number = self.rng.randrange(len(self._ready))
            self._ready[number], self._ready[-1] = self._ready[-1], self._ready[number]
            task = self._ready.pop()
            task.skipped = task.frozen
            if not task.frozen:
                return task
        return None

    def _wait(self, task: Task, moment: datetime) -> None:
        if task.run.dead or task in self._ready:
            return
        self._places += 1
        task.wake_at, task.place = moment, self._places
        heappush(self._waiting, (moment, self._places, task))

    def shift(self, span: timedelta) -> None:
        """Shift all waits, together with the clock."""
        self._waiting = [(moment + span, place, task) for moment, place, task in self._waiting]
        for task in self.tasks:
            task.wake_at += span
            task.ends_at = task.ends_at and task.ends_at + span

    def stop(self) -> None:
        """End all tasks where they are."""
        for task in list(self.tasks):
            task.run.throw(greenlet.GreenletExit)
        self.tasks.clear()
