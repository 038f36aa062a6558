"""Claiming: decides which messages of a batch are sent now, and takes them for this sender alone."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ...clock import SystemClock
from ...config import Settings
from ...domain.clients import Contact
from ...domain.deadlines import is_over
from ...domain.errors import Malformed
from ...domain.mailings import Mailing
from ...domain.messages import PARK_AFTER, PARKED_AT_MOST, Attempt, Message, MessageKey, RetryPolicy, judge, taken
from ...domain.personal_texts import PersonalText, text_for
from ...domain.reasons import Cause, Reason
from ...domain.sending_rules import deferral, obstacle
from ...domain.statuses import MessageStatus
from ...observability import logger
from ...queues import Hint
from ...storage.ledger import Ledger, Written
from ..contacts import Contacts
from ..gateways import Gateways
from .batch import Batch, Job, Received
from .budgets import Budgets
from .gateway_turns import GatewayTurns
from .mailing_cache import MailingCache
from .table_pace import TablePace

_SOON, _LATER = (1.0, 3.0), (5.0, 15.0)  # seconds until a message that could not be claimed is seen again


class Claims:
    """Turns hints into jobs."""

    def __init__(
        self,
        settings: Settings,
        policy: RetryPolicy,
        contacts: Contacts,
        ledger: Ledger,
        mailing_cache: MailingCache,
        gateways: Gateways,
        pace: TablePace,
        budgets: Budgets,
        clock: SystemClock,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._budgets = budgets
        self._policy = policy
        self._contacts = contacts
        self._ledger = ledger
        self._mailing_cache = mailing_cache
        self._turns = GatewayTurns(gateways, rng)
        self._pace = pace
        self._clock = clock
        self._rng = rng

    def open(self, received: Sequence[Received], batch: Batch) -> dict[MessageKey, Received]:
        """The messages of a batch, each once. Items that are not hints become dead letters."""
        wanted: dict[MessageKey, Received] = {}
        for item in received:
            try:
                hint = Hint.parse(item.body)
            except Malformed as error:
                logger.error("unreadable message on the send queue", item=item.item, error=str(error))
                batch.dead.append((item, None, None))
                continue
            for client_id in hint.client_ids:
                wanted.setdefault((hint.mailing_id, client_id), item)
        return wanted

    def take(self, wanted: Mapping[MessageKey, Received], batch: Batch) -> list[Job]:
        """Claim messages for this sender. Returns the jobs. Raises Unavailable if a table does not answer."""
        jobs = self._as_many_as_the_tables_bear(self._choose(wanted, batch), batch)
        changes: list[tuple[Job, Message]] = []
        ready: list[Job] = []
        now = self._clock.now()  # before the clients are read, because a claim says since when its values are valid
        personal = any(job.mailing.personal for job in jobs)
        contacts = self._contacts.of(((job.mailing, job.message.client_id) for job in jobs), personal=personal)
        for job in jobs:
            contact = contacts.get(job.message.key)
            text = text_for(job.mailing, contact) if contact and job.mailing.personal else None
            new = self._without_call(job, contact, text, now)
            if new is not None:
                changes.append((job, new))
                continue
            if text:
                job.text, job.kept, job.parts = text.text, text.kept, text.parts
            ready.append(job)
        ready, waiting = self._turns.take(ready, batch, now)
        ready = self._budgets.set_aside(ready, contacts, batch)
        changes += [(job, self._claimed(job, now)) for job in ready]
        changes += waiting
        return self._write([(job, _at_present(new, contacts)) for job, new in changes], batch)

    def _as_many_as_the_tables_bear(self, jobs: list[Job], batch: Batch) -> list[Job]:
        for job in jobs[self._pace.at_once :]:
            batch.keep(job.received, job.message.key, self._rng.uniform(*_LATER))
        return jobs[: self._pace.at_once]

    def _choose(self, wanted: Mapping[MessageKey, Received], batch: Batch) -> list[Job]:
        """The messages that are due. The others are seen again later, or dropped, because the ledger has them."""
        now = self._clock.now()
        mailings: dict[str, Mailing] = {}
        states = self._mailing_cache.get_all(mailing_id for mailing_id, _ in wanted)
        for mailing_id, known in states.items():
            if known is None or obstacle(known.mailing, now):
                # Before a hint is dropped, the mailing is read again: it may have been resumed within the last second.
                known = self._mailing_cache.refresh(mailing_id)
            if known and not obstacle(known.mailing, now):
                mailings[mailing_id] = known.mailing
        going = [key for key in wanted if key[0] in mailings]
        rows = self._ledger.read(going)
        jobs: list[Job] = []
        for key in going:
            mailing_id, client_id = key
            message = rows.get(key)
            if message is None:
                logger.warning(
                    "dropped a queue message without a row in the ledger", mailing_id=mailing_id, client_id=client_id
                )
            elif self._is_due(message, wanted[key], now, batch):
                jobs.append(Job(wanted[key], message, mailings[mailing_id]))
        return jobs

    def _is_due(self, message: Message, item: Received, now: datetime, batch: Batch) -> bool:
        if message.status.terminal:
            if item.receive_count > 1:  # an earlier sender did not finish with it
                batch.doubt(message.mailing_id)
            if message.because(Reason.ATTEMPTS_USED_UP) and item.receive_count > 1:
                batch.dead.append((item, message.key, message.cause))  # recorded, and stopped before it was buried
            return False
        claimed = message.status is MessageStatus.SENDING
        wait_until = message.lease_until if claimed else message.retry_at
        longest = timedelta(seconds=self._settings.claim_lease if claimed else PARK_AFTER)
        if wait_until and not is_over(wait_until, now, longest):
            batch.keep(item, message.key, (wait_until - now).total_seconds() + self._rng.uniform(0, 1))
            return False
        if message.because(Reason.OUTSIDE_LOCAL_WINDOW):  # this may take long
            return message.due_at is None or message.due_at <= now
        return is_over(message.due_at, now, PARKED_AT_MOST)  # the ledger gives it back when it is due

    def _without_call(
        self, job: Job, contact: Contact | None, text: PersonalText | None, now: datetime
    ) -> Message | None:
        """The new row of a message that must not be sent now, None if it may be.

        `contact` is the client's current one, `text` their own text, if clients get different ones.
        """
        old = job.message
        settled: dict[str, Any] = {"lease_until": None, "retry_at": None, "due_at": None, "attempts": old.attempts}
        if old.status is MessageStatus.SENDING:
            settled["attempts"] = attempts = old.with_lost_attempt(now)
            verdict = judge(attempts, old.forgiven, self._policy, job.mailing.on_unknown, self._rng)
            if verdict.status.terminal:
                ended = {"status": verdict.status, "cause": verdict.cause, "ask": False}
                return old.revised(now, **settled | ended)
            if verdict.ask:
                due_at = now + timedelta(seconds=verdict.delay or 0.0)
                waits = {"status": MessageStatus.WAITING, "cause": verdict.cause, "due_at": due_at, "ask": True}
                return old.revised(now, **settled | waits)
        if old.ask:  # a look-up reaches nobody, so it may be made at any hour
            return None
        if reason := _left_out(contact, job.mailing):
            return old.revised(now, **settled | _final(settled["attempts"], Cause(reason)))
        if text and text.cause and text.status:
            return old.revised(now, **settled | _final(settled["attempts"], text.cause, text.status))
        present = _present(old, contact)
        if changes := deferral(job.mailing, present, now):
            if changes["status"] is not MessageStatus.WAITING:
                changes = _final(settled["attempts"], changes["cause"], changes["status"])
            return present.revised(now, **settled | changes)
        return None

    def _claimed(self, job: Job, now: datetime) -> Message:
        old = job.message
        return old.revised(
            now,
            status=MessageStatus.SENDING,
            attempts=old.with_lost_attempt(now) if old.status is MessageStatus.SENDING else old.attempts,
            claim=_new_claim(self._rng),
            gateway=job.gateway,
            parts=job.parts or old.parts,
            lease_until=now + timedelta(seconds=self._settings.claim_lease),
            retry_at=None,
            due_at=None,
        )

    def _write(self, changes: list[tuple[Job, Message]], batch: Batch) -> list[Job]:
        """Write all rows. A lost attempt is recorded together with the claim that follows it."""
        applied = self._ledger.update([(job.message, new) for job, new in changes])
        batch.count_units(applied.units)
        claimed: list[Job] = []
        lost: list[Job] = []
        for (job, new), ours in zip(changes, applied.written, strict=True):
            if not ours:
                if ours is Written.UNSURE and new.status is MessageStatus.SENDING:
                    batch.unsure.append(new)
                batch.turned_away += ours is not Written.REFUSED
                # If the write was refused, another sender has the message, and may yet stop.
                span = _SOON if ours is Written.REFUSED else _LATER
                batch.keep(job.received, new.key, self._rng.uniform(*span))
                lost.append(job)
                continue
            batch.note_written(job, new)
            if job.message.status is MessageStatus.SENDING:
                batch.doubt(new.mailing_id)
            if new.status is MessageStatus.SENDING:
                job.message = new
                claimed.append(job)
        self._budgets.give_back(lost)
        return claimed


def _new_claim(rng: random.Random) -> str:
    """An id for the owner of a claim.

    Short, because it is stored in the ledger, but different for all senders that want one message.
    """
    return f"{rng.getrandbits(40):x}"


def _left_out(contact: Contact | None, mailing: Mailing) -> Reason | None:
    """Why a client gets no message any more, None if they do: they may have changed since dispatch."""
    if contact is None:
        return Reason.CLIENT_REMOVED
    if contact.opted_out:
        return Reason.OPTED_OUT
    return Reason.MARKED_UNREACHABLE if contact.unreachable and not mailing.include_unreachable else None


def _present(message: Message, contact: Contact | None) -> Message:
    """The message with the client's current number and time zone, which may have been corrected."""
    if contact is None or (message.phone_number, message.timezone) == (contact.phone_number, contact.timezone):
        return message
    return replace(message, phone_number=contact.phone_number, timezone=contact.timezone)


def _at_present(message: Message, contacts: Mapping[MessageKey, Contact]) -> Message:
    """The row as `_present` makes it; an ended message keeps the number and zone that it was sent with."""
    return message if message.status.terminal else _present(message, contacts.get(message.key))


def _final(
    attempts: tuple[Attempt, ...], cause: Cause, status: MessageStatus = MessageStatus.SKIPPED
) -> dict[str, Any]:
    """The row with a final status, without another attempt. If the message may have been sent before, it is unknown."""
    return {"status": MessageStatus.UNKNOWN if taken(attempts) else status, "cause": cause}
