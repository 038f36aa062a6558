"""What threads need, for tasks that take turns: a lock, a queue, and a pool."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import timedelta
from queue import Empty
from types import TracebackType
from typing import Any, Generic, TypeVar

from tests.support.scheduler import Crash, Scheduler, Task

T = TypeVar("T")
_LONG = timedelta(seconds=5)


class TurnLock:
    """A lock for tasks of one thread: a task that finds it taken lets others run."""

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


class TurnQueue(Generic[T]):
    """`queue.SimpleQueue` for tasks."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._items: deque[T] = deque()

    def put(self, item: T) -> None:
        self._items.append(item)
        self._scheduler.wake_idle()

    def get(self, timeout: float) -> T:
        """The next item; queue.Empty if none comes in so many seconds."""
        until = self._scheduler.clock.now() + timedelta(seconds=timeout)
        while not self._items:
            if self._scheduler.current is None or self._scheduler.clock.now() >= until:
                raise Empty
            self._scheduler.idle_until(until)
        return self._items.popleft()


class ThreadTasks(Executor):
    """The threads of one execution environment, each of them a task.

    They get turns only while the environment is awake: Lambda freezes it between two invocations, and a thread that is
    still working continues in the next one, however much later.
    """

    def __init__(self, scheduler: Scheduler, name: str, crashed: Callable[[], None]) -> None:
        self._scheduler = scheduler
        self._name = name
        self._crashed = crashed
        self._tasks: dict[Task, None] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                self._scheduler.check()
                future.set_result(fn(*args, **kwargs))
            except Crash:
                if not task.doomed:  # what kills one thread kills the process
                    self._crashed()
            except Exception as error:
                future.set_exception(error)
            finally:
                self._tasks.pop(task, None)

        task = self._scheduler.spawn(f"{self._name} thread", run)
        self._tasks[task] = None
        return future

    def freeze(self) -> None:
        """Give the threads no turn until `thaw`."""
        for task in self._tasks:
            self._scheduler.freeze(task)

    def thaw(self) -> None:
        """Let the threads go on where they were."""
        for task in self._tasks:
            self._scheduler.thaw(task)

    def kill(self) -> None:
        """End the threads where they are."""
        for task in list(self._tasks):
            self._scheduler.doom(task)


class InlineExecutor(Executor):
    """Runs what is submitted at once, in the same thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future
