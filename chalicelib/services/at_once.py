"""Work on many things at once, in threads: such work mostly waits for AWS."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TypeVar

from ..domain.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")
WIDTH = 16  # threads; there are 32 connections
_LONGEST = 100.0  # seconds until the next one ends; every call of AWS gives up long before


class AtOnce:
    """Threads shared by all callers. `map` must not be called from within one of them."""

    def __init__(self, executor: Executor | None = None) -> None:
        self._executor = executor or ThreadPoolExecutor(WIDTH, thread_name_prefix="at-once")

    def map(self, work: Callable[[T], R], things: Iterable[T]) -> list[R]:
        """The result of `work` for each of the things, in their order.

        If it raises for one of them, that is raised here as soon as all the others are done. A single thing needs no
        thread.
        """
        waiting = deque(enumerate(things))
        count = len(waiting)
        if count == 1:
            return [work(waiting[0][1])]
        ended: SimpleQueue[tuple[int, R | None, Exception | None]] = SimpleQueue()

        def run() -> None:
            while waiting:
                try:
                    place, thing = waiting.popleft()
                except IndexError:  # another thread was quicker
                    return
                try:
                    ended.put((place, work(thing), None))
                except Exception as error:  # the boundary of a thread: the caller gets it
                    ended.put((place, None, error))

        for _ in range(min(count, WIDTH)):
            self._executor.submit(copy_context().run, run)  # so that its log records have the request's id
        found: dict[int, R] = {}
        failed: Exception | None = None
        for _ in range(count):
            try:
                place, answer, error = ended.get(timeout=_LONGEST)
            except Empty as late:
                raise Unavailable("a thread gives no answer") from late
            if error is None:
                found[place] = answer  # type: ignore[assignment]
            failed = failed or error
        if failed:
            raise failed
        return [found[place] for place in range(count)]
