"""Calls to the gateway for one batch: each at its turn, after a last look, and none after the batch was given up."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

from ...clock import SystemClock
from ...config import Settings
from ...domain.deadlines import is_over
from ...domain.errors import Unavailable
from ...domain.gateway_paces import TOLERANCE
from ...domain.gateway_routes import shown
from ...domain.messages import Attempt, MessageKey, Outcome
from ...domain.reasons import Cause, Reason
from ...domain.sending_rules import Obstacle, deferral, obstacle, valid_until
from ...gateways.base import Answer, NotNow, Outgoing
from ...observability import logger
from ..contacts import Contacts
from ..gateway_control import HORIZON
from ..gateways import Gateways
from ..receiving.links import ReceiptLinks
from .batch import Job, Result
from .mailing_cache import MailingCache

# A call connects before its turn, so that at the turn only the request is sent.
_CONNECT_AHEAD = timedelta(seconds=0.3)
# For a message with a turn, the rate is read again shortly before it, so that a lowered rate takes effect at once. The
# time before the turn is twice what such a read took lately, so that a slow table makes no message miss its turn.
_READ_AHEAD = timedelta(milliseconds=10), timedelta(milliseconds=500)  # at least, at most
# What a call depends on (the mailing, the client, the gateway's control) is at most this old when the call starts, so
# that a pause, an opt-out or a lowered rate counts within a second. What is older than the second value is read again,
# so that there is time to read it.
MAX_AGE = timedelta(seconds=1)
_BELIEVED_FOR = timedelta(seconds=0.8)
_LOOKS = 3  # looks until nothing is too old, if the tables are slow


class Caller:
    """Makes the calls of batches. One object may be used by several invocations at once."""

    def __init__(
        self,
        settings: Settings,
        contacts: Contacts,
        mailing_cache: MailingCache,
        gateways: Gateways,
        clock: SystemClock,
        executor: Executor | None = None,
        links: ReceiptLinks | None = None,
    ) -> None:
        self._contacts = contacts
        self._mailing_cache = mailing_cache
        self._lines = gateways.lines
        self._clock = clock
        self._links = links
        self._at_once = {name: line.concurrency or settings.gateway_concurrency for name, line in self._lines.items()}
        self._look_takes = timedelta(0)  # lately
        # Each gateway has its own threads, so that a slow one does not take those of the others.
        self._executors = {
            name: executor or ThreadPoolExecutor(at_once, thread_name_prefix=f"gateway-{shown(name)}")
            for name, at_once in self._at_once.items()
        }

    def start(self, jobs: Sequence[Job], latest: datetime, *, probe: Collection[str]) -> Calls:
        """Begin to call for jobs.

        None is sent after `latest`. Gateways in `probe` are called although their circuit is open.
        """
        # Jobs with a turn first, because the others can wait for a thread.
        waiting: dict[str, deque[Job]] = {}
        for job in sorted(jobs, key=lambda job: (job.not_before is None, job.not_before or latest)):
            waiting.setdefault(job.gateway, deque()).append(job)
        calls = Calls(
            caller=self, waiting=waiting, latest=latest, probe=probe, pending={job.message.key: job for job in jobs}
        )
        for gateway, own in waiting.items():
            for _ in range(min(len(own), self._at_once[gateway])):
                # In a copy of the context, so that its log records have the request's id.
                self._executors[gateway].submit(copy_context().run, calls.work, own)
        return calls

    def call(self, job: Job, calls: Calls) -> Attempt | Obstacle:
        """Make one attempt, or return why none was made. Raises nothing."""
        try:
            if job.message.ask:
                return self._question(job, calls)
            self._wait_until(job.not_before and job.not_before - _CONNECT_AHEAD - self._read_ahead())
            self._look_ahead(job, calls, self._clock.now() - _BELIEVED_FOR)
            return self._attempt(job, calls)
        except NotNow as error:
            return error.obstacle
        except Unavailable:
            return Obstacle.TABLES_BUSY
        except Exception:  # the boundary of one record, which would otherwise disappear
            logger.exception("the gateway was not called", message_id=job.message.message_id)
            return Obstacle.FAULT

    def _attempt(self, job: Job, calls: Calls) -> Attempt:
        """The call itself. Raises NotNow if it must not be made."""
        message = job.message
        started = self._clock.now()

        def last_look() -> None:
            nonlocal started
            self._look_in_turn(job, calls)
            calls.note_sent(job)
            started = self._clock.now()

        try:
            until = valid_until(job.mailing, message.timezone, started)
            told_at = self._links.url_for(shown(job.gateway), message.message_id) if self._links else ""
            outgoing = Outgoing.of(message.message_id, message.phone_number, job.words, until, told_at)
            answer = self._lines[job.gateway].gateway.send(outgoing, last_look)
        except (NotNow, Unavailable):
            raise
        except Exception as error:  # the boundary of one record: a broken adapter must not harm the others
            logger.exception("the gateway adapter failed", message_id=message.message_id)
            answer = Answer(Outcome.UNKNOWN, Cause(Reason.ADAPTER_FAILED, type(error).__name__))
        return self._attempt_of(job, started, answer)

    def _question(self, job: Job, calls: Calls) -> Attempt:
        """Ask the gateway what became of a message. Raises NotNow if there is no time for it."""
        message, started = job.message, self._clock.now()
        if started >= calls.latest:
            raise NotNow(Obstacle.NO_TIME_LEFT)
        calls.note_sent(job)
        outgoing = Outgoing.of(message.message_id, message.phone_number, job.words)
        try:
            answer = self._lines[job.gateway].gateway.look_up(outgoing)
        except Exception as error:  # as above
            logger.exception("the gateway adapter failed", message_id=message.message_id)
            answer = Answer(Outcome.UNCLEAR, Cause(Reason.ADAPTER_FAILED, type(error).__name__))
        return self._attempt_of(job, started, answer)

    def _attempt_of(self, job: Job, started: datetime, answer: Answer) -> Attempt:
        """The attempt for a call or look-up that was just answered."""
        return Attempt(
            at=started,
            duration_ms=(self._clock.now() - started) // timedelta(milliseconds=1),
            outcome=answer.outcome,
            cause=answer.cause,
            http_status=answer.http_status,
            retry_after=answer.retry_after,
            words=answer.words,
            gateway=job.gateway,
        )

    def _wait_until(self, moment: datetime | None) -> None:
        now = self._clock.now()
        if moment and moment > now:
            if is_over(moment, now, HORIZON):
                raise NotNow(Obstacle.CLOCK_SET_BACK)
            self._clock.sleep((moment - now).total_seconds())

    def _read_ahead(self) -> timedelta:
        least, most = _READ_AHEAD
        return min(most, least + 2 * self._look_takes)

    def _look_in_turn(self, job: Job, calls: Calls) -> None:
        """Wait for the message's turn and look once more. The values for that are read shortly before the turn."""
        if job.not_before is None:
            self._look_until_fresh(job, calls)
            return
        self._wait_until(job.not_before - self._read_ahead())
        since = self._clock.now() - _READ_AHEAD[0]
        contact_since = job.not_before + TOLERANCE - MAX_AGE
        self._look_ahead(job, calls, since, contact_since)
        self._wait_until(job.not_before)
        self._look(job, calls, since, contact_since)

    def _look_ahead(self, job: Job, calls: Calls, since: datetime, contact_since: datetime | None = None) -> None:
        asked_at = self._clock.now()
        self._look(job, calls, since, contact_since)
        self._look_takes = max(self._clock.now() - asked_at, self._look_takes * 0.9)

    def _look_until_fresh(self, job: Job, calls: Calls) -> None:
        """Look, and look again if that took so long that something is too old."""
        for _ in range(_LOOKS):
            since = self._clock.now() - _BELIEVED_FOR
            self._look(job, calls, since)
            if self._clock.now() - since <= MAX_AGE:
                return
        raise NotNow(Obstacle.LOOK_TOO_SLOW)

    def _look(self, job: Job, calls: Calls, since: datetime, contact_since: datetime | None = None) -> None:
        """Raises NotNow if the call must not be made any more, because something has changed since the claim.

        Values from before `since` are read again, the client's contact if it is from before `contact_since`.
        """
        state = self._mailing_cache.get(job.mailing.mailing_id, since)
        if state is None:
            raise NotNow(Obstacle.MAILING_GONE)
        self._look_at_client(job, calls, contact_since or since)
        service = self._lines[job.gateway].control
        control, paces = service.state(since), service.paces(state.mailing, since)
        now = self._clock.now()  # after everything is read
        if in_the_way := obstacle(state.mailing, now, paid=job.cost > 0):
            raise NotNow(in_the_way)
        if deferral(state.mailing, job.message, now):
            raise NotNow(Obstacle.OUTSIDE_LOCAL_WINDOW)
        if now >= calls.latest or (job.message.lease_until and now >= job.message.lease_until):
            raise NotNow(Obstacle.NO_TIME_LEFT)
        if job.not_before and now > job.not_before + TOLERANCE:
            service.missed(now - job.not_before)
            raise NotNow(Obstacle.TURN_MISSED)
        if control.open and job.gateway not in calls.probe:
            raise NotNow(Obstacle.CIRCUIT_OPEN)
        if not job.paces.issuperset(paces):
            raise NotNow(Obstacle.RATE_CHANGED)

    def _look_at_client(self, job: Job, calls: Calls, since: datetime) -> None:
        """Raises NotNow if the client has changed so much that the message must be claimed again."""
        message, now = job.message, self._clock.now()
        if since < calls.client_known_at.get(message.key, message.updated_at) <= now:
            return
        contact = self._contacts.of([(job.mailing, message.client_id)], consistent=True).get(message.key)
        if contact is None or contact.opted_out:
            raise NotNow(Obstacle.CLIENT_UNREACHABLE)
        if (contact.phone_number, contact.timezone) != (message.phone_number, message.timezone):
            raise NotNow(Obstacle.CLIENT_CHANGED)
        calls.client_known_at[message.key] = now


@dataclass(slots=True)
class Calls:
    """The calls of one batch. Its threads may outlive the invocation: what was given up will not be sent."""

    caller: Caller
    waiting: Mapping[str, deque[Job]]  # by gateway
    latest: datetime
    probe: Collection[str]
    pending: dict[MessageKey, Job]
    _ended: SimpleQueue[Result] = field(default_factory=SimpleQueue)
    _sent: dict[MessageKey, bool] = field(default_factory=dict)
    # When clients were last read, if that was after the claim.
    client_known_at: dict[MessageKey, datetime] = field(default_factory=dict)

    def work(self, waiting: deque[Job]) -> None:
        """Make the waiting calls of a gateway one after the other. Runs in a thread."""
        while waiting:
            try:
                job = waiting.popleft()
            except IndexError:  # another thread was quicker
                return
            self._ended.put((job, self.caller.call(job, self)))

    def note_sent(self, job: Job) -> None:
        """Note that the message is being sent now. Raises NotNow if the batch was given up."""
        if not self._sent.setdefault(job.message.key, True):  # atomic, so that both cannot happen
            raise NotNow(Obstacle.NO_TIME_LEFT)

    def next(self, seconds: float) -> Result | None:
        """The next result, None if there is none within so many seconds."""
        try:
            result = self._ended.get(timeout=max(0.0, seconds))
        except Empty:
            return None
        self.pending.pop(result[0].message.key)
        return result

    def give_up(self) -> tuple[list[Result], list[Job]]:
        """End the batch.

        Returns the jobs that were not sent (and will not be), and those whose answer is still open.
        """
        for waiting in self.waiting.values():
            waiting.clear()
        unsent = [job for key, job in self.pending.items() if not self._sent.setdefault(key, False)]
        unheard = [job for key, job in self.pending.items() if self._sent[key]]
        self.pending.clear()
        return [(job, Obstacle.NO_TIME_LEFT) for job in unsent], unheard
