"""Outcomes: writes the results of attempts to the ledger, counts them, and sends dead letters."""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ...clock import SystemClock
from ...domain.call_totals import CallTotals
from ...domain.errors import Conflict, NotFound, Unavailable
from ...domain.mailings import Mailing
from ...domain.messages import (
    PARK_AFTER,
    Attempt,
    Message,
    Outcome,
    RetryPolicy,
    Verdict,
    judge,
    parse_message_id,
)
from ...domain.recounts import RECOUNT_AFTER, may_be_over
from ...domain.sending_rules import Obstacle
from ...domain.sent_texts import telling
from ...domain.statuses import TERMINAL, MessageStatus
from ...observability import logger
from ...queues import Hint, Queue, Unit, UnitKind
from ...storage.activity import ActivityRepository
from ...storage.call_totals import CallTotalsRepository
from ...storage.ledger import Ledger, Written
from ...storage.mailing_counters import Mark
from ...storage.mailings import MailingRepository
from ..at_once import AtOnce
from ..dead_letters import DeadLetters
from ..gateway_control import GatewayControlService
from ..gateways import Gateways
from .batch import Batch, Job, Result, calls_of
from .budgets import Budgets
from .mailing_cache import MailingCache

RETRY_AFTER_CAP = 900.0  # seconds; a longer Retry-After of a gateway is cut to this
_ASIDE = 1.5  # seconds, for a message that the gateway did not consider
_NOT_OF_THE_MESSAGE = (Outcome.THROTTLED, Outcome.BLOCKED)
_UNWRITTEN = 10_000  # outcomes that a sender keeps for its next batch; older ones count as unknown
_SETTLE_EVERY = timedelta(seconds=3)
_CROWD, _CROWD_WAITS = 5, 1.0  # mailings in one batch, and the seconds until those of them that are over are ended
_RECOUNT_EVERY = timedelta(seconds=15)  # shorter than a unit of this kind keeps looking


class Outcomes:
    """The last steps of delivery. One object may be used by several invocations at once."""

    def __init__(
        self,
        policy: RetryPolicy,
        mailings: MailingRepository,
        ledger: Ledger,
        calls: CallTotalsRepository,
        activity: ActivityRepository,
        mailing_cache: MailingCache,
        gateways: Gateways,
        letters: DeadLetters,
        dead_letters: Queue,
        dispatch_queue: Queue,
        budgets: Budgets,
        at_once: AtOnce,
        clock: SystemClock,
        rng: random.Random,
    ) -> None:
        self._budgets = budgets
        self._at_once = at_once
        self._policy = policy
        self._mailings = mailings
        self._ledger = ledger
        self._calls = calls
        self._activity = activity
        self._mailing_cache = mailing_cache
        self._lines = gateways.lines
        self._letters = letters
        self._dead_letters = dead_letters
        self._dispatch_queue = dispatch_queue
        self._clock = clock
        self._rng = rng
        self._unwritten: deque[tuple[Message, Message]] = deque(maxlen=_UNWRITTEN)
        self._asked_at: dict[tuple[str, str, int], datetime] = {}

    def record(self, done: Sequence[Result], batch: Batch, until: datetime) -> None:
        """Save the results of jobs: an attempt each, or why none was made.

        If the ledger is too busy, this is retried until `until`, and then by this sender's next batch, because only
        this sender knows the results.
        """
        now = self._clock.now()
        batch.calls += [call for _, call in calls_of(done)]
        self._budgets.settle(done)
        aside = self._asides(done)
        written = [(job, result, *self._after(job, result, now, aside, batch)) for job, result in done]
        applied = self._ledger.update([(job.message, new) for job, _, new, _ in written], until=until)
        batch.count_units(applied.units)
        for (job, result, new, delay), ours in zip(written, applied.written, strict=True):
            attempt = result if isinstance(result, Attempt) else None
            if ours:
                batch.note_written(job, new, attempt)
                if delay is not None:
                    batch.keep(job.received, new.key, delay)
                continue
            batch.told.append((job.message, attempt))
            if ours is Written.REFUSED:
                logger.error("the claim expired before the outcome was saved", message_id=new.message_id)
            else:
                batch.turned_away += 1
                batch.keep(job.received, job.message.key, None)
                self._unwritten.append((job.message, new))
                logger.error("outcome not saved yet", message_id=new.message_id)

    def _asides(self, done: Sequence[Result]) -> Mapping[str, float]:
        """Seconds over which to spread retries of messages that a gateway had too many of, or did not consider."""
        throttled: defaultdict[str, list[Mailing]] = defaultdict(list)
        for job, result in done:
            if isinstance(result, Attempt) and result.outcome is Outcome.THROTTLED:
                throttled[job.gateway].append(job.mailing)
        return {name: self._lines[name].control.spread(mailings) for name, mailings in throttled.items()}

    def release(self, batch: Batch, until: datetime) -> None:
        """Write what earlier batches could not write, and give back claims that may or may not have been written.

        A claim that stays would later count as a call.
        """
        now = self._clock.now()
        unwritten = [self._unwritten.popleft() for _ in range(len(self._unwritten))]
        back = [(claim, claim.revised(now, status=MessageStatus.QUEUED, lease_until=None)) for claim in batch.unsure]
        if not unwritten and not back:
            return
        changes = [*unwritten, *back]
        applied = self._ledger.update(changes, until=until)
        batch.count_units(applied.units)
        for (old, new), ours in zip(changes, applied.written, strict=True):
            if ours:
                batch.count(old, new)
            elif ours is not Written.REFUSED:
                batch.turned_away += 1
                self._unwritten.append((old, new))

    def _after(
        self, job: Job, result: Attempt | Obstacle, now: datetime, asides: Mapping[str, float], batch: Batch
    ) -> tuple[Message, float | None]:
        """The row after an attempt, or after none, and the seconds until it must be seen again, None for never."""
        message = job.message
        changes: dict[str, Any]
        if isinstance(result, Obstacle):
            # If the mailing was stopped, the hint is dropped the next time; resuming the mailing sends new ones.
            back = message.revised(now, status=MessageStatus.QUEUED, lease_until=None)
            return back, self._rng.uniform(0.5, 1.5)
        control = self._lines[job.gateway].control
        free = self._is_free(message, result, control, probe=job.gateway in batch.probed)
        message = message.with_attempt(result, free=free)
        if (result.outcome in _NOT_OF_THE_MESSAGE and free) or control.is_same_refusal(result):
            aside = _ASIDE + asides.get(job.gateway, 0.0)
            verdict = Verdict(MessageStatus.QUEUED, result.cause, self._rng.uniform(aside / 3, aside))
        else:
            verdict = judge(message.attempts, message.forgiven, self._policy, job.mailing.on_unknown, self._rng)
        changes = {"status": verdict.status, "cause": verdict.cause, "lease_until": None, "ask": verdict.ask}
        if job.mailing.personal and telling(message.attempts) is result:
            changes["values"] = job.kept
        delay = verdict.delay
        if delay is None:
            sent_at = now if verdict.status is MessageStatus.SENT else None
            return message.revised(now, **changes, sent_at=sent_at), None
        delay = max(delay, min(RETRY_AFTER_CAP, result.retry_after or 0.0))
        again_at = now + timedelta(seconds=delay)
        if delay > PARK_AFTER or verdict.ask:
            return message.revised(now, **changes | {"status": MessageStatus.WAITING, "due_at": again_at}), None
        return message.revised(now, **changes, retry_at=again_at), delay

    @staticmethod
    def _is_free(message: Message, attempt: Attempt, control: GatewayControlService, *, probe: bool) -> bool:
        """Whether an attempt does not count against the message's limit.

        Probes do not count, because an open circuit must not use up attempts. An answer about the account counts if the
        gateway has taken other messages since this one last got such an answer: then it is about the message.
        """
        match attempt.outcome:
            case Outcome.FAILED | Outcome.UNKNOWN:
                return probe
            case Outcome.MISSING | Outcome.UNCLEAR | Outcome.FOUND:
                return True
            case Outcome.THROTTLED:
                return True
            case Outcome.BLOCKED:
                before = message.attempts[-1] if message.attempts else None
                again = before is not None and before.outcome is Outcome.BLOCKED and before.gateway == attempt.gateway
                return probe or before is None or not (again and control.has_accepted_since(before.at))
            case Outcome.REFUSED:
                return control.is_same_refusal(attempt)
            case _:
                return False

    def put_back(self, message_ids: Sequence[str]) -> None:
        """Queue messages again whose refusals turned out to be the gateway's own trouble."""
        by_mailing: defaultdict[str, list[str]] = defaultdict(list)
        for message_id in message_ids:
            mailing_id, client_id = parse_message_id(message_id)
            by_mailing[mailing_id].append(client_id)
        for mailing_id, client_ids in by_mailing.items():
            try:
                self._letters.put_back(mailing_id, client_ids)
            except (Conflict, NotFound) as error:  # the mailing was cancelled, or has ended
                logger.info("refused messages are not retried", mailing_id=mailing_id, error=error.fault.code)

    def bury(self, batch: Batch) -> None:
        """Send dead letters for messages that failed for good, with the cause.

        A redrive turns them into hints again.
        """
        for item, key, cause in batch.dead:
            body = item.body if key is None else Hint.of(key).body(reason=str(cause or ""))
            try:
                self._dead_letters.send([body])
            except Unavailable as error:
                logger.error("message not moved to the dead letters", error=str(error))
                batch.keep(item, key, None)

    def count(self, batch: Batch) -> None:
        """Add to the counts of the mailings, and have a mailing finished whose last message this was. All at once."""
        # Where small mailings come in crowds, others are to be launched first.
        end_after = _CROWD_WAITS if len(batch.counts) >= _CROWD else 0.0
        steps: list[Callable[[], None]] = [
            partial(self._count_one, mailing_id, changes, self._mailings.mark(), end_after)
            for mailing_id, changes in batch.counts.items()
        ]
        steps += [lambda: self._count_calls(batch), lambda: self._count_activity(batch)]
        self._at_once.map(lambda step: step(), steps)

    def _count_one(self, mailing_id: str, changes: Counter[str], mark: Mark, end_after: float) -> None:
        try:
            self._mailings.add_counts(mailing_id, changes, self._clock.now(), mark)
            state = self._mailing_cache.refresh(mailing_id)
            if state and state.statistics.settled:
                self._ask(UnitKind.COMPLETE, state.mailing, _SETTLE_EVERY, end_after)
            elif state and may_be_over(state):
                self._ask(UnitKind.RECOUNT, state.mailing, _RECOUNT_EVERY, RECOUNT_AFTER)
        except Unavailable as error:
            logger.warning("counts not saved, will be recounted", mailing_id=mailing_id, error=str(error))

    def _count_calls(self, batch: Batch) -> None:
        if not batch.calls:
            return
        try:
            for gateway in sorted({call.gateway for call in batch.calls}):
                self._calls.add(CallTotals.of(call for call in batch.calls if call.gateway == gateway), gateway)
        except Unavailable as error:
            logger.warning("gateway calls not counted", error=str(error), count=len(batch.calls))

    def _count_activity(self, batch: Batch) -> None:
        ended: Counter[str] = Counter()
        for changes in batch.counts.values():
            ended.update({status: changes[status] for status in TERMINAL if changes[status] > 0})
        try:
            self._activity.add(ended, self._clock.now())
        except Unavailable as error:
            logger.warning("activity not counted", error=str(error), count=ended.total())

    def go_on(self, wait: float = 0.0) -> None:
        """Send a unit to feed the send queue after `wait` seconds: the circuit has closed, or must be probed then."""
        self._dispatch_queue.send_each([(Unit(UnitKind.FEED).body(), wait)])

    def _ask(self, kind: UnitKind, mailing: Mailing, every: timedelta, wait: float = 0.0) -> None:
        """Send a unit for a mailing, at most once per `every` and revision: a reopened mailing has a new revision."""
        now, key = self._clock.now(), (kind, mailing.mailing_id, mailing.revision)
        last = self._asked_at.get(key)
        if last is None or now - last > every:
            self._asked_at = {one: at for one, at in self._asked_at.copy().items() if now - at <= _RECOUNT_EVERY}
            self._asked_at[key] = now
            self._dispatch_queue.send_each([(Unit(kind, mailing.mailing_id).body(), wait)])
