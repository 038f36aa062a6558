"""Delivery: a batch of hints becomes claims, calls of the gateway, and outcomes in the ledger."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

from ..clock import SystemClock
from ..config import Settings
from ..domain.errors import Unavailable
from ..domain.messages import Attempt, MessageKey, Outcome, gateway_id_for
from ..gateways.base import Answer, Gateway
from ..messaging import Hint, Queue
from ..observability import BATCH_SIZE, GATEWAY_FAILURES, GATEWAY_LATENCY, logger, measure
from ..setting_checks import RECORDING
from ..tracing import traced
from .batch import Batch, Job, Received
from .claiming import Claims, deferral, obstacle
from .delivery_records import tell
from .gateway_control import TOLERANCE, GatewayControlService
from .outcomes import Outcomes
from .states import MailingStates

_RECORDED_AT_ONCE = 25  # outcomes; the ledger's statements go in batches of so many
_TROUBLE_DELAY = (5.0, 15.0)  # seconds until a message is tried again that a table kept from being handled
_RECORDING_TIME = timedelta(seconds=RECORDING)  # kept free at the end of an invocation, and of its claims


class Delivery:
    """The sender's work. One object may be used by several invocations at once."""

    def __init__(
        self,
        settings: Settings,
        claims: Claims,
        outcomes: Outcomes,
        states: MailingStates,
        control: GatewayControlService,
        gateway: Gateway,
        send_queue: Queue,
        clock: SystemClock,
        rng: random.Random,
        executor: Executor | None = None,
    ) -> None:
        self._settings = settings
        self._claims = claims
        self._outcomes = outcomes
        self._states = states
        self._control = control
        self._gateway = gateway
        self._send_queue = send_queue
        self._clock = clock
        self._rng = rng
        self._executor = executor or ThreadPoolExecutor(settings.gateway_concurrency, thread_name_prefix="gateway")

    def deliver(self, received: Sequence[Received], deadline: datetime) -> list[str]:
        """Deliver a batch before the deadline, and answer the items that must stay on the queue."""
        batch, began = Batch(), self._clock.now()
        # Nor may a claim end before its call: another sender would take the message meanwhile.
        deadline = min(deadline, began + timedelta(seconds=self._settings.claim_lease))
        wanted = self._claims.open(received, batch)
        try:
            jobs = self._claims.take(wanted, batch)
        except Unavailable as error:
            logger.warning("batch left for later", error=str(error), size=len(wanted))
            for key, item in wanted.items():
                batch.keep(item, key, self._rng.uniform(*_TROUBLE_DELAY))
        else:
            self._call_all(jobs, deadline, batch)
        self._learn(batch)
        self._outcomes.bury(batch)
        batch.count_work(wanted, (self._clock.now() - began).total_seconds())
        self._outcomes.count(batch)
        staying = self._put_off(wanted, batch)
        _measure(batch, len(wanted))
        tell(batch, len(wanted))
        return staying

    def _call_all(self, jobs: Sequence[Job], deadline: datetime, batch: Batch) -> None:
        timeouts = self._settings.gateway_connect_timeout + self._settings.gateway_read_timeout
        latest = deadline - _RECORDING_TIME - timedelta(seconds=timeouts)
        waiting, ended = deque(jobs), SimpleQueue[tuple[Job, Attempt | str]]()
        for _ in range(min(len(jobs), self._settings.gateway_concurrency)):
            # In a context of its own, so that what it logs has the request's id.
            self._executor.submit(copy_context().run, self._call_some, waiting, ended, latest)
        pending = {job.message.key: job for job in jobs}
        done: list[tuple[Job, Attempt | str]] = []
        while pending:
            left = (deadline - _RECORDING_TIME / 2 - self._clock.now()).total_seconds()
            try:
                done.append(ended.get(timeout=max(0.0, left)))
            except Empty:
                waiting.clear()
                logger.error("the gateway's answers come too late for this invocation", count=len(pending))
                for job in pending.values():
                    # Its claim runs out, and the attempt counts as unknown.
                    batch.keep(job.received, job.message.key, None)
                pending.clear()
            else:
                del pending[done[-1][0].message.key]
            if len(done) >= _RECORDED_AT_ONCE or not pending:
                self._outcomes.record(done, batch)
                done = []

    def _call_some(self, waiting: deque[Job], ended: SimpleQueue[tuple[Job, Attempt | str]], latest: datetime) -> None:
        """Make one call after the other, as long as there are any. Runs in a thread of its own."""
        while waiting:
            try:
                job = waiting.popleft()
            except IndexError:  # another thread was quicker
                return
            ended.put((job, self._call(job, latest)))

    def _call(self, job: Job, latest: datetime) -> Attempt | str:
        """One attempt, or why there is none; nothing may get out of it."""
        if job.not_before and (span := (job.not_before - self._clock.now()).total_seconds()) > 0:
            self._clock.sleep(span)
        try:
            reason = self._last_look(job, latest)
        except Unavailable as error:
            reason = str(error)
        except Exception as error:  # the boundary of one record, which nobody would hear from again
            logger.exception("no call was made", message_id=job.message.message_id)
            reason = type(error).__name__
        if reason:
            return reason
        return self._attempt(job)

    def _attempt(self, job: Job) -> Attempt:
        """The call itself."""
        message = job.message
        ids = {"mailing_id": message.mailing_id, "message_id": message.message_id, "client_id": message.client_id}
        with traced("gateway", remote=True, **ids) as step:
            started = self._clock.now()
            try:
                answer = self._gateway.send(gateway_id_for(message.message_id), message.phone_number, job.mailing.text)
            except Exception as error:  # the boundary of one record: a broken adapter must not hurt the neighbours
                logger.exception("the gateway's adapter failed", message_id=message.message_id)
                answer = Answer(Outcome.UNKNOWN, f"the gateway's adapter failed: {type(error).__name__}")
            duration = (self._clock.now() - started) // timedelta(milliseconds=1)
            step.note(outcome=answer.outcome.value, http_status=answer.http_status)
            if answer.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
                step.fail()
        return Attempt(started, duration, answer.outcome, answer.reason, answer.http_status, answer.retry_after)

    def _last_look(self, job: Job, latest: datetime) -> str:
        """Why the call must not be made after all, "" where it may: much can have happened since the claim."""
        state = self._states.get_fresh(job.mailing.mailing_id)
        now = self._clock.now()
        if state is None:
            return "the mailing is gone"
        if reason := obstacle(state.mailing, now):
            return reason
        if deferral(state.mailing, job.message, now):
            return "outside the local window"
        if now >= latest:
            return "no time left in this invocation"
        if job.not_before and now > job.not_before + TOLERANCE:
            return "too late for its turn"
        return ""

    def _learn(self, batch: Batch) -> None:
        try:
            if self._control.note(batch.attempts, batch.probed):
                self._outcomes.go_on()
        except Unavailable as error:
            logger.warning("the circuit could not be told", error=str(error))

    def _put_off(self, wanted: Mapping[MessageKey, Received], batch: Batch) -> list[str]:
        """Have what is left seen again at its time; the items that stay on the queue for it.

        An item that is for one message is hidden for so long. Where it is for several, each that is left gets a hint
        of its own: the item's count of receipts, and its place among the dead letters, would be those of all of them.
        """
        sizes = Counter(received.item for received in wanted.values())
        staying: dict[str, None] = {}
        hidden: list[tuple[str, float]] = []
        split: dict[str, list[tuple[str, float]]] = {}
        for item, (received, left) in batch.kept.items():
            timed = [(Hint.of(key).body(), delay) for key, delay in left.items() if key and delay is not None]
            if sizes[item] > 1:
                split[item] = timed
            else:
                hidden += [(received.handle, delay) for _, delay in timed]
            if sizes[item] <= 1 or len(timed) < len(left):
                staying[item] = None
        try:
            self._send_queue.send_each([one for timed in split.values() for one in timed])
        except Unavailable as error:
            logger.warning("messages are seen again together", error=str(error), count=len(split))
            staying |= dict.fromkeys(split)
        try:
            self._send_queue.postpone(hidden)
        except Unavailable as error:
            logger.warning("messages are seen again later than planned", error=str(error), count=len(hidden))
        return list(staying)


def _measure(batch: Batch, size: int) -> None:
    measure(BATCH_SIZE, size)
    for _, attempt in batch.attempts:
        measure(GATEWAY_LATENCY, attempt.duration_ms)
        if attempt.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
            measure(GATEWAY_FAILURES)
