"""Which gateway a message goes to and when, by circuits and paces; or it waits."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ...domain.gateway_control import OPEN_AT_MOST, PROBES
from ...domain.messages import Message
from ...domain.reasons import Cause, Reason
from ...domain.sms import part_count
from ...domain.statuses import MessageStatus
from ..gateway_control import Booking, Permit
from ..gateways import Gateways
from .batch import Batch, Job

# Messages with a turn soon go back to the queue, which costs no write; not too many, and not too often.
_PUT_BACK, _PUT_BACK_WITHIN = 4, timedelta(seconds=1.5)
_GONE = (45.0, 75.0)  # seconds until a missing gateway is looked for again
_FIRST_TURN, _LONGEST_TURN = timedelta(seconds=1), timedelta(seconds=60)


class GatewayTurns:
    """Gives jobs a gateway and a turn."""

    def __init__(self, gateways: Gateways, rng: random.Random) -> None:
        self._gateways = gateways
        self._rng = rng

    def take(self, jobs: list[Job], batch: Batch, now: datetime) -> tuple[list[Job], list[tuple[Job, Message]]]:
        """The jobs that circuits and paces let through, and the rows of the others, which must wait.

        If a gateway's circuit is open, its jobs go to the next of their choices with a closed circuit.
        """
        ready: list[Job] = []
        waiting: list[tuple[Job, Message]] = []
        elsewhere: defaultdict[str, list[Job]] = defaultdict(list)
        groups = self._by_gateway(jobs, waiting, now)
        for name, own in groups.items():
            asking, through, turned_away = self._let_through(name, own, batch)
            for job in turned_away:
                other = self._another(job)
                if other is not None:
                    job.gateway = other
                    elsewhere[other].append(job)
                else:
                    waiting.append((job, _parked(job, now, Reason.CIRCUIT_OPEN, self._open_until(job, now))))
            ready += asking
            self._give_turns(name, through, batch, now, ready, waiting, crowded=len(groups) > 1)
        for name, moved in elsewhere.items():
            self._give_turns(name, moved, batch, now, ready, waiting, crowded=len(groups) > 1)
        return ready, waiting

    def _by_gateway(
        self, jobs: list[Job], waiting: list[tuple[Job, Message]], now: datetime
    ) -> Mapping[str, Sequence[Job]]:
        """Jobs by the first of their choices.

        A job without any waits, because its gateway is not configured any more.
        """
        groups: defaultdict[str, list[Job]] = defaultdict(list)
        for job in jobs:
            old = job.message
            attempts = old.with_lost_attempt(now) if old.status is MessageStatus.SENDING else old.attempts
            choices = self._gateways.choices(old, job.mailing, attempts)
            if not choices:
                again_at = now + timedelta(seconds=self._rng.uniform(*_GONE))
                waiting.append((job, _parked(job, now, Reason.GATEWAY_GONE, again_at)))
                continue
            job.choices, job.gateway = choices, choices[0]
            groups[choices[0]].append(job)
        return groups

    def _let_through(
        self, name: str, jobs: Sequence[Job], batch: Batch
    ) -> tuple[Sequence[Job], Sequence[Job], Sequence[Job]]:
        """Divide a gateway's jobs by its circuit: look-ups, messages to send, and jobs that must wait."""
        control = self._gateways[name].control
        if not control.state().open:
            # A look-up is not a message that must keep a pace, and not a probe.
            return [job for job in jobs if job.message.ask], [job for job in jobs if not job.message.ask], ()
        permit = control.permit()
        if permit is Permit.WAIT:
            return (), (), jobs
        if permit is Permit.SEND:
            return (), jobs, ()
        batch.probed.add(name)
        return (), jobs[:PROBES], jobs[PROBES:]

    def _another(self, job: Job) -> str | None:
        """Another gateway with a closed circuit that may get a message."""
        return next((one for one in job.choices if one != job.gateway and not self._is_open(one)), None)

    def _is_open(self, name: str) -> bool:
        return self._gateways[name].control.state().open

    def _open_until(self, job: Job, now: datetime) -> datetime:
        """When a message that waits for a circuit is looked at again.

        With a single gateway the feeder feeds nothing until then; with several it would feed the same messages over and
        over.
        """
        control = self._gateways[job.gateway].control
        soon = control.retry_at()
        if not self._gateways.several:
            return soon
        opens_at = control.state().retry_at or now + OPEN_AT_MOST
        return max(soon, min(opens_at, now + OPEN_AT_MOST) + (soon - now) * self._rng.random())

    def _give_turns(
        self,
        name: str,
        through: Sequence[Job],
        batch: Batch,
        now: datetime,
        ready: list[Job],
        waiting: list[tuple[Job, Message]],
        *,
        crowded: bool,
    ) -> None:
        """Add jobs to those that are ready, with turns in the paces of their gateway, or to those that wait."""
        control = self._gateways[name].control
        others = any(job.mailing.rate_limit is None for job in through)
        for mailing_id in dict.fromkeys(job.mailing.mailing_id for job in through):
            own = [job for job in through if job.mailing.mailing_id == mailing_id]
            heaviest = (
                max(own, key=lambda job: part_count(job.words)).words
                if own[0].mailing.personal and control.counts_parts
                else ""
            )
            booking = control.book(
                own[0].mailing, len(own), text=heaviest, beside_others=others, beside_gateways=crowded
            )
            if booking is None:
                ready += own
                continue
            for job, at in zip(own, booking.moments, strict=False):
                job.not_before, job.paces = at, booking.paces
                ready.append(job)
            left = self._put_back(own[len(booking.moments) :], booking, batch, now)
            waiting += [(job, _parked(job, now, Reason.RATE_LIMIT, self._turn_at(job, booking.after))) for job in left]

    def _turn_at(self, job: Job, after: datetime) -> datetime:
        """When a message without a turn is looked at again.

        With several gateways later each time, because a feeder does not know how many of its messages are for which.
        """
        if not self._gateways.several:
            return after
        old, waited = job.message, _FIRST_TURN
        if old.because(Reason.RATE_LIMIT) and old.due_at:
            waited = max(waited, min(_LONGEST_TURN, old.due_at - old.updated_at))
        return after + waited * self._rng.uniform(0.5, 2.0)

    def _put_back(self, jobs: list[Job], booking: Booking, batch: Batch, now: datetime) -> list[Job]:
        """Let the queue show the few jobs again that get a turn soon. Returns the others."""
        if booking.again is None:
            return jobs
        first, gap = booking.again
        left: list[Job] = []
        for place, job in enumerate(jobs):
            if place * gap > _PUT_BACK_WITHIN or job.received.receive_count > _PUT_BACK:
                left.append(job)
            else:
                batch.keep(job.received, job.message.key, (first + place * gap - now).total_seconds())
        return left


def _parked(job: Job, now: datetime, reason: Reason, due_at: datetime) -> Message:
    old = job.message
    attempts = old.with_lost_attempt(now) if old.status is MessageStatus.SENDING else old.attempts
    return old.revised(
        now,
        status=MessageStatus.WAITING,
        attempts=attempts,
        cause=Cause(reason),
        due_at=due_at,
        lease_until=None,
        retry_at=None,
    )
