"""Heartbeats of this process, and what is to be told of those of all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..clock import SystemClock
from ..domain.errors import Unavailable
from ..domain.heartbeats import EVERY, EXPECTED_AFTER, EXPECTED_WITHIN, HEARD_WITHIN, Heartbeat, Worker
from ..observability import logger
from ..storage.heartbeats import HeartbeatRepository


class Heartbeats:
    """Used by several threads at once: one written too many does no harm."""

    def __init__(self, repository: HeartbeatRepository, clock: SystemClock) -> None:
        self._repository = repository
        self._clock = clock
        self._written: dict[tuple[Worker, bool], datetime] = {}

    def beat(self, worker: Worker) -> None:
        """Record that a worker is alive which is there all the time, at most every ten seconds.

        Nothing is raised if the table does not answer: everything else reports that.
        """
        self._beat(worker, worked=False)

    def worked(self, worker: Worker) -> None:
        """The same of one that had work. If it is not there all the time, nobody waits for the next time."""
        self._beat(worker, worked=True)

    def _beat(self, worker: Worker, *, worked: bool) -> None:
        now = self._clock.now()
        written = self._written.get((worker, worked))
        if written is not None and abs(now - written) <= EVERY:  # a clock may be set back
            return
        self._written[worker, worked] = now
        stays = (worker, False) in self._written
        try:
            until = now + HEARD_WITHIN[worker] if stays else None
            self._repository.write(Heartbeat(worker, now, until, now if worked else None))
        except Unavailable as error:
            logger.warning("heartbeat not saved", worker=str(worker), error=str(error))

    def expect(self, worker: Worker) -> None:
        """Wait for a worker, for which work waits. Raises Unavailable if the table does not answer."""
        now = self._clock.now()
        self._repository.expect(worker, now - EXPECTED_AFTER, now + EXPECTED_WITHIN)

    def read(self) -> Sequence[Heartbeat]:
        """The last one of each kind of worker, of whichever process."""
        return self._repository.read()
