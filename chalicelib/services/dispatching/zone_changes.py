"""Corrected time zones: messages that wait for a client's hours move with the client's zone, within a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.clients import Contact
from ...domain.errors import Unavailable
from ...domain.local_window import WindowPolicy
from ...domain.mailing_counters import WRITES
from ...domain.mailings import Mailing
from ...domain.messages import Message
from ...domain.reasons import Reason
from ...domain.sending_rules import deferral
from ...domain.statuses import UNDER_WAY, MessageStatus
from ...observability import logger
from ...queues import Queue, Unit, UnitKind
from ...storage.client_changes import LAG, Changed, place_of
from ...storage.clients import ClientRepository
from ...storage.ledger import Ledger, Written
from ...storage.mailings import MailingRepository
from .feeder import Feeder

_READER = "zones"
_CHANGES = 200  # transactions of the log at once; each changes up to a hundred clients
_STOP_BEFORE = timedelta(seconds=10)  # of the deadline


class ZoneChanges:
    """Follows the log of changed clients. Every step may be repeated: a row that is right already is left alone."""

    def __init__(
        self,
        clients: ClientRepository,
        mailings: MailingRepository,
        ledger: Ledger,
        feeder: Feeder,
        dispatch_queue: Queue,
        clock: SystemClock,
    ) -> None:
        self._clients = clients
        self._mailings = mailings
        self._ledger = ledger
        self._feeder = feeder
        self._dispatch_queue = dispatch_queue
        self._clock = clock

    def ask(self) -> None:
        """Have the log followed; for whoever knows of messages that may wait for their clients' hours."""
        self._dispatch_queue.send([Unit(UnitKind.ZONES).body()])

    def follow(self, deadline: datetime) -> None:
        """Go through what was changed since the last time; where this ends, the next one goes on."""
        mailings = _waiting_for_hours(one for status in UNDER_WAY for one in self._mailings.lists.with_status(status))
        began = [mailing.launched_at for mailing in mailings if mailing.launched_at]
        if not began:
            return
        changes = self._clients.changes
        until = place_of(self._clock.now() - LAG)
        # Rows are written with the zones that an index has: a little of what was changed before the launch matters too.
        place = max(changes.reached(_READER), place_of(min(began) - LAG))
        moved: set[str] = set()
        while place and self._clock.now() < deadline - _STOP_BEFORE:
            found, following = changes.page(place, _CHANGES)
            moved |= self._move(mailings, found)
            # What was noted a moment ago may have got into the log out of order: it is looked at again.
            changes.reach(_READER, min(following or until, until))
            place = following
        if moved:
            self._feeder.ensure(*moved)

    def _move(self, mailings: Sequence[Mailing], changes: Sequence[Changed]) -> set[str]:
        client_ids = list(dict.fromkeys(one for change in changes for one in change.client_ids))
        if not client_ids:
            return set()
        contacts = self._clients.contacts(client_ids, consistent=True)
        return {mailing.mailing_id for mailing in mailings if self._move_in(mailing, contacts)}

    def _move_in(self, mailing: Mailing, contacts: Mapping[str, Contact]) -> int:
        """Move the waiting messages of one mailing to these clients to the hours that are theirs now."""
        now = self._clock.now()
        rows = self._ledger.read((mailing.mailing_id, client_id) for client_id in contacts)
        moves = ((row, _moved(mailing, row, contacts[row.client_id], now)) for row in rows.values())
        changes = [(row, new) for row, new in moves if new is not None]
        if not changes:
            return 0
        applied = self._ledger.update(changes)
        written = applied.written
        self._mailings.shards.forget_sleep(mailing.mailing_id)
        count = written.count(Written.DONE)
        self._mailings.add_counts(mailing.mailing_id, Counter({WRITES: applied.units[mailing.mailing_id]}), now)
        logger.info("messages moved to their clients' new time zones", mailing_id=mailing.mailing_id, count=count)
        if Written.BUSY in written or Written.UNSURE in written:  # refused: a sender has it, and knows the zone
            raise Unavailable("not all messages follow their clients' zones yet")
        return count


def _waiting_for_hours(mailings: Iterable[Mailing]) -> list[Mailing]:
    """Those to the people of a file are left out: their senders look where the client of a number lives."""
    windows = ((one, one.local_window) for one in mailings if not one.segment.recipients)
    return [one for one, window in windows if window and window.policy is WindowPolicy.DEFER]


def _moved(mailing: Mailing, row: Message, contact: Contact, now: datetime) -> Message | None:
    """The row as it waits with the client's present zone, or None if it does not wait for hours, or waits rightly."""
    if (
        row.status is not MessageStatus.WAITING
        or not row.because(Reason.OUTSIDE_LOCAL_WINDOW)
        or row.timezone == contact.timezone
    ):
        return None
    present = replace(row, phone_number=contact.phone_number, timezone=contact.timezone)
    # Without an opening before the end, whoever claims the message says what becomes of it.
    return present.revised(now, due_at=deferral(mailing, present, now).get("due_at", now))
