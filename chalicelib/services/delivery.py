"""Delivery: a batch of hints becomes claims, calls of the gateway, and outcomes in the ledger."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from ..clock import SystemClock
from ..config import Settings
from ..domain.errors import Malformed, Unavailable
from ..domain.mailings import Mailing, MailingStatus
from ..domain.messages import (
    USED_UP,
    Attempt,
    Message,
    MessageStatus,
    Outcome,
    RetryPolicy,
    gateway_id_for,
    judge,
    lost_attempt,
)
from ..gateways.base import Answer, Gateway
from ..messaging import Hint, Queue, Unit
from ..observability import logger
from ..storage.ledger import Ledger
from ..storage.mailings import MailingRepository
from .states import MailingStates

_RECORDED_AT_ONCE = 25  # outcomes; the ledger's statements go in batches of so many
_TROUBLE_DELAY = (5.0, 15.0)  # seconds until a message is tried again that a table kept from being handled
_RECORDING_TIME = timedelta(seconds=3)  # kept free at the end of an invocation
_RETRY_AFTER_CAP = 900.0  # seconds that a gateway's Retry-After is believed
_SETTLE_EVERY = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Received:
    """One message of the send queue. `item` is what the answer to SQS names it by."""

    item: str
    handle: str
    body: str
    receive_count: int = 1


@dataclass(frozen=True, slots=True)
class _Job:
    """A message to deliver, as its row was last written or read."""

    received: Received
    message: Message
    mailing: Mailing


@dataclass(slots=True)
class _Batch:
    """What has come of a batch so far. `kept` stays on the queue, to be seen again after so many seconds."""

    kept: dict[str, tuple[Received, float | None]] = field(default_factory=dict)
    dead: list[tuple[Received, str]] = field(default_factory=list)
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    calls: Counter[str] = field(default_factory=Counter)

    def keep(self, received: Received, delay: float | None) -> None:
        """Leave it on the queue; without a delay for as long as the queue hides what it has given out."""
        self.kept[received.item] = (received, delay)


class Delivery:
    """The sender's work. One object may be used by several invocations at once."""

    def __init__(
        self,
        settings: Settings,
        policy: RetryPolicy,
        mailings: MailingRepository,
        ledger: Ledger,
        gateway: Gateway,
        send_queue: Queue,
        dead_letters: Queue,
        dispatch_queue: Queue,
        clock: SystemClock,
        rng: random.Random,
        executor: Executor | None = None,
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._mailings = mailings
        self._ledger = ledger
        self._gateway = gateway
        self._send_queue = send_queue
        self._dead_letters = dead_letters
        self._dispatch_queue = dispatch_queue
        self._clock = clock
        self._rng = rng
        self._executor = executor or ThreadPoolExecutor(settings.gateway_concurrency, thread_name_prefix="gateway")
        self._states = MailingStates(mailings, clock)
        self._counts_part = rng.randrange(16)
        self._settled_at: dict[str, datetime] = {}

    def deliver(self, received: Sequence[Received], deadline: datetime) -> list[str]:
        """Deliver a batch before the deadline, and answer the items that must stay on the queue."""
        batch = _Batch()
        hints = self._open(received, batch)
        try:
            jobs = self._claim(self._choose(hints, batch), batch)
        except Unavailable as error:
            logger.warning("batch left for later", error=str(error), size=len(hints))
            for item in hints.values():
                batch.keep(item, self._rng.uniform(*_TROUBLE_DELAY))
        else:
            self._call_all(jobs, deadline, batch)
        self._bury(batch)
        self._count(batch)
        self._postpone(batch)
        if batch.calls:
            logger.info("batch delivered", size=len(received), kept=len(batch.kept), outcomes=dict(batch.calls))
        return list(batch.kept)

    # -- before the call

    def _open(self, received: Sequence[Received], batch: _Batch) -> dict[Hint, Received]:
        """The hints of a batch, each once. What is none goes to the dead letters."""
        hints: dict[Hint, Received] = {}
        for item in received:
            try:
                hints.setdefault(Hint.parse(item.body), item)
            except Malformed as error:
                logger.error("poison on the send queue", item=item.item, error=str(error))
                batch.dead.append((item, str(error)))
        return hints

    def _choose(self, hints: dict[Hint, Received], batch: _Batch) -> list[_Job]:
        """The messages that are to be sent now. Others are dropped, for the ledger has them, or seen again later."""
        mailings: dict[str, Mailing] = {}
        for mailing_id in {hint.mailing_id for hint in hints}:
            state = self._states.get(mailing_id)
            if state and not self._obstacle(state.mailing):
                mailings[mailing_id] = state.mailing
        open_hints = {hint: item for hint, item in hints.items() if hint.mailing_id in mailings}
        rows = self._ledger.read((hint.mailing_id, hint.client_id) for hint in open_hints)
        jobs: list[_Job] = []
        now = self._clock.now()
        for hint, item in open_hints.items():
            message = rows.get((hint.mailing_id, hint.client_id))
            if message is None:
                logger.warning("hint without a row dropped", mailing_id=hint.mailing_id, client_id=hint.client_id)
            elif self._is_due(message, item, now, batch):
                jobs.append(_Job(item, message, mailings[hint.mailing_id]))
        return jobs

    def _is_due(self, message: Message, item: Received, now: datetime, batch: _Batch) -> bool:
        if message.status.terminal:
            if message.reason.startswith(USED_UP) and item.receive_count > 1:
                batch.dead.append((item, message.reason))  # recorded, and stopped before it was a dead letter
            return False
        wait_until = message.lease_until if message.status is MessageStatus.SENDING else message.retry_at
        if wait_until and wait_until > now:
            batch.keep(item, (wait_until - now).total_seconds() + self._rng.uniform(0, 1))
            return False
        return not (message.due_at and message.due_at > now)  # parked: the ledger gives it back when it is due

    def _claim(self, jobs: Sequence[_Job], batch: _Batch) -> list[_Job]:
        """Take the messages for this sender; others may have been quicker. A lost attempt is recorded with the claim."""
        now = self._clock.now()
        lease_until = now + timedelta(seconds=self._settings.claim_lease)
        changes: list[tuple[Message, Message]] = []
        for job in jobs:
            old = job.message
            attempts = old.attempts
            if old.status is MessageStatus.SENDING:
                attempts = (*attempts, lost_attempt(old, now))
                verdict = judge(attempts, self._policy, job.mailing.on_unknown, self._rng)
                if verdict.status.terminal:
                    changes.append(
                        (old, old.revised(now, status=verdict.status, attempts=attempts, reason=verdict.reason, lease_until=None))
                    )
                    continue
            claim = f"{self._rng.getrandbits(64):016x}"
            changes.append(
                (
                    old,
                    old.revised(
                        now,
                        status=MessageStatus.SENDING,
                        attempts=attempts,
                        claim=claim,
                        lease_until=lease_until,
                        retry_at=None,
                        due_at=None,
                    ),
                )
            )
        claimed: list[_Job] = []
        for job, (_, new), applied in zip(jobs, changes, self._ledger.update(changes), strict=True):
            if not applied:
                batch.keep(job.received, self._rng.uniform(1, 3))  # another sender has it, and may yet stop
            elif new.status is MessageStatus.SENDING:
                claimed.append(_Job(job.received, new, job.mailing))
            else:
                self._note_final(job, new, batch)
        return claimed

    def _obstacle(self, mailing: Mailing) -> str:
        """Why no message of a mailing may be sent now, "" where one may."""
        if mailing.status is not MailingStatus.RUNNING:
            return f"the mailing is {mailing.status}"
        if self._clock.now() >= mailing.end_at:
            return "the window has closed"
        return ""

    # -- the call

    def _call_all(self, jobs: Sequence[_Job], deadline: datetime, batch: _Batch) -> None:
        timeouts = self._settings.gateway_connect_timeout + self._settings.gateway_read_timeout
        latest = deadline - _RECORDING_TIME - timedelta(seconds=timeouts)
        pending: dict[Future[Attempt | str], _Job] = {
            self._executor.submit(self._call, job, latest): job for job in jobs
        }
        done: list[tuple[_Job, Attempt | str]] = []
        while pending:
            left = (deadline - _RECORDING_TIME / 2 - self._clock.now()).total_seconds()
            finished, _ = wait(pending, timeout=max(0.0, left), return_when=FIRST_COMPLETED)
            if not finished:
                logger.error("the gateway's answers come too late for this invocation", count=len(pending))
                for job in pending.values():
                    batch.keep(job.received, None)  # its claim runs out, and the attempt counts as unknown
                pending.clear()
            done += [(pending.pop(future), future.result()) for future in finished]
            if len(done) >= _RECORDED_AT_ONCE or not pending:
                self._record(done, batch)
                done = []

    def _call(self, job: _Job, latest: datetime) -> Attempt | str:
        """One attempt, or why there is none. Runs in a thread of its own; nothing may get out of it."""
        message = job.message
        try:
            state = self._states.get(message.mailing_id)
            obstacle = self._obstacle(state.mailing) if state else "the mailing is gone"
        except Unavailable as error:
            obstacle = str(error)
        started = self._clock.now()
        if not obstacle and started >= latest:
            obstacle = "no time left in this invocation"
        if obstacle:
            return obstacle
        try:
            answer = self._gateway.send(gateway_id_for(message.message_id), message.phone_number, job.mailing.text)
        except Exception as error:  # the boundary of one record: a broken adapter must not hurt the neighbours
            logger.exception("the gateway's adapter failed", message_id=message.message_id)
            answer = Answer(Outcome.UNKNOWN, f"the gateway's adapter failed: {type(error).__name__}")
        duration = (self._clock.now() - started) // timedelta(milliseconds=1)
        return Attempt(started, duration, answer.outcome, answer.reason, answer.http_status, answer.retry_after)

    # -- after the call

    def _record(self, done: Sequence[tuple[_Job, Attempt | str]], batch: _Batch) -> None:
        now = self._clock.now()
        written: list[tuple[_Job, Message, float | None]] = []
        for job, result in done:
            new, delay = self._after(job, result, now)
            written.append((job, new, delay))
        try:
            applied = self._ledger.update([(job.message, new) for job, new, _ in written])
        except Unavailable as error:
            logger.error("outcomes not recorded; they count as unknown", error=str(error), count=len(written))
            for job, _, _ in written:
                batch.keep(job.received, None)
            return
        for (job, new, delay), ours in zip(written, applied, strict=True):
            if not ours:
                logger.error("the claim ran out before the outcome was recorded", message_id=new.message_id)
            elif new.status.terminal:
                self._note_final(job, new, batch)
            elif delay is not None:
                batch.keep(job.received, delay)
            if new.attempts and new.attempts is not job.message.attempts:
                batch.calls[str(new.attempts[-1].outcome)] += 1

    def _after(self, job: _Job, result: Attempt | str, now: datetime) -> tuple[Message, float | None]:
        """The row after an attempt, or after none, and the seconds until it is to be seen again, None for never."""
        message = job.message
        if isinstance(result, str):
            # If the mailing was stopped, the hint is dropped the next time; new ones come when it goes on.
            back = message.revised(now, status=MessageStatus.QUEUED, lease_until=None)
            return back, self._rng.uniform(0.5, 1.5)
        attempts = (*message.attempts, result)
        verdict = judge(attempts, self._policy, job.mailing.on_unknown, self._rng)
        delay = verdict.delay
        if delay is not None:
            delay = max(delay, min(_RETRY_AFTER_CAP, result.retry_after or 0.0))
        if result.outcome is not Outcome.ACCEPTED:
            logger.info(
                "attempt not accepted",
                mailing_id=message.mailing_id,
                message_id=message.message_id,
                client_id=message.client_id,
                outcome=str(result.outcome),
                reason=result.reason,
                duration_ms=result.duration_ms,
                attempt=len(attempts),
            )
        new = message.revised(
            now,
            status=verdict.status,
            attempts=attempts,
            reason=verdict.reason,
            lease_until=None,
            retry_at=None if delay is None else now + timedelta(seconds=delay),
            sent_at=now if verdict.status is MessageStatus.SENT else None,
        )
        return new, delay

    def _note_final(self, job: _Job, message: Message, batch: _Batch) -> None:
        batch.counts[message.mailing_id][str(message.status)] += 1
        if message.reason.startswith(USED_UP):
            batch.dead.append((job.received, message.reason))

    def _bury(self, batch: _Batch) -> None:
        """Send what no retry can cure to the dead letters, with the reason; redriven from there it is a hint again."""
        for item, reason in batch.dead:
            try:
                body = json.dumps(asdict(Hint.parse(item.body)) | {"reason": reason})
            except Malformed:
                body = item.body
            try:
                self._dead_letters.send([body])
            except Unavailable as error:
                logger.error("dead letter left on the queue", error=str(error))
                batch.keep(item, None)

    def _count(self, batch: _Batch) -> None:
        for mailing_id, changes in batch.counts.items():
            try:
                self._mailings.add_counts(mailing_id, self._counts_part, changes, self._clock.now())
                state = self._states.refresh(mailing_id)
                if state and state.statistics.settled:
                    self._settle(mailing_id)
            except Unavailable as error:
                logger.warning("counts left to be reconciled", mailing_id=mailing_id, error=str(error))

    def _settle(self, mailing_id: str) -> None:
        now = self._clock.now()
        last = self._settled_at.get(mailing_id)
        if last is None or now - last > _SETTLE_EVERY:
            self._settled_at = {key: at for key, at in self._settled_at.items() if now - at <= _SETTLE_EVERY}
            self._settled_at[mailing_id] = now
            self._dispatch_queue.send([Unit("settle", mailing_id).body()])

    def _postpone(self, batch: _Batch) -> None:
        receipts = [(item.handle, delay) for item, delay in batch.kept.values() if delay is not None]
        try:
            self._send_queue.postpone(receipts)
        except Unavailable as error:
            logger.warning("messages are seen again later than planned", error=str(error), count=len(receipts))
