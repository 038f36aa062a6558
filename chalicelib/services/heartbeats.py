"""Heartbeats of this process, and what is to be told of those of all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..clock import SystemClock
from ..domain.errors import Unavailable
from ..domain.heartbeats import EVERY, HEARD_WITHIN, Heartbeat, Worker
from ..observability import logger
from ..storage.heartbeats import HeartbeatRepository


class Heartbeats:
    """Used by several threads at once: one written too many does no harm."""

    def __init__(self, repository: HeartbeatRepository, clock: SystemClock) -> None:
        self._repository = repository
        self._clock = clock
        self._written: dict[Worker, datetime] = {}

    def beat(self, worker: Worker) -> None:
        """Record that a worker is alive, at most every ten seconds.

        Nothing is raised if the table does not answer: everything else reports that.
        """
        now = self._clock.now()
        written = self._written.get(worker)
        if written is not None and abs(now - written) <= EVERY:  # a clock may be set back
            return
        self._written[worker] = now
        try:
            self._repository.write(Heartbeat(worker, now, now + HEARD_WITHIN[worker]))
        except Unavailable as error:
            logger.warning("heartbeat not saved", worker=str(worker), error=str(error))

    def read(self) -> Sequence[Heartbeat]:
        """The last one of each kind of worker, of whichever process."""
        return self._repository.read()
