"""Execution environments of the functions: each polls its queue, and is ended and started again as Lambda does."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

from botocore.exceptions import BotoCoreError

from app import app
from chalicelib import workers
from chalicelib.bootstrap import Services, build
from chalicelib.clock import SystemClock
from chalicelib.services import at_once
from chalicelib.services.sending import calls
from chalicelib.storage.tables import Tables
from tests.support.client_ids import CLIENT_IDS
from tests.support.scheduler import Crash, SkewedClock, Task
from tests.support.threads import InlineExecutor, ThreadTasks, TurnLock, TurnQueue

if TYPE_CHECKING:
    from tests.support.simulation import Simulation

TIMEOUTS = {"tick": 60.0, "report": 60.0, "dispatcher": 120.0, "sender": 30.0, "receiver": 60.0}


@dataclass
class Environments:
    """The execution environments of the functions. Each has its own services, made again after a crash.

    With `threads` the calls of a batch are made at once, by tasks of their own, which freeze between two invocations;
    without, one after the other. With `killed_in_time` an invocation ends at its function's time limit wherever it is.
    """

    simulation: Simulation
    tables: Tables
    clients: dict[str, Any]
    seed: int
    threads: bool = False
    killed_in_time: bool = False
    skew: Callable[[random.Random], timedelta] = lambda rng: timedelta(0)
    services: dict[str, Services] = field(default_factory=dict)
    crashes: int = 0
    out_of_time: int = 0
    tick_after: float = 0.001  # seconds between ticks at least; more lets days pass quickly
    _started: Counter[str] = field(default_factory=Counter)
    _pools: dict[str, ThreadTasks] = field(default_factory=dict)

    def start(self, counts: dict[str, int]) -> None:
        """Start so many environments of each function."""
        for name, count in counts.items():
            for _ in range(count):
                number = self._started[name]
                self._started[name] += 1
                work = self._keep_time if name == "tick" else lambda name=name: self._poll(name)
                self.simulation.scheduler.spawn(f"{name}-{number}", lambda work=work: self._live(work))

    def _live(self, work: Callable[[], None]) -> None:
        task = self._task()
        while True:
            try:
                work()
            except Crash:
                self.crashes += 1
                if task.ends_at and self.simulation.clock.now() >= task.ends_at:
                    self.out_of_time += 1
                task.ends_at, task.doomed = None, False
                self.services.pop(task.name, None)
                if pool := self._pools.pop(task.name, None):
                    pool.kill()

    def _task(self) -> Task:
        task = self.simulation.scheduler.current
        assert task is not None
        return task

    def _keep_time(self) -> None:
        runner, clock = self.simulation.runner, self.simulation.clock
        runner.fire_due_schedules()
        following = min(schedule.next_at for schedule in runner.schedules.values() if schedule.next_at)
        clock.sleep(max(self.tick_after, (following - clock.now()).total_seconds()))

    def _poll(self, name: str) -> None:
        """Poll a queue when it has messages, as long polling does, without turns for empty looks."""
        queue = self.simulation.runner.sources[name].queue
        now = self.simulation.clock.now()
        visible_at = min((message["visible_at"] for message in self.simulation.queue(queue)), default=None)
        if visible_at is None:
            self.simulation.scheduler.idle_until(now + timedelta(days=30))
        elif visible_at > now.timestamp():
            wait = timedelta(seconds=visible_at - now.timestamp())
            self.simulation.scheduler.idle_until(now + max(timedelta(milliseconds=1), wait))
        else:
            try:
                self.simulation.runner.poll(name)
            except BotoCoreError:  # the queue did not answer four times; infra/local/event_source_threads.py waits, too
                self.simulation.clock.sleep(0.2)

    # -- invocations

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let the app's handlers run in these environments."""
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(workers, "get_services", self.current))
            if self.threads:
                # Their results come through a queue that lets other tasks go on.
                made = calls.Calls
                in_turns = mock.patch.object(
                    calls, "Calls", lambda **given: made(**given, _ended=TurnQueue(self.simulation.scheduler))
                )
                stack.enter_context(in_turns)
                results = mock.patch.object(at_once, "SimpleQueue", partial(TurnQueue, self.simulation.scheduler))
                stack.enter_context(results)
            handlers = {name: self._invoked(name, app.handler_map[name]) for name in TIMEOUTS}
            stack.enter_context(mock.patch.dict(app.handler_map, handlers))
            yield

    def _invoked(self, name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        """A handler whose invocation is ended in time, and whose threads sleep after it."""

        def invoke(event: Any, context: Any) -> Any:
            task = self.simulation.scheduler.current
            if task is None:
                return handler(event, context)
            if self.killed_in_time:
                task.ends_at = self.simulation.clock.now() + timedelta(seconds=TIMEOUTS[name])
            if pool := self._pools.get(task.name):
                pool.thaw()
            answer = handler(event, context)
            task.ends_at = None
            if pool := self._pools.get(task.name):
                pool.freeze()
            return answer

        return invoke

    def current(self) -> Services:
        """The services of the environment that runs."""
        task = self._task()
        if task.name not in self.services:
            rng = random.Random(f"{self.seed} {task.name} {self.crashes}")
            clock: SystemClock = SkewedClock(self.simulation.clock, self.skew(rng))
            executor: Executor = InlineExecutor()
            if self.threads:
                executor = self._pools[task.name] = ThreadTasks(
                    self.simulation.scheduler, task.name, lambda: self.simulation.scheduler.doom(task)
                )
            self.services[task.name] = self.build(clock, rng, executor)
        return self.services[task.name]

    def build(self, clock: SystemClock, rng: random.Random, executor: Executor) -> Services:
        """Services over the simulation's tables and queues, whose locks let other tasks go on."""
        with mock.patch("threading.Lock", new=partial(TurnLock, self.simulation.scheduler)):
            return build(
                self.simulation.settings,
                clock=clock,
                rng=rng,
                gateway=self.simulation.gateway,
                several=self.simulation.several,
                executor=executor,
                tables=self.tables,
                client_ids=CLIENT_IDS,
                **self.clients,
            )
