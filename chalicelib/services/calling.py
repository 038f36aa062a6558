"""Calls of the gateway for one batch: each in its turn, after a last look, and none once the batch was given up."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

from ..clock import SystemClock
from ..config import Settings
from ..domain.deadlines import is_over
from ..domain.errors import Unavailable
from ..domain.messages import Attempt, Message, MessageKey, Outcome, gateway_id_for
from ..gateways.base import Answer, Gateway, NotNow
from ..observability import logger
from ..storage.clients import ClientRepository
from .batch import Job, Result
from .claiming import deferral, obstacle
from .gateway_control import HORIZON, TOLERANCE, GatewayControlService
from .states import MailingStates

# Before its turn a call connects, so that the turn itself is for sending alone.
_CONNECT_AHEAD = timedelta(seconds=0.3)
# Of a message that has a turn it is read anew whether the turn still holds, so that a lowered rate does at once. That
# is done before the turn, by twice the time that it took lately: a slow table makes nobody miss their turn.
_READ_AHEAD = timedelta(milliseconds=10), timedelta(milliseconds=500)  # at least, at most
# What was read of a client when their message was claimed is believed for so long: then it is read again, so that an
# opt-out counts within a second, however long a message waits for its turn or for a slow gateway.
CONTACT_MAX_AGE = timedelta(seconds=0.8)


class Caller:
    """Makes the calls of batches. One object may be used by several invocations at once."""

    def __init__(
        self,
        settings: Settings,
        clients: ClientRepository,
        states: MailingStates,
        control: GatewayControlService,
        gateway: Gateway,
        clock: SystemClock,
        executor: Executor | None = None,
    ) -> None:
        self._clients = clients
        self._states = states
        self._control = control
        self._gateway = gateway
        self._clock = clock
        self._at_once = settings.gateway_concurrency
        self._look_takes = timedelta(0)  # lately
        self._executor = executor or ThreadPoolExecutor(settings.gateway_concurrency, thread_name_prefix="gateway")

    def start(self, jobs: Sequence[Job], latest: datetime, *, probe: bool) -> Calls:
        """Begin to call for jobs; none is sent after `latest`. A probe may be sent though the circuit is open."""
        calls = Calls(self, deque(jobs), latest, probe, {job.message.key: job for job in jobs})
        for _ in range(min(len(jobs), self._at_once)):
            # In a context of its own, so that what it logs has the request's id.
            self._executor.submit(copy_context().run, calls.work)
        return calls

    def call(self, job: Job, calls: Calls) -> Attempt | str:
        """One attempt, or why there is none; nothing may get out of it."""
        try:
            self._wait_until(job.not_before and job.not_before - _CONNECT_AHEAD - self._read_ahead())
            self._look(job, calls)
            return self._attempt(job, calls)
        except (NotNow, Unavailable) as error:
            return str(error)
        except Exception as error:  # the boundary of one record, which nobody would hear from again
            logger.exception("no call was made", message_id=job.message.message_id)
            return type(error).__name__

    def _attempt(self, job: Job, calls: Calls) -> Attempt:
        """The call itself; NotNow if it must not be made."""
        message = job.message
        started = self._clock.now()

        def last_look() -> None:
            nonlocal started
            self._look_in_turn(job, calls)
            calls.note_sent(job)
            started = self._clock.now()

        try:
            answer = self._gateway.send(
                gateway_id_for(message.message_id), message.phone_number, job.mailing.text, last_look
            )
        except (NotNow, Unavailable):
            raise
        except Exception as error:  # the boundary of one record: a broken adapter must not hurt the neighbours
            logger.exception("the gateway's adapter failed", message_id=message.message_id)
            answer = Answer(Outcome.UNKNOWN, f"the gateway's adapter failed: {type(error).__name__}")
        duration = (self._clock.now() - started) // timedelta(milliseconds=1)
        return Attempt(
            started, duration, answer.outcome, answer.reason, answer.http_status, answer.retry_after, answer.words
        )

    def _wait_until(self, moment: datetime | None) -> None:
        now = self._clock.now()
        if moment and moment > now:
            if is_over(moment, now, HORIZON):
                raise NotNow("the clock was set back")
            self._clock.sleep((moment - now).total_seconds())

    def _read_ahead(self) -> timedelta:
        least, most = _READ_AHEAD
        return min(most, least + 2 * self._look_takes)

    def _look_in_turn(self, job: Job, calls: Calls) -> None:
        """Wait for the message's turn, and look once more; what has to be read for that is read before the turn."""
        if job.not_before is None:
            self._look(job, calls)
            return
        self._wait_until(job.not_before - self._read_ahead())
        asked_at = self._clock.now()
        since = asked_at - _READ_AHEAD[0]
        self._look(job, calls, since)
        self._look_takes = max(self._clock.now() - asked_at, self._look_takes * 0.9)
        self._wait_until(job.not_before)
        self._look(job, calls, since)

    def _look(self, job: Job, calls: Calls, since: datetime | None = None) -> None:
        """Raise NotNow if the call must not be made after all: much can have happened since the claim.

        What this hangs on is at most a second old, or as it was at `since` or later.
        """
        state = self._states.get_fresh(job.mailing.mailing_id, since)
        now = self._clock.now()
        if state is None:
            raise NotNow("the mailing is gone")
        if reason := obstacle(state.mailing, now):
            raise NotNow(reason)
        if deferral(state.mailing, self._present(job, now), now):
            raise NotNow("outside the local window")
        if now >= calls.latest or (job.message.lease_until and now >= job.message.lease_until):
            raise NotNow("no time left in this invocation")
        if job.not_before and now > job.not_before + TOLERANCE:
            self._control.missed(now - job.not_before)
            raise NotNow("too late for its turn")
        if not calls.probe and self._control.state(since).open:
            raise NotNow("the circuit is open")
        if not job.paces.issuperset(self._control.paces(state.mailing, since)):
            raise NotNow("the rate has changed")

    def _present(self, job: Job, now: datetime) -> Message:
        """The message, if what it says of the client still holds; NotNow if it is to be claimed again."""
        message = job.message
        if now - message.updated_at < CONTACT_MAX_AGE:
            return message
        contact = self._clients.contacts([message.client_id], consistent=True).get(message.client_id)
        if contact is None or contact.opted_out:
            raise NotNow("the client is not to be called any more")
        if (contact.phone_number, contact.timezone) != (message.phone_number, message.timezone):
            raise NotNow("the client has another number or time zone now")
        return message


@dataclass(slots=True)
class Calls:
    """The calls of one batch. Its threads may outlive the invocation: what was given up is not sent any more."""

    caller: Caller
    waiting: deque[Job]
    latest: datetime
    probe: bool
    pending: dict[MessageKey, Job]
    _ended: SimpleQueue[Result] = field(default_factory=SimpleQueue)
    _sent: dict[MessageKey, bool] = field(default_factory=dict)

    def work(self) -> None:
        """Make one call after the other, as long as there are any. Runs in a thread of its own."""
        while self.waiting:
            try:
                job = self.waiting.popleft()
            except IndexError:  # another thread was quicker
                return
            self._ended.put((job, self.caller.call(job, self)))

    def note_sent(self, job: Job) -> None:
        """The next thing is to send; NotNow if the batch was given up meanwhile."""
        if not self._sent.setdefault(job.message.key, True):  # one step, so that both cannot happen
            raise NotNow("no time left in this invocation")

    def next(self, seconds: float) -> Result | None:
        """The next result, None if there is none after so many seconds."""
        try:
            result = self._ended.get(timeout=max(0.0, seconds))
        except Empty:
            return None
        self.pending.pop(result[0].message.key)
        return result

    def give_up(self) -> tuple[list[Result], list[Job]]:
        """End the batch: what was not sent will not be, and of the rest, the second, nobody will hear the answer."""
        self.waiting.clear()
        unsent = [job for key, job in self.pending.items() if not self._sent.setdefault(key, False)]
        unheard = [job for key, job in self.pending.items() if self._sent[key]]
        self.pending.clear()
        return [(job, "no time left in this invocation") for job in unsent], unheard
