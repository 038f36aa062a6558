"""Dead letters: messages that failed for good; list, retry or discard them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..clock import Backoff
from ..domain.audit import Act, AuditAction, AuditObject
from ..domain.errors import Conflict, Malformed, NotFound
from ..domain.faults import Fault
from ..domain.mailings import REDRIVING, Mailing, MailingState
from ..domain.messages import MessageKey
from ..domain.reasons import Cause, Reason
from ..domain.statuses import IN_TROUBLE, Action, MailingStatus, MessageStatus
from ..queues import Hint, Queue, QueueMessage, hints_for
from ..storage.activity import ActivityRepository
from ..storage.audit import AuditLog
from ..storage.ledger import Ledger
from ..storage.mailings import MailingRepository
from .requeueing import put_back, requeued

_LOOK = 1000  # dead letters that are read at once
_LOOK_FOR = 5000  # dead letters that are read to find named ones: SQS gives them out in no order
_HIDE = 60  # seconds for which read letters are hidden from others
_TRIES = 8


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message in a dead letter. A letter with several messages is retried or discarded as a whole.

    `about` is the mailing's and the client's id, or None if the body is not a message of this service; `given_up_at`
    is when the letter came.
    """

    item: str
    about: MessageKey | None
    cause: Cause | None
    body: str
    given_up_at: datetime


@dataclass(frozen=True, slots=True)
class Redriven:
    """The result of a redrive: how many messages are retried, and why each of the other letters is not."""

    put_back: int
    settled: int
    refused: dict[str, Conflict | NotFound]


@dataclass(frozen=True, slots=True)
class Discarded:
    """The result of discarding: how many messages are gone, and how many of the named letters were not found."""

    messages: int
    missing: int


class DeadLetters:
    """The dead-letter queue of the send queue, and the rows of the ledger that its letters are about."""

    def __init__(
        self,
        mailings: MailingRepository,
        ledger: Ledger,
        activity: ActivityRepository,
        dead_letters: Queue,
        send_queue: Queue,
        backoff: Backoff,
        audit: AuditLog,
    ) -> None:
        self._mailings = mailings
        self._ledger = ledger
        self._activity = activity
        self._dead_letters = dead_letters
        self._send_queue = send_queue
        self._backoff = backoff
        self._clock = backoff.clock
        self._audit = audit

    def list(self, limit: int = 100) -> list[DeadLetter]:
        """Up to 1000 dead letters, in no order. Others cannot see them for a moment."""
        found = self._received(limit)
        self._give_back(found)
        return [letter for message in found for letter in _letters(message)]

    def redrive(self, items: Collection[str] | None = None, *, unknown: bool = False) -> Redriven:
        """Retry the messages of the named letters, or of all (up to 1000 at a time), with new attempts.

        Only failed messages of a mailing whose end has not passed are retried, and with `unknown` also those whose
        outcome is unknown, which may then arrive twice. The sender checks pause, opt-out and local window again. A
        letter whose message needs no retry any more is deleted; a refused one stays. A named letter that is not found
        among 5000 is refused too.
        """
        found = self._received() if items is None else self._sought(items)
        chosen = [message for message in found if items is None or message.item in items]
        by_mailing, refused = _by_mailing(chosen)
        refused |= dict.fromkeys(_missing(items or (), found), NotFound(Fault.NO_SUCH_FAILED_MESSAGE))
        count = settled = 0
        gone: set[str] = set()
        for mailing_id, letters in by_mailing.items():
            of_it = {message.item for twins in letters.values() for message in twins}
            try:
                again, kept = self.put_back(mailing_id, letters, unknown=unknown)
            except (Conflict, NotFound) as error:
                refused |= dict.fromkeys(of_it, error)
                continue
            count += again
            self._note(AuditAction.RETRIED, mailing_id, again)
            settled += len(letters) - again - len(kept)
            staying = {message.item for client_id in kept for message in letters[client_id]}
            refused |= dict.fromkeys(staying, Conflict(Fault.MAYBE_SENT))
            self._delete(found, of_it - staying)  # first, because the next steps may fail
            gone |= of_it - staying
        self._give_back(found, gone)
        return Redriven(count, settled, refused)

    def discard(self, items: Collection[str]) -> Discarded:
        """Delete dead letters without retrying them. The rows in the ledger are kept."""
        found = self._sought(items)
        chosen = [message for message in found if message.item in items]
        self._delete(found, items)
        self._give_back(found, items)
        about = Counter(letter.about[0] if letter.about else "" for one in chosen for letter in _letters(one))
        for mailing_id, count in about.items():
            self._note(AuditAction.DISCARDED, mailing_id, count)
        return Discarded(about.total(), len(_missing(items, found)))

    def settle(self, mailing_id: str) -> None:
        """Delete the letters of a mailing's messages that are not failed or unknown any more, after a retry.

        Up to 1000 letters at a time. Others cannot see them for a moment.
        """
        found = self._received()
        about = {message.item: [one.about for one in _letters(message)] for message in found}
        mine = {item: keys for item, keys in about.items() if all(key and key[0] == mailing_id for key in keys)}
        rows = self._ledger.read(key for keys in mine.values() for key in keys if key)
        open_ = {row.key for row in rows.values() if row.status in IN_TROUBLE}
        settled = {item for item, keys in mine.items() if not any(key in open_ for key in keys)}
        self._delete(found, settled)
        self._give_back(found, settled)

    def _received(self, limit: int = _LOOK) -> Sequence[QueueMessage]:
        """Receive letters; nobody else sees them until they are given back."""
        return self._dead_letters.receive(min(limit, _LOOK), _HIDE)

    def _sought(self, items: Collection[str]) -> Sequence[QueueMessage]:
        """Receive letters until all with these ids are found, or too many were read."""
        found: list[QueueMessage] = []
        while len(found) < _LOOK_FOR:
            more = self._received()
            found += more
            if len(more) < _LOOK or not _missing(items, found):
                break
        return found

    def _delete(self, found: Sequence[QueueMessage], items: Container[str]) -> None:
        self._dead_letters.delete([message.receipt for message in found if message.item in items])

    def _give_back(self, found: Sequence[QueueMessage], gone: Container[str] = ()) -> None:
        """Make letters visible again, except those that are gone."""
        self._dead_letters.postpone([(message.receipt, 0) for message in found if message.item not in gone])

    def _note(self, action: AuditAction, mailing_id: str, count: int) -> None:
        """Note in the audit log how many failed messages of a mailing a user retried or discarded."""
        if count:
            kind = AuditObject.MAILING if mailing_id else AuditObject.FAILED_MESSAGES
            self._audit.put(Act(action, kind, mailing_id, count=count))

    def put_back(self, mailing_id: str, client_ids: Collection[str], *, unknown: bool = False) -> tuple[int, set[str]]:
        """Queue a mailing's failed messages again, with `unknown` also unknown ones.

        Raises Conflict if it sends no more.

        Returns how many are queued, and the clients whose messages stay because their outcome is unknown.
        """
        state = self._mailings.state(mailing_id)
        found = self._ledger.read((mailing_id, client_id) for client_id in client_ids)
        wanted = IN_TROUBLE if unknown else IN_TROUBLE - {MessageStatus.UNKNOWN}
        rows = [row for row in found.values() if row.status in wanted]
        kept = (
            {row.client_id for row in found.values() if row.status is MessageStatus.UNKNOWN} if not unknown else set()
        )
        if not rows:
            return 0, kept  # there is no reason to reopen the mailing
        self._open(state)
        now = self._clock.now()
        count = put_back(self._mailings, self._ledger, self._activity, [(row, requeued(row, now)) for row in rows], now)
        self._change(mailing_id, _without_mark)
        self._send_queue.send(hints_for(mailing_id, [row.client_id for row in rows], state.mailing.division))
        return count, kept

    def _open(self, state: MailingState) -> None:
        """Make a finished mailing run again, and keep it from ending until its messages are put back."""

        def marked(old: Mailing, now: datetime) -> Mailing:
            if old.end_at <= now:
                raise Conflict(Fault.WINDOW_CLOSED_MOVE_END)
            old.check(Action.REDRIVE)
            if old.status.ended:
                old = replace(old.moved_to(MailingStatus.RUNNING, now), final=(), finished_at=None)
            return replace(old, reopening=(*old.reopening, REDRIVING))

        if state.mailing.end_at > self._clock.now():
            self._mailings.align_counts(state, self._clock.now())
        self._change(state.mailing.mailing_id, marked)

    def _change(self, mailing_id: str, step: Callable[[Mailing, datetime], Mailing]) -> None:
        for tries in range(1, _TRIES + 1):
            old = self._mailings.get(mailing_id)
            now = self._clock.now()
            new = replace(step(old, now), revision=old.revision + 1, updated_at=now)
            if self._mailings.change(old, new):
                return
            self._backoff.wait(tries)
        raise Conflict(Fault.MAILING_BEING_CHANGED)


def _without_mark(mailing: Mailing, now: datetime) -> Mailing:
    """The mailing without the mark. The new revision invalidates counts from before the messages were put back."""
    del now
    left = list(mailing.reopening)
    if REDRIVING in left:
        left.remove(REDRIVING)
    return replace(mailing, reopening=tuple(left))


def _missing(items: Collection[str], found: Sequence[QueueMessage]) -> set[str]:
    """The named letters that were not found."""
    return set(items) - {message.item for message in found}


def _by_mailing(
    messages: Sequence[QueueMessage],
) -> tuple[Mapping[str, Mapping[str, Sequence[QueueMessage]]], dict[str, Conflict | NotFound]]:
    """The letters by mailing and client (a letter may have several), and why each other letter cannot be used."""
    found: defaultdict[str, defaultdict[str, list[QueueMessage]]] = defaultdict(lambda: defaultdict(list))
    refused: dict[str, Conflict | NotFound] = {}
    for message in messages:
        try:
            hint = Hint.parse(message.body)
        except Malformed:
            refused[message.item] = Conflict(Fault.NOT_A_MESSAGE)
            continue
        for client_id in hint.client_ids:
            found[hint.mailing_id][client_id].append(message)
    return found, refused


def _letters(message: QueueMessage) -> list[DeadLetter]:
    try:
        hint = Hint.parse(message.body)
    except Malformed as error:
        return [
            DeadLetter(
                item=message.item,
                about=None,
                cause=Cause(Reason.NOT_A_MESSAGE, str(error)),
                body=message.body,
                given_up_at=message.sent_at,
            )
        ]
    cause = Cause.parse(str(json.loads(message.body).get("reason", "")))
    return [
        DeadLetter(
            item=message.item,
            about=(hint.mailing_id, client_id),
            cause=cause,
            body=message.body,
            given_up_at=message.sent_at,
        )
        for client_id in hint.client_ids
    ]
