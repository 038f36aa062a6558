"""What people do with a mailing: schedule, launch, pause, resume, cancel, retry, delete."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ..clock import SystemClock
from ..domain.errors import Conflict
from ..domain.faults import Fault
from ..domain.mailing_ids import checked_mailing_id
from ..domain.mailings import Mailing
from ..domain.statuses import Action, MailingStatus
from ..observability import logger
from ..queues import Unit, UnitKind
from ..storage.mailings import MailingRepository
from .asked_mailings import check_not_asked
from .audiences import Audiences
from .mailing_changes import TRIES, MailingChanges
from .mailing_fields import MailingFields


class MailingActions:
    """Start, stop, continue and delete mailings. Raises NotFound if there is no such mailing."""

    def __init__(
        self, mailings: MailingRepository, audiences: Audiences, changes: MailingChanges, clock: SystemClock
    ) -> None:
        self._mailings = mailings
        self._audiences = audiences
        self._changes = changes
        self._clock = clock

    def schedule(self, mailing_id: str, revision: int | None = None) -> Mailing:
        """Let a draft start automatically, right away if its start has passed.

        Raises Conflict if it is not a draft, if its end has passed, if it would start now and nobody matches, or if its
        revision is not the given one.
        """

        def scheduled(old: Mailing, now: datetime) -> Mailing:
            old.check(Action.SCHEDULE)
            self._check_ready(old, now, old.start_at, revision)
            return old.moved_to(MailingStatus.SCHEDULED, now)

        return self._changes.apply(mailing_id, scheduled)

    def _check_ready(self, mailing: Mailing, now: datetime, start_at: datetime, revision: int | None) -> None:
        if revision not in (None, mailing.revision):
            raise Conflict(Fault.MAILING_BEING_CHANGED)
        if mailing.end_at <= now:
            raise Conflict(Fault.WINDOW_CLOSED)
        if start_at <= now and self._audiences.has_nobody(mailing.segment, now):
            raise Conflict(Fault.MAILING_MATCHES_NOBODY)
        if mailing.status is MailingStatus.DRAFT:
            self._changes.keep_asked(MailingFields.of(mailing), now)

    def launch(self, mailing_id: str, revision: int | None = None) -> Mailing:
        """Start a scheduled mailing or a draft now. Raises Conflict if it is neither, or as `schedule` does."""

        def launched(old: Mailing, now: datetime) -> Mailing:
            old.check(Action.LAUNCH)
            self._check_ready(old, now, now, revision)
            ready = old.moved_to(MailingStatus.SCHEDULED, now) if old.status is MailingStatus.DRAFT else old
            return replace(ready, start_at=min(old.start_at, now), revision=old.revision + 1, updated_at=now)

        return self._changes.apply(mailing_id, launched)

    def pause(self, mailing_id: str) -> Mailing:
        """Pause a mailing. The last gateway call starts at most 2 seconds later."""

        def paused(old: Mailing, now: datetime) -> Mailing:
            old.check(Action.PAUSE)
            return old.moved_to(MailingStatus.PAUSED, now)

        return self._changes.apply(mailing_id, paused)

    def resume(self, mailing_id: str) -> Mailing:
        """Resume a paused mailing where it stopped."""

        def resumed(old: Mailing, now: datetime) -> Mailing:
            old.check(Action.RESUME)
            return old.moved_to(MailingStatus.RUNNING if old.launched_at else MailingStatus.SCHEDULED, now)

        new = self._changes.apply(mailing_id, resumed)
        if new.status is MailingStatus.RUNNING:
            self._changes.send(Unit(UnitKind.RESUME, mailing_id, revision=new.revision))
        return new

    def cancel(self, mailing_id: str) -> Mailing:
        """Cancel a mailing for good. Messages that were not sent become cancelled."""

        def cancelled(old: Mailing, now: datetime) -> Mailing:
            old.check(Action.CANCEL)
            return old.moved_to(MailingStatus.CANCELLED, now)

        new = self._changes.apply(mailing_id, cancelled)
        if new.launched_at:
            self._changes.send(Unit(UnitKind.COMPLETE, mailing_id))
        return new

    def retry_failed(self, mailing_id: str, *, unknown: bool = False) -> Mailing:
        """Retry the failed messages of a mailing, and with `unknown` also those whose outcome is unknown.

        If its end was set later, messages that had expired are sent too. Raises Conflict if its end has passed, or if
        it has not finished or was cancelled.
        """

        def reopened(old: Mailing, now: datetime) -> Mailing:
            old.check(Action.RETRY)
            if old.end_at <= now:
                raise Conflict(Fault.WINDOW_CLOSED_MOVE_END)
            statuses = ["failed", *(["unknown"] if unknown else []), *(["expired"] if old.widened_at else [])]
            running = old.moved_to(MailingStatus.RUNNING, now)
            return replace(running, reopening=tuple(statuses), final=(), finished_at=None)

        state = self._mailings.state(checked_mailing_id(mailing_id))
        self._mailings.align_counts(state, self._clock.now())
        new = self._changes.apply(mailing_id, reopened)
        self._changes.send(Unit(UnitKind.REOPEN, mailing_id))
        return new

    def delete(self, mailing_id: str) -> None:
        """Delete a mailing and its ledger. Raises Conflict if it is running or paused."""
        for _ in range(TRIES):
            mailing = self._mailings.get(checked_mailing_id(mailing_id))
            mailing.check(Action.DELETE)
            check_not_asked(mailing, self._clock.now())
            if self._mailings.mark_deleted(mailing):
                logger.info("mailing deleted", mailing_id=mailing_id)
                self._changes.send(Unit(UnitKind.PURGE, mailing_id))
                return
        raise Conflict(Fault.MAILING_BEING_CHANGED)
