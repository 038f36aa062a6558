"""History: everything known about a mailing, a message or a client, in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from .audit import Act, AuditEntry, AuditObject
from .budgets import PausedFor
from .clients import Client
from .mailing_counters import MailingCounters
from .mailings import Mailing
from .messages import Attempt, Message, Outcome
from .reasons import Cause
from .statuses import MailingStatus, MessageStatus

_NONE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a message: the status that it got.

    `waited` is the time since the step before ended. `until` is the latest end of a step that is still going on. A call
    to the gateway has its `attempt`, or None while it is going on.
    """

    status: MessageStatus
    at: datetime
    waited: timedelta = _NONE
    until: datetime | None = None
    cause: Cause | None = None
    attempt: Attempt | None = None

    @property
    def ended_at(self) -> datetime:
        return self.at + timedelta(milliseconds=self.attempt.duration_ms) if self.attempt else self.at


def steps_of(message: Message) -> tuple[Step, ...]:
    """The steps of a message, the first one first.

    The row keeps every attempt, but only the last of the other states: earlier ones show as time waited. If there are
    very many attempts, some are missing (`Message.with_attempt`).
    """
    steps = [Step(MessageStatus.QUEUED, message.created_at)]
    for attempt in message.attempts:
        step = Step(MessageStatus.SENDING, attempt.at, cause=attempt.cause, attempt=attempt)
        steps.append(_following(steps[-1], step))
    if message.status is not MessageStatus.QUEUED or message.attempts:
        until = None if message.status.terminal else message.lease_until or message.due_at or message.retry_at
        at = message.sent_at or message.updated_at
        steps.append(_following(steps[-1], Step(message.status, at, until=until, cause=message.cause)))
    return tuple(steps)


def _following(last: Step, step: Step) -> Step:
    return replace(step, waited=max(_NONE, step.at - last.ended_at))


class Happening(StrEnum):
    """What happened."""

    CLIENT_CREATED = "client created"
    CLIENT_CHANGED = "client changed"
    ORDERED = "ordered"
    MAILING = "mailing"  # came into another status
    FIRST_SENT = "first message sent"
    LAST_SENT = "last message sent"
    WRITTEN = "written to the ledger"
    ATTEMPT = "attempt"
    MESSAGE = "message"  # came into another status
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    ACT = "act"  # anything else that a user did


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """An event. `until` is when a waiting message is due; `number` counts a message's attempts."""

    at: datetime
    what: Happening
    mailing_id: str | None = None
    client_id: str | None = None
    status: MailingStatus | MessageStatus | None = None
    outcome: Outcome | None = None
    number: int | None = None
    duration_ms: int | None = None
    http_status: int | None = None
    cause: Cause | None = None
    until: datetime | None = None
    by: str = ""
    paused_for: PausedFor | None = None  # if the service paused the mailing by itself
    act: Act | None = None  # what a user did, with what it changed


@dataclass(frozen=True, slots=True)
class History:
    """The events of one id, the earliest first. `complete` is False if there are more than were read."""

    kind: str
    events: tuple[HistoryEvent, ...]
    complete: bool

    @classmethod
    def of(cls, kind: str, events: Iterable[HistoryEvent], *, complete: bool = True) -> History:
        return cls(kind, tuple(sorted(events, key=lambda event: event.at)), complete)


def mailing_events(mailing: Mailing, counters: MailingCounters | None = None) -> Iterator[HistoryEvent]:
    """What happened to a mailing itself."""
    event = HistoryEvent(mailing.created_at, Happening.ORDERED, mailing.mailing_id, by=mailing.created_by)
    yield event
    for at, status in mailing.history:
        # The reason of an earlier pause is in the audit log: resuming the mailing changed it.
        why = mailing.paused_for if (at, status) == mailing.history[-1] else None
        yield replace(event, at=at, what=Happening.MAILING, status=status, by="", paused_for=why)
    if counters is not None and counters.first_sent_at and counters.last_sent_at:
        yield replace(event, at=counters.first_sent_at, what=Happening.FIRST_SENT, by="")
        yield replace(event, at=counters.last_sent_at, what=Happening.LAST_SENT, by="")


def with_acts(events: Iterable[HistoryEvent], entries: Iterable[AuditEntry]) -> Iterator[HistoryEvent]:
    """Add to the events of a mailing or client which user did them, and what else users did to it."""
    left = list(entries)
    for event in events:
        own = next((one for one in left if one.at == event.at), None)
        if own:
            left.remove(own)
        yield replace(event, by=own.by, act=own.act) if own else event
    for entry in left:
        about = entry.act.object_id
        event = HistoryEvent(entry.at, Happening.ACT, by=entry.by, act=entry.act)
        is_mailing = entry.act.object is AuditObject.MAILING
        yield replace(event, mailing_id=about) if is_mailing else replace(event, client_id=about)


def message_events(message: Message) -> Iterator[HistoryEvent]:
    """What happened to one message. The row keeps only its last change of status; the log has all of them."""
    event = HistoryEvent(message.created_at, Happening.WRITTEN, message.mailing_id, message.client_id)
    first, *steps = steps_of(message)
    yield replace(event, at=first.at)
    number = 0
    for step in steps:
        attempt = step.attempt
        if attempt is None:
            change = replace(event, what=Happening.MESSAGE, status=step.status, until=step.until)
        else:
            number += 1
            change = replace(
                event,
                what=Happening.ATTEMPT,
                outcome=attempt.outcome,
                number=number,
                duration_ms=attempt.duration_ms,
                http_status=attempt.http_status,
            )
        yield replace(change, at=step.at, cause=step.cause)
    if told := message.delivery:
        what = Happening.DELIVERED if told.delivered else Happening.UNDELIVERED
        yield replace(event, at=told.at, what=what, cause=told.cause)


def client_events(client: Client) -> Iterator[HistoryEvent]:
    """What happened to a client."""
    yield HistoryEvent(client.created_at, Happening.CLIENT_CREATED, client_id=client.client_id)
    if client.updated_at > client.created_at:
        yield HistoryEvent(client.updated_at, Happening.CLIENT_CHANGED, client_id=client.client_id)
