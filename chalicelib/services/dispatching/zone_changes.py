"""Corrected time zones: messages that wait for local hours follow their client's time zone within a minute."""

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
_STOP_BEFORE = timedelta(seconds=10)  # before the deadline


class ZoneChanges:
    """Follows the log of changed clients. Every step may be repeated: a row that is right already is not changed."""

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
        """Send a unit that follows the log, because messages may wait for local hours."""
        self._dispatch_queue.send([Unit(UnitKind.ZONES).body()])

    def follow(self, deadline: datetime) -> None:
        """Handle the changes since the last call. The next call continues where this one ends."""
        mailings = _waiting_for_hours(one for status in UNDER_WAY for one in self._mailings.lists.with_status(status))
        began = [mailing.launched_at for mailing in mailings if mailing.launched_at]
        if not began:
            return
        changes = self._clients.changes
        until = place_of(self._clock.now() - LAG)
        # Rows are written with the zones in an index, which may lag, so changes shortly before the launch matter too.
        place = max(changes.reached(_READER), place_of(min(began) - LAG))
        moved: set[str] = set()
        while place and self._clock.now() < deadline - _STOP_BEFORE:
            found, following = changes.page(place, _CHANGES)
            moved |= self._move(mailings, found)
            # Recent entries may have come into the log out of order, so they are read again the next time.
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
        """Move one mailing's waiting messages to these clients to the local hours of their current zones."""
        now = self._clock.now()
        rows = self._ledger.read((mailing.mailing_id, client_id) for client_id in contacts)
        moves = ((row, _moved(mailing, row, contacts[row.client_id], now)) for row in rows.values())
        changes = [(row, new) for row, new in moves if new is not None]
        if not changes:
            return 0
        applied = self._ledger.update(changes)
        written = applied.written
        self._mailings.shards.forget_sleep(mailing.mailing_id, self._clock.now())
        count = written.count(Written.DONE)
        self._mailings.add_counts(mailing.mailing_id, Counter({WRITES: applied.units[mailing.mailing_id]}), now)
        logger.info("messages moved to their clients' new time zones", mailing_id=mailing.mailing_id, count=count)
        if Written.BUSY in written or Written.UNSURE in written:  # refused: a sender has the message and knows the zone
            raise Unavailable("not all messages follow their clients' zones yet")
        return count


def _waiting_for_hours(mailings: Iterable[Mailing]) -> list[Mailing]:
    """Mailings whose messages may wait for local hours.

    Files of recipients are left out: senders look up the zone of a number's client.
    """
    windows = ((one, one.local_window) for one in mailings if not one.segment.recipients)
    return [one for one, window in windows if window and window.policy is WindowPolicy.DEFER]


def _moved(mailing: Mailing, row: Message, contact: Contact, now: datetime) -> Message | None:
    """The row with the due time of the client's current zone; None if it does not wait for local hours, or is right."""
    if (
        row.status is not MessageStatus.WAITING
        or not row.because(Reason.OUTSIDE_LOCAL_WINDOW)
        or row.timezone == contact.timezone
    ):
        return None
    present = replace(row, phone_number=contact.phone_number, timezone=contact.timezone)
    # If the window does not open before the end, the claim decides what becomes of the message.
    return present.revised(now, due_at=deferral(mailing, present, now).get("due_at", now))
