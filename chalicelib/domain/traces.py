"""A trace: everything that is known of a mailing, a message or a client, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from .clients import Client
from .mailings import Mailing
from .messages import Message, Outcome
from .reasons import Cause
from .statuses import MailingStatus, MessageStatus
from .tallies import Tally
from .timelines import timeline_of


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


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One thing that happened. `until` is when a waiting message is due; `number` counts a message's attempts."""

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


@dataclass(frozen=True, slots=True)
class Trace:
    """The events about one id, the earliest first; `complete` is False where there were too many to read."""

    kind: str
    events: tuple[TraceEvent, ...]
    complete: bool

    @classmethod
    def of(cls, kind: str, events: Iterable[TraceEvent], *, complete: bool = True) -> Trace:
        return cls(kind, tuple(sorted(events, key=lambda event: event.at)), complete)


def mailing_events(mailing: Mailing, tally: Tally | None = None) -> Iterator[TraceEvent]:
    """What happened to a mailing itself."""
    event = TraceEvent(mailing.created_at, Happening.ORDERED, mailing.mailing_id, by=mailing.created_by)
    yield event
    for at, status in mailing.history:
        yield replace(event, at=at, what=Happening.MAILING, status=status, by="")
    if tally is not None and tally.first_sent_at and tally.last_sent_at:
        yield replace(event, at=tally.first_sent_at, what=Happening.FIRST_SENT, by="")
        yield replace(event, at=tally.last_sent_at, what=Happening.LAST_SENT, by="")


def message_events(message: Message) -> Iterator[TraceEvent]:
    """What happened to one message. Of its changes of status the row keeps the last; the log has them all."""
    event = TraceEvent(message.created_at, Happening.WRITTEN, message.mailing_id, message.client_id)
    first, *steps = timeline_of(message)
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


def client_events(client: Client) -> Iterator[TraceEvent]:
    """What happened to a client."""
    yield TraceEvent(client.created_at, Happening.CLIENT_CREATED, client_id=client.client_id)
    if client.updated_at > client.created_at:
        yield TraceEvent(client.updated_at, Happening.CLIENT_CHANGED, client_id=client.client_id)
