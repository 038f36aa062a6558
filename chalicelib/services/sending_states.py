"""Whether anything is being sent; read for every page, so it takes two calls at most."""

from __future__ import annotations

from collections.abc import Mapping

from ..clock import SystemClock
from ..domain.heartbeats import Worker
from ..domain.sending_states import Sending, sending_of
from ..domain.statuses import MailingStatus
from ..queues import Queue
from ..storage.mailings import MailingRepository
from ..storage.sending_states import SendingStateRepository
from .heartbeats import Heartbeats


class SendingStateService:
    """The state of sending for all gateways, workers and mailings together."""

    def __init__(
        self,
        repository: SendingStateRepository,
        mailings: MailingRepository,
        heartbeats: Heartbeats,
        queues: Mapping[Worker, Queue],
        clock: SystemClock,
    ) -> None:
        self._repository = repository
        self._mailings = mailings
        self._heartbeats = heartbeats
        self._queues = queues
        self._clock = clock

    def look(self) -> Sending:
        """What the service does now. Raises Unavailable if a table does not answer."""
        controls, beats = self._repository.read()
        return sending_of(controls, beats, self._running(), self._clock.now())

    def expect_workers(self) -> None:
        """Expect workers to be seen whose work waits in a queue; called by the tick.

        Raises Unavailable if a queue does not answer.
        """
        if not self._running():
            return
        for worker, queue in self._queues.items():
            if queue.depths().visible:
                self._heartbeats.expect(worker)

    def _running(self) -> int:
        return self._mailings.totals().get(MailingStatus.RUNNING, 0)
