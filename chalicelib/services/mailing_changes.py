"""Changes of mailings: each is written only on the revision that was read, and sends the units that it needs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ..clock import SystemClock
from ..domain.errors import Conflict, Unavailable
from ..domain.faults import Fault
from ..domain.mailing_ids import checked_mailing_id
from ..domain.mailings import Mailing
from ..domain.statuses import MailingStatus, Stage
from ..observability import logger
from ..queues import MAX_DELAY, Queue, Unit, UnitKind
from ..storage.mailings import MailingRepository
from .asked_mailings import keep_asked
from .mailing_fields import MailingFields
from .mailing_log import log_change

# A mailing that starts before the next tick can have seen it goes to the dispatch queue at once.
LAUNCH_AHEAD = timedelta(seconds=70)
TRIES = 5


class MailingChanges:
    """Write changes of mailings, and send the units that they need."""

    def __init__(self, mailings: MailingRepository, dispatch: Queue, clock: SystemClock, retain: timedelta) -> None:
        self._mailings = mailings
        self._dispatch = dispatch
        self._clock = clock
        self._retain = retain

    def apply(self, mailing_id: str, step: Callable[[Mailing, datetime], Mailing]) -> Mailing:
        """Replace a mailing by what `step` makes of it and of the time, and log the change. Returns the new one.

        A scheduled one is launched soon, if it is due soon.

        Raises NotFound if there is no such mailing, Conflict if others keep changing it, and what `step` raises.
        """
        for _ in range(TRIES):
            old = self._mailings.get(checked_mailing_id(mailing_id))
            new = step(old, self._clock.now())
            if self._mailings.change(old, new):
                log_change(old, new)
                self.launch_soon(new, self._clock.now())
                return new
        raise Conflict(Fault.MAILING_BEING_CHANGED)

    def launch_soon(self, mailing: Mailing, now: datetime) -> None:
        """Send the unit that launches a scheduled mailing, if it starts before the next tick can have seen it."""
        if mailing.status is not MailingStatus.SCHEDULED or mailing.start_at - now > LAUNCH_AHEAD:
            return
        delay = min(MAX_DELAY, max(0, int((mailing.start_at - now).total_seconds())))
        self.send(Unit(UnitKind.LAUNCH, mailing.mailing_id, revision=mailing.revision), delay)

    def send(self, unit: Unit, delay: float = 0) -> None:
        """Send a unit to the dispatch queue, which gives it out after `delay` seconds."""
        # The mailing is in its table: if the queue is down, the tick finds it within a minute.
        try:
            self._dispatch.send_each([(unit.body(), delay)])
        except Unavailable as error:
            logger.warning(
                "unit not sent, left to the tick", mailing_id=unit.mailing_id, unit=unit.kind, error=str(error)
            )

    def follow_end(self, mailing: Mailing, now: datetime) -> None:
        """Start the work that a moved end needs, and schedule the mailing's end if the next tick comes too late."""
        if mailing.status.stage is not Stage.UNDER_WAY or mailing.launched_at is None:
            return
        if mailing.reopening:
            self.send(Unit(UnitKind.REOPEN, mailing.mailing_id))
        if mailing.end_at - now <= LAUNCH_AHEAD:
            self.send(Unit(UnitKind.COMPLETE, mailing.mailing_id), (mailing.end_at - now).total_seconds())

    def keep_asked(self, fields: MailingFields, now: datetime) -> None:
        """Protect the mailings in a filter, as `asked_mailings.keep_asked` does; raises what that raises."""
        for asked in keep_asked(self._mailings, fields, self._retain, now):
            self.launch_soon(asked, now)  # the unit that was to launch it was for the earlier revision
