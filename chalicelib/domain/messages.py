"""A message: one mailing to one client, with its attempts and what follows from their outcomes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Any

from .client_ids import is_client_id
from .deliveries import Delivery
from .errors import NotFound
from .faults import Fault
from .mailing_ids import is_mailing_id
from .mailings import OnUnknown
from .reasons import Cause, Reason
from .statuses import MessageStatus

MessageKey = tuple[str, str]  # mailing and client
# Most messages of a hint on the send queue; the buckets of the ledger mostly have fewer. A sender takes ten hints,
# because one call receives and one deletes that many.
HINT_SIZE = 16

PARK_AFTER = 90.0  # seconds; what waits longer than this for its next attempt leaves the queue
PARKED_AT_MOST = timedelta(minutes=30)  # except for messages that wait for local hours
# Seconds from a call whose outcome is unknown to the first look-up, and from each look-up to the next: the gateway is
# asked after 1, 5 and 30 minutes.
ASK_AFTER = (60.0, 240.0, 1500.0)
# How many look-ups in a row must find nothing: the first may come before the gateway has recorded the message.
MISSING_TWICE = 2
MAX_ATTEMPTS_KEPT = 30


class Outcome(StrEnum):
    """The outcome of one call to the gateway.

    accepted: the gateway accepted the message. refused: it never will. failed: it did not accept it now, but may
    later. unknown: it may have accepted it (a read timeout, a broken connection, an unclear answer, a crash).
    throttled: it accepts no more messages at the moment. blocked: it accepts nothing from this account or at this
    address. The last two say nothing about the message and use up no attempts.

    The rest are results of a look-up, which asks the gateway what happened to a message. found: it has the message.
    missing: it does not. unclear: it did not say.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    THROTTLED = "throttled"
    BLOCKED = "blocked"
    FOUND = "found"
    MISSING = "missing"
    UNCLEAR = "unclear"


LOOK_UPS = frozenset({Outcome.FOUND, Outcome.MISSING, Outcome.UNCLEAR})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of the gateway, to send a message or to ask what became of it.

    `cause` is the reason of its outcome, None if it was accepted or found.

    `retry_after` and `words` are what the gateway asked for and said; the ledger does not keep them.
    """

    at: datetime
    duration_ms: int
    outcome: Outcome
    cause: Cause | None = None
    http_status: int | None = None
    retry_after: float | None = None
    words: str = ""
    gateway: str = ""  # which was called, if there are several

    @property
    def is_look_up(self) -> bool:
        """Whether this call only asked the gateway what became of an earlier one."""
        return self.outcome in LOOK_UPS


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
    # gateway in trouble, and those whose answer said nothing about the message.
    forgiven: int = 0
    # Whether the next call asks the gateway about the message instead of sending it.
    ask: bool = False
    # The gateway it is claimed for, if there are several.
    gateway: str = ""
    # What became of it, according to a receipt. Only messages that were sent have it.
    delivery: Delivery | None = None
    # The values of its text, as far as they are kept (domain/sent_texts.py).
    values: tuple[str, ...] | None = None
    # SMS parts of its text, if clients get different ones; 0 if it was not claimed yet.
    parts: int = 0

    def with_lost_attempt(self, now: datetime) -> tuple[Attempt, ...]:
        """The attempts, with one more for a sender that claimed the message and never recorded an outcome."""
        duration = max(timedelta(0), now - self.updated_at) // timedelta(milliseconds=1)
        outcome = Outcome.UNCLEAR if self.ask else Outcome.UNKNOWN
        lost = Attempt(self.updated_at, duration, outcome, Cause(Reason.SENDER_STOPPED), gateway=self.gateway)
        return (*self.attempts, lost)

    def with_attempt(self, attempt: Attempt, *, free: bool) -> Message:
        """The message with one more attempt; a free one does not count against the limit.

        If there are very many, as in an outage of hours, only the first, the last, and one that may have been accepted
        are kept.
        """
        attempts = [*self.attempts, attempt]
        forgiven = self.forgiven + free
        if len(attempts) > MAX_ATTEMPTS_KEPT and forgiven:
            between = range(1, len(attempts) - 1)
            kept = (Outcome.UNKNOWN, *LOOK_UPS)
            del attempts[next((place for place in between if attempts[place].outcome not in kept), 1)]
            forgiven -= 1
        return replace(self, attempts=tuple(attempts), forgiven=forgiven)

    @property
    def may_be_twice(self) -> bool:
        """Whether the gateway may have accepted two or more of its attempts."""
        return taken(self.attempts) > 1

    def because(self, reason: Reason) -> bool:
        """Whether this is the reason of its status."""
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
        """Seconds until the next attempt: exponential, half of it random ("equal jitter", AWS Architecture Blog).

        At least half of the step is waited, so that the attempts of a message last through an outage of known length.
        """
        step = min(self.cap, self.base * 2.0 ** max(0, attempts_made - 1))
        return step * rng.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to a message after an attempt. `delay` is the seconds until the next one, if any."""

    status: MessageStatus
    cause: Cause | None = None
    delay: float | None = None
    ask: bool = False


def taken(attempts: Sequence[Attempt]) -> int:
    """How many attempts the gateway accepted or may have accepted, without those that a look-up did not find."""
    count = missing = 0
    for attempt in attempts:
        missing = missing + 1 if attempt.outcome is Outcome.MISSING else 0
        if attempt.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN):
            count += 1
        elif missing == MISSING_TWICE:
            count = max(0, count - 1)
    return count


def judge(
    attempts: tuple[Attempt, ...], forgiven: int, policy: RetryPolicy, on_unknown: OnUnknown, rng: random.Random
) -> Verdict:
    """What follows from the last attempt, given those before it.

    `forgiven` of them do not count against the limit. After the last attempt the message is `unknown` instead of
    `failed` if any attempt may have been accepted.
    """
    last = attempts[-1]
    final = MessageStatus.UNKNOWN if taken(attempts) else MessageStatus.FAILED
    if last.outcome in (Outcome.ACCEPTED, Outcome.FOUND):
        return Verdict(MessageStatus.SENT)
    if last.outcome is Outcome.REFUSED:
        stopped = last.cause is not None and last.cause.reason is Reason.OPTED_OUT_AT_GATEWAY
        return Verdict(MessageStatus.SKIPPED if stopped and not taken(attempts) else final, last.cause)
    if last.outcome is Outcome.UNKNOWN and on_unknown is OnUnknown.HOLD:
        return Verdict(MessageStatus.UNKNOWN, last.cause)
    if last.outcome in LOOK_UPS or (last.outcome is Outcome.UNKNOWN and on_unknown is OnUnknown.ASK):
        asked = _trailing(attempts, LOOK_UPS)
        if _trailing(attempts, {Outcome.MISSING}) < MISSING_TWICE:
            if asked >= len(ASK_AFTER):
                return Verdict(MessageStatus.UNKNOWN, Cause(Reason.NOBODY_KNOWS))
            return Verdict(MessageStatus.QUEUED, Cause(Reason.ASKING), ASK_AFTER[asked], ask=True)
    if len(attempts) - forgiven >= policy.max_attempts:
        return Verdict(final, Cause.used_up(len(attempts), last.cause))
    return Verdict(MessageStatus.QUEUED, last.cause, delay=policy.delay(len(attempts) - forgiven, rng))


def _trailing(attempts: Sequence[Attempt], outcomes: Collection[Outcome]) -> int:
    """How many attempts at the end, in a row, had one of the outcomes."""
    return len(list(takewhile(lambda attempt: attempt.outcome in outcomes, reversed(attempts))))


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
