"""A message: one mailing to one client, with its attempts, and what follows from an attempt's outcome."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from .clients import is_client_id
from .errors import NotFound
from .faults import Fault
from .mailings import OnUnknown, is_mailing_id
from .reasons import Cause, Reason
from .statuses import MessageStatus

MessageKey = tuple[str, str]  # mailing and client
# Messages that one hint on the send queue is for, at most: those of a bucket of the ledger are mostly fewer. A sender
# takes ten hints, which one call receives and one deletes.
HINT_SIZE = 16

PARK_AFTER = 90.0  # seconds; what waits longer than this for its next attempt leaves the queue
PARKED_AT_MOST = timedelta(minutes=15)  # but for who waits for their own hours
MAX_ATTEMPTS_KEPT = 30


class Outcome(StrEnum):
    """The outcome of one call to the gateway.

    accepted: the gateway accepted the message. refused: it never will. failed: it did not accept it now, but may
    later. unknown: it may have accepted it (a read timeout, a broken connection, an unclear answer, a crash).
    throttled: it accepts no more messages at the moment. blocked: it accepts nothing from this account or at this
    address. The last two say nothing about the message and use up no attempts.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    THROTTLED = "throttled"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of the gateway, and the cause of its outcome, None if it was accepted.

    `retry_after` and `words` are what the gateway asked for and said; the ledger does not keep them.
    """

    at: datetime
    duration_ms: int
    outcome: Outcome
    cause: Cause | None = None
    http_status: int | None = None
    retry_after: float | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One row of the ledger. `revision` grows with every change and guards every write."""

    mailing_id: str
    client_id: str
    phone_number: str
    timezone: str
    status: MessageStatus
    revision: int
    created_at: datetime
    updated_at: datetime
    attempts: tuple[Attempt, ...] = ()
    hinted: bool = False
    claim: str = ""
    lease_until: datetime | None = None
    retry_at: datetime | None = None
    due_at: datetime | None = None
    sent_at: datetime | None = None
    cause: Cause | None = None
    # How many attempts do not count against the limit: those before the message was put back, failed probes of a
    # gateway in trouble, and those whose answer said nothing of the message.
    forgiven: int = 0

    def with_lost_attempt(self, now: datetime) -> tuple[Attempt, ...]:
        """The attempts with that of a sender that claimed the message and never said what came of it."""
        duration = max(timedelta(0), now - self.updated_at) // timedelta(milliseconds=1)
        lost = Attempt(self.updated_at, duration, Outcome.UNKNOWN, Cause(Reason.SENDER_STOPPED))
        return (*self.attempts, lost)

    def with_attempt(self, attempt: Attempt, *, free: bool) -> Message:
        """The message with one more attempt; a free one does not count against the limit.

        Of very many, as in an outage of hours, the first and the last are kept, and one that may have been accepted.
        """
        attempts = [*self.attempts, attempt]
        forgiven = self.forgiven + free
        if len(attempts) > MAX_ATTEMPTS_KEPT and forgiven:
            between = range(1, len(attempts) - 1)
            del attempts[next((place for place in between if attempts[place].outcome is not Outcome.UNKNOWN), 1)]
            forgiven -= 1
        return replace(self, attempts=tuple(attempts), forgiven=forgiven)

    @property
    def may_be_twice(self) -> bool:
        """Whether the gateway may have accepted two or more of its attempts."""
        taken = sum(attempt.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN) for attempt in self.attempts)
        return taken > 1

    def because(self, reason: Reason) -> bool:
        """Whether it has its status for this reason."""
        return self.cause is not None and self.cause.reason is reason

    @property
    def key(self) -> MessageKey:
        return self.mailing_id, self.client_id

    @property
    def message_id(self) -> str:
        return message_id_for(self.mailing_id, self.client_id)

    def revised(self, now: datetime, **changes: Any) -> Message:
        """The message with changes, in its next revision."""
        return replace(self, revision=self.revision + 1, updated_at=now, **changes)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a message is tried again. `base` and `cap` are seconds."""

    max_attempts: int
    base: float
    cap: float

    def delay(self, attempts_made: int, rng: random.Random) -> float:
        """Seconds until the next attempt: exponential, with a jitter of half ("equal jitter", AWS Architecture Blog).

        At least half the step is waited, so that the attempts of a message span a known time in an outage.
        """
        step = min(self.cap, self.base * 2.0 ** max(0, attempts_made - 1))
        return step * rng.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to a message after an attempt. `delay` is the seconds until the next one, if any."""

    status: MessageStatus
    cause: Cause | None = None
    delay: float | None = None


def judge(
    attempts: tuple[Attempt, ...], forgiven: int, policy: RetryPolicy, on_unknown: OnUnknown, rng: random.Random
) -> Verdict:
    """What follows from the last of the attempts, seen with those before it.

    `forgiven` of them do not count against the limit. A message is `unknown` rather than `failed` in the end
    when any of its attempts may have been accepted.
    """
    last = attempts[-1]
    maybe_sent = any(attempt.outcome is Outcome.UNKNOWN for attempt in attempts)
    final = MessageStatus.UNKNOWN if maybe_sent else MessageStatus.FAILED
    if last.outcome is Outcome.ACCEPTED:
        return Verdict(MessageStatus.SENT)
    if last.outcome is Outcome.REFUSED:
        return Verdict(final, last.cause)
    if last.outcome is Outcome.UNKNOWN and on_unknown is OnUnknown.HOLD:
        return Verdict(MessageStatus.UNKNOWN, last.cause)
    if len(attempts) - forgiven >= policy.max_attempts:
        return Verdict(final, Cause.used_up(len(attempts), last.cause))
    return Verdict(MessageStatus.QUEUED, last.cause, delay=policy.delay(len(attempts) - forgiven, rng))


def message_id_for(mailing_id: str, client_id: str) -> str:
    """The id of a mailing's message to a client."""
    return f"{mailing_id}-{client_id}"


def parse_message_id(message_id: str) -> tuple[str, str]:
    """The mailing and the client of a message id. Raises NotFound if the text is not a message id."""
    mailing_id, _, client_id = message_id.partition("-")
    if not is_mailing_id(mailing_id) or not is_client_id(client_id):
        raise NotFound(Fault.NO_SUCH_MESSAGE, name=repr(message_id[:80]))
    return mailing_id, client_id


def gateway_id_for(message_id: str) -> int:
    """The positive 63-bit integer by which the gateway knows the message, the same on every attempt."""
    digest = hashlib.blake2b(message_id.encode(), digest_size=8, person=b"ms-gateway").digest()
    return (int.from_bytes(digest, "big") >> 1) or 1
