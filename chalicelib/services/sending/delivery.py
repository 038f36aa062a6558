"""Delivery: a batch of hints becomes claims, gateway calls, and outcomes in the ledger."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...config import Settings
from ...domain.errors import ServiceError, Unavailable
from ...domain.messages import MessageKey, Outcome
from ...observability import (
    BATCH_SIZE,
    GATEWAY_BLOCKED,
    GATEWAY_FAILURES,
    GATEWAY_LATENCY,
    GATEWAY_REFUSED,
    GATEWAY_THROTTLED,
    logger,
    measure,
)
from ...queues import Hint, Queue
from ...setting_checks import RECORDING
from ..gateways import Gateways
from .batch import Batch, Job, Received, Result, calls_of
from .batch_log import log_batch
from .calls import Caller
from .claims import Claims
from .outcomes import Outcomes
from .portions import ENOUGH, Portions
from .table_pace import TablePace

_BY_OUTCOME = {
    Outcome.FAILED: GATEWAY_FAILURES,
    Outcome.UNKNOWN: GATEWAY_FAILURES,
    Outcome.REFUSED: GATEWAY_REFUSED,
    Outcome.THROTTLED: GATEWAY_THROTTLED,
    Outcome.BLOCKED: GATEWAY_BLOCKED,
}
_TROUBLE_DELAY = (5.0, 15.0)  # seconds until a message is tried again after a table failed
_RECORDING_TIME = timedelta(seconds=RECORDING)  # kept free at the end of an invocation, and of claims
_OFTEN = 10  # times received; the queue gives a message up after twenty
_ANSWERING_TIME = timedelta(seconds=1)  # of that, for counts and for the answer to the queue


class Delivery:
    """The sender's work. One object may be used by several invocations at once."""

    def __init__(
        self,
        settings: Settings,
        claims: Claims,
        outcomes: Outcomes,
        gateways: Gateways,
        caller: Caller,
        pace: TablePace,
        send_queue: Queue,
        clock: SystemClock,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._claims = claims
        self._outcomes = outcomes
        self._gateways = gateways
        self._caller = caller
        self._pace = pace
        self._send_queue = send_queue
        self._clock = clock
        self._rng = rng

    def deliver(self, received: Sequence[Received], deadline: datetime) -> list[str]:
        """Deliver a batch before the deadline. Returns the items that must stay on the queue."""
        batch, began = Batch(), self._clock.now()
        # A claim must not end before its call, because another sender would take the message meanwhile.
        deadline = min(deadline, began + timedelta(seconds=self._settings.claim_lease))
        wanted = self._claims.open(received, batch)
        try:
            jobs = self._claims.take(wanted, batch)
        except Unavailable as error:
            logger.warning("batch not processed, will be retried", error=str(error), size=len(wanted))
            batch.turned_away += 1
            for key, item in wanted.items():
                batch.keep(item, key, self._rng.uniform(*_TROUBLE_DELAY))
        else:
            self._call_all(jobs, deadline, batch)
        self._outcomes.release(batch, deadline - _ANSWERING_TIME)
        self._pace.note(batch.turned_away)
        self._outcomes.bury(batch)
        batch.count_work(wanted, (self._clock.now() - began).total_seconds())
        self._outcomes.count(batch)
        staying = self._put_off(wanted, batch)
        _measure(batch, len(wanted))
        log_batch(batch, len(wanted), self._settings.log_accepted)
        return staying

    def _call_all(self, jobs: Sequence[Job], deadline: datetime, batch: Batch) -> None:
        """Call for all jobs, and record the results in portions as they come."""
        longest = timedelta(seconds=self._settings.gateway_read_timeout)
        calls = self._caller.start(jobs, deadline - _RECORDING_TIME - longest, probe=batch.probed)
        portions = Portions(jobs)
        unheeded: list[Result] = []  # results that the gateway's state has not learned of yet
        if not jobs:
            self._learn([], batch)
        while calls.pending:
            now = self._clock.now()
            left = (deadline - _RECORDING_TIME / 2 - now).total_seconds()
            due = portions.must_go_in(now)
            if result := calls.next(left if due is None else min(left, due)):
                portions.add(result, self._clock.now())
                unheeded.append(result)
            elif due is None or due >= left:
                unsent, unheard = calls.give_up()
                logger.error("no time left for this batch", unsent=len(unsent), unheard=len(unheard))
                for one in unsent:
                    portions.add(one, now)
                for job in unheard:  # its claim ends, and the attempt counts as unknown
                    batch.keep(job.received, job.message.key, None)
            whole = portions.ready(self._clock.now()) if calls.pending and result else portions.rest()
            if whole or len(unheeded) >= ENOUGH:
                self._learn(unheeded, batch)
                unheeded = []
            if whole:
                self._outcomes.record(whole, batch, deadline - _ANSWERING_TIME)

    def _learn(self, done: Sequence[Result], batch: Batch) -> None:
        """Slow down, or open or close the circuit of each gateway, depending on its answers."""
        calls = calls_of(done)
        for line in self._gateways:
            own = [call for call in calls if call[1].gateway == line.name] if self._gateways.several else calls
            if calls and not own:
                continue
            try:
                noted = line.control.note(own, line.name in batch.probed)
                if noted.feed:
                    self._outcomes.go_on(noted.wait)
                self._outcomes.put_back(noted.put_back)
            except ServiceError as error:
                logger.warning("the gateway's circuit or pace could not be updated", error=str(error))

    def _put_off(self, wanted: Mapping[MessageKey, Received], batch: Batch) -> list[str]:
        """Let the remaining messages be seen again later. Returns the items that must stay on the queue for that.

        An item with one message is hidden until then. From an item with several, each remaining message gets its own
        hint, because otherwise they would share the item's receive count and dead letter. A message that was received
        often gets a new hint too: waiting for a table or a turn must not make it a dead letter.
        """
        sizes = Counter(received.item for received in wanted.values())
        staying: dict[str, None] = {}
        hidden: list[tuple[str, float]] = []
        split: dict[str, list[tuple[str, float]]] = {}
        for item, (received, left) in batch.kept.items():
            timed = [(Hint.of(key).body(), delay) for key, delay in left.items() if key and delay is not None]
            anew = sizes[item] > 1 or received.receive_count >= _OFTEN
            if anew:
                split[item] = timed
            else:
                hidden += [(received.handle, delay) for _, delay in timed]
            if not anew or len(timed) < len(left):
                staying[item] = None
        try:
            self._send_queue.send_each([one for timed in split.values() for one in timed])
        except Unavailable as error:
            logger.warning("messages become visible together", error=str(error), count=len(split))
            staying |= dict.fromkeys(split)
        try:
            self._send_queue.postpone(hidden)
        except Unavailable as error:
            logger.warning("messages become visible later than planned", error=str(error), count=len(hidden))
        return list(staying)


def _measure(batch: Batch, size: int) -> None:
    measure(BATCH_SIZE, size)
    for call in batch.calls:
        measure(GATEWAY_LATENCY, call.duration_ms)
        if metric := _BY_OUTCOME.get(call.outcome):
            measure(metric)
