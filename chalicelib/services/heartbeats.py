"""Heartbeats: writes those of this process and reads those of all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..clock import SystemClock
from ..domain.errors import Unavailable
from ..domain.heartbeats import EVERY, EXPECTED_AFTER, EXPECTED_WITHIN, HEARD_WITHIN, Heartbeat, Worker
from ..observability import logger
from ..storage.heartbeats import HeartbeatRepository


class Heartbeats:
    """May be used by several threads at once: an extra heartbeat does no harm."""

    def __init__(self, repository: HeartbeatRepository, clock: SystemClock) -> None:
        self._repository = repository
        self._clock = clock
        self._written: dict[tuple[Worker, bool], datetime] = {}

    def beat(self, worker: Worker) -> None:
        """Record that a worker which always runs is alive, at most every ten seconds.

        Raises nothing if the table does not answer, because everything else reports that.
        """
        self._beat(worker, worked=False)

    def worked(self, worker: Worker) -> None:
        """Record that a worker had work. If it does not always run, its next heartbeat is not expected."""
        self._beat(worker, worked=True)

    def _beat(self, worker: Worker, *, worked: bool) -> None:
        now = self._clock.now()
        written = self._written.get((worker, worked))
        if written is not None and abs(now - written) <= EVERY:  # the clock may have been set back
            return
        self._written[worker, worked] = now
        stays = (worker, False) in self._written
        try:
            until = now + HEARD_WITHIN[worker] if stays else None
            self._repository.write(Heartbeat(worker, now, until, now if worked else None))
        except Unavailable as error:
            logger.warning("heartbeat not saved", worker=str(worker), error=str(error))

    def expect(self, worker: Worker) -> None:
        """Expect a worker to be seen, because work waits for it. Raises Unavailable if the table does not answer."""
        now = self._clock.now()
        self._repository.expect(worker, now - EXPECTED_AFTER, now + EXPECTED_WITHIN)

    def read(self) -> Sequence[Heartbeat]:
        """The last heartbeat of each kind of worker, from any process."""
        return self._repository.read()
