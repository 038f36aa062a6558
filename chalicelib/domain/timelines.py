"""The timeline of a message: what its row of the ledger says of what happened when, and how long it took."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from .messages import Attempt, Message
from .reasons import Cause
from .statuses import MessageStatus

_NONE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the status that the message took on.

    `waited` has passed since the step before had ended. `until` is how long a step that goes on lasts at most. A call
    of the gateway has its `attempt`; one that goes on this moment has none yet.
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


def timeline_of(message: Message) -> tuple[Step, ...]:
    """The steps of a message, the first one first.

    The row keeps every attempt, and of the states between them the last one only: earlier ones are seen as time that
    was waited. Of very many attempts some are missing, as `Message.with_attempt` says.
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
