"""Mailings: creating, changing, controlling and reading them."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from ulid import ULID

from ..clock import SystemClock
from ..domain.errors import Conflict, Invalid, Malformed, NotFound, Unavailable
from ..domain.faults import Fault
from ..domain.idempotency import KEY_FIELD, IdempotencyKey
from ..domain.mailing_ids import is_mailing_id
from ..domain.mailings import Mailing, MailingState, OnUnknown, Statistics
from ..domain.segments import Segment
from ..domain.statuses import Action, MailingStatus, Stage
from ..observability import MAILINGS_CREATED, logger, measure
from ..queues import MAX_DELAY, Queue, Unit, UnitKind
from ..storage.mailings import MailingRepository
from .asked_mailings import check_not_asked, keep_asked
from .audiences import Audiences
from .gateways import Gateways
from .mailing_fields import MailingFields, check_changeable, check_fields, check_kept, widened
from .mailing_log import tell_change
from .prices import PriceService
from .recipients import RecipientFiles

# A mailing that starts before the next tick can have seen it goes to the dispatch queue at once.
LAUNCH_AHEAD = timedelta(seconds=70)
REQUESTS_KEPT = timedelta(hours=24)  # that a request's key is remembered
_EXPANDED_WITHIN = timedelta(
    days=1
)  # from the start: so long the messages of the mailings that it asks about are needed
_TRIES = 5
_CURSOR = re.compile(r"|([0-9A-Z]{26}):([0-9]{1,15})")  # a mailing's id, and its start where the list is sorted by it


class MailingService:
    """Create, read, change, delete, list and control mailings."""

    def __init__(
        self,
        mailings: MailingRepository,
        audiences: Audiences,
        recipients: RecipientFiles,
        dispatch: Queue,
        clock: SystemClock,
        rng: random.Random,
        gateways: Gateways,
        retain: timedelta,
        prices: Callable[[], PriceService],
    ) -> None:
        self._prices = prices
        self._mailings = mailings
        self._audiences = audiences
        self._recipients = recipients
        self._dispatch = dispatch
        self._clock = clock
        self._rng = rng
        self._retain = retain
        self._gateways = gateways

    def on_unknown(self, gateway: str = "") -> OnUnknown:
        """What is done about a message that this gateway, or any, may have taken, if its mailing does not say."""
        capabilities = self._gateways.capabilities(gateway)
        if capabilities.recognises_ids:
            return OnUnknown.RETRY
        return OnUnknown.ASK if capabilities.tells_later else OnUnknown.HOLD

    def create(
        self,
        fields: MailingFields,
        created_by: str,
        request: IdempotencyKey | None = None,
        *,
        draft: bool = False,
        saved: bool = False,
    ) -> Mailing:
        """Create a mailing, which starts automatically unless it is a draft. Raises Invalid with each wrong field.

        A request repeated with the same key gets the first answer again; if its segment was a `saved` one, with what
        that had then. Raises Invalid if the key was used for a
        different request.
        """
        now = self._clock.now()
        status = MailingStatus.DRAFT if draft else MailingStatus.SCHEDULED
        earlier = self._mailings.ordered_by(request, now) if request else None
        if earlier is None:
            check_fields(fields, now)
            self._check_gateway(fields)
            self._recipients.check(fields.segment, fields.end_at)
            self._check_budget(fields.budget)
            self._keep_asked(fields, now)
            if not draft:
                self._check_reach(fields.segment, fields.start_at, now)
            mailing = fields.ordered(self._new_id(now), created_by, now, self.on_unknown(fields.gateway), status)
            if request is None:
                self._mailings.create(mailing)
            else:
                earlier = self._mailings.create_once(mailing, request, now + REQUESTS_KEPT)
        if earlier is None:
            measure(MAILINGS_CREATED)
            logger.info("mailing created", mailing_id=mailing.mailing_id, start_at=mailing.start_at.isoformat())
        else:
            if request is None or earlier.fingerprint != request.fingerprint:
                raise Invalid.of(KEY_FIELD, Fault.KEY_USED)
            mailing = fields.ordered(
                earlier.mailing_id, created_by, earlier.ordered_at, self.on_unknown(fields.gateway), status
            )
            if mailing.template or saved:
                mailing = self._as_copied(mailing, saved=saved)
        self._launch_soon(mailing, now)
        return mailing

    def _as_copied(self, mailing: Mailing, *, saved: bool) -> Mailing:
        """A mailing that was ordered earlier with what its template, and its `saved` segment, had then."""
        try:
            then = self._mailings.get(mailing.mailing_id)
        except NotFound:  # deleted since
            return mailing
        segment = then.segment if saved else mailing.segment
        if not mailing.template:
            return replace(mailing, segment=segment)
        return replace(mailing, text=then.text, texts=then.texts, template=then.template, segment=segment)

    def _check_reach(self, segment: Segment, start_at: datetime, now: datetime) -> None:
        if start_at <= now and self._audiences.has_nobody(segment, now):
            raise Invalid.of("clients", Fault.NOBODY_TO_SEND_TO)

    def _keep_asked(self, fields: MailingFields, now: datetime) -> None:
        for asked in keep_asked(self._mailings, fields, self._retain, now):
            self._launch_soon(asked, now)  # what was to launch it was for its earlier revision

    def _new_id(self, now: datetime) -> str:
        milliseconds = int(now.timestamp() * 1000)
        return str(ULID.from_bytes(milliseconds.to_bytes(6, "big") + self._rng.randbytes(10)))

    def _launch_soon(self, mailing: Mailing, now: datetime) -> None:
        if mailing.status is not MailingStatus.SCHEDULED or mailing.start_at - now > LAUNCH_AHEAD:
            return
        delay = min(MAX_DELAY, max(0, int((mailing.start_at - now).total_seconds())))
        self._hint(Unit(UnitKind.LAUNCH, mailing.mailing_id, revision=mailing.revision), delay)

    def _hint(self, unit: Unit, delay: float = 0) -> None:
        # The mailing is in its table: where the queue is down, the tick finds it within a minute.
        try:
            self._dispatch.send_each([(unit.body(), delay)])
        except Unavailable as error:
            logger.warning(
                "unit not sent, left to the tick", mailing_id=unit.mailing_id, unit=unit.kind, error=str(error)
            )

    def get(self, mailing_id: str) -> Mailing:
        """The mailing with this id. Raises NotFound if there is none."""
        return self._mailings.get(_checked_id(mailing_id))

    def titles(self, mailing_ids: Iterable[str | None]) -> dict[str, str]:
        """What people know mailings by, by their ids; without those that are not there, in a call for a hundred."""
        return self._mailings.titles(one for one in mailing_ids if one and is_mailing_id(one))

    def state(self, mailing_id: str) -> MailingState:
        """The mailing with its counts. Raises NotFound if there is none."""
        return self._mailings.state(_checked_id(mailing_id))

    def with_counts(self, mailing: Mailing) -> MailingState:
        """The mailing with its counts, which are read only if the mailing does not carry them itself."""
        if mailing.final:
            final = Counter(dict(mailing.final))
            return MailingState(mailing, statistics=Statistics(final.total(), final, True))
        if mailing.launched_at is None:
            return MailingState(mailing)
        try:
            return self._mailings.state(mailing.mailing_id)
        except NotFound:  # deleted since it was read
            return MailingState(mailing)

    def list(self, status: MailingStatus | None, cursor: str, limit: int) -> tuple[list[Mailing], str]:
        """Up to `limit` mailings, the newest first (of one status: the latest start first), and the next cursor.

        A cursor is "" at the start and the end. Raises Malformed for a bad cursor.
        """
        if not (place := _CURSOR.fullmatch(cursor)):
            raise Malformed(Fault.CURSOR_OF_ANOTHER_LIST)
        mailings, after = self._mailings.list(status, (place[1], int(place[2])) if cursor else None, limit)
        return mailings, f"{after[0]}:{after[1]}" if after else ""

    def totals(self) -> dict[str, int]:
        """How many mailings there are of each status."""
        return self._mailings.totals()

    def change(self, mailing_id: str, fields: MailingFields) -> Mailing:
        """Set all fields of a mailing. Raises Conflict if it is too late for one of the changes."""
        fields = replace(fields, on_unknown=fields.on_unknown or self.on_unknown(fields.gateway))
        return self.revise(mailing_id, lambda _: fields)

    def revise(self, mailing_id: str, fields_of: Callable[[Mailing], MailingFields]) -> Mailing:
        """Change fields of a mailing, given those it has. Raises Conflict if it is too late for the change."""

        def changed(old: Mailing, now: datetime) -> Mailing:
            fields = fields_of(old)
            new = fields.over(old)
            check_changeable(old, new)
            check_fields(fields, now)
            check_kept(old, new, self._retain)
            self._recipients.check(new.segment, new.end_at, mailing_id)
            if (new.on_unknown, new.gateway) != (old.on_unknown, old.gateway):
                self._check_gateway(fields)
            if new.budget != old.budget:
                self._check_budget(new.budget)
            if (new.start_at, new.end_at, new.segment) != (
                old.start_at,
                old.end_at,
                old.segment,
            ) and not old.launched_at:
                self._keep_asked(fields, now)
            if old.status is not MailingStatus.DRAFT and (new.start_at, new.segment) != (old.start_at, old.segment):
                self._check_reach(new.segment, new.start_at, now)
            return replace(widened(old, new, now), revision=old.revision + 1, updated_at=now)

        new = self._apply(mailing_id, changed)
        self._launch_soon(new, self._clock.now())
        self._follow_end(new, self._clock.now())
        return new

    def _check_gateway(self, fields: MailingFields) -> None:
        if fields.gateway:
            self._gateways.named(fields.gateway)  # raises Invalid if there is none
        if fields.on_unknown is OnUnknown.ASK and not self._gateways.capabilities(fields.gateway).tells_later:
            raise Invalid.of("on_unknown", Fault.GATEWAY_CANNOT_BE_ASKED)

    def _check_budget(self, budget: Decimal | None) -> None:
        if budget is not None:
            self._prices().check_there_are_some("budget")

    def _follow_end(self, mailing: Mailing, now: datetime) -> None:
        """Start the work that a moved end needs, and schedule the mailing's end if the next tick comes too late."""
        if mailing.status.stage is not Stage.UNDER_WAY or mailing.launched_at is None:
            return
        if mailing.reopening:
            self._hint(Unit(UnitKind.REOPEN, mailing.mailing_id))
        if mailing.end_at - now <= LAUNCH_AHEAD:
            self._hint(Unit(UnitKind.COMPLETE, mailing.mailing_id), (mailing.end_at - now).total_seconds())

    def delete(self, mailing_id: str) -> None:
        """Delete a mailing and its ledger. Raises Conflict if it is running or paused."""
        for _ in range(_TRIES):
            mailing = self.get(mailing_id)
            mailing.check(Action.DELETE)
            check_not_asked(mailing, self._clock.now())
            if self._mailings.mark_deleted(mailing):
                logger.info("mailing deleted", mailing_id=mailing_id)
                self._hint(Unit(UnitKind.PURGE, mailing_id))
                return
        raise Conflict(Fault.MAILING_BEING_CHANGED)

    # -- steering

    def schedule(self, mailing_id: str, revision: int | None = None) -> Mailing:
        """Let a draft start automatically, right away if its start has passed.

        Raises Conflict if it is no draft, if its end has passed, if it would start now and nobody matches, or if it is
        of another revision than is given.
        """

        def scheduled(old: Mailing, now: datetime) -> Mailing:
            old.check(Action.SCHEDULE)
            self._check_ready(old, now, old.start_at, revision)
            return old.moved_to(MailingStatus.SCHEDULED, now)

        new = self._apply(mailing_id, scheduled)
        self._launch_soon(new, self._clock.now())
        return new

    def _check_ready(self, mailing: Mailing, now: datetime, start_at: datetime, revision: int | None) -> None:
        if revision not in (None, mailing.revision):
            raise Conflict(Fault.MAILING_BEING_CHANGED)
        if mailing.end_at <= now:
            raise Conflict(Fault.WINDOW_CLOSED)
        if start_at <= now and self._audiences.has_nobody(mailing.segment, now):
            raise Conflict(Fault.MAILING_MATCHES_NOBODY)
        if mailing.status is MailingStatus.DRAFT:
            self._keep_asked(MailingFields.of(mailing), now)

    def launch(self, mailing_id: str, revision: int | None = None) -> Mailing:
        """Start a scheduled mailing or a draft now. Raises Conflict if it is neither, or as `schedule` does."""

        def launched(old: Mailing, now: datetime) -> Mailing:
            old.check(Action.LAUNCH)
            self._check_ready(old, now, now, revision)
            ready = old.moved_to(MailingStatus.SCHEDULED, now) if old.status is MailingStatus.DRAFT else old
            return replace(ready, start_at=min(old.start_at, now), revision=old.revision + 1, updated_at=now)

        new = self._apply(mailing_id, launched)
        self._launch_soon(new, self._clock.now())
        return new

    def pause(self, mailing_id: str) -> Mailing:
        """Pause a mailing. The last gateway call starts at most 2 seconds later."""

        def paused(old: Mailing, now: datetime) -> Mailing:
            old.check(Action.PAUSE)
            return old.moved_to(MailingStatus.PAUSED, now)

        return self._apply(mailing_id, paused)

    def resume(self, mailing_id: str) -> Mailing:
        """Resume a paused mailing where it stopped."""

        def resumed(old: Mailing, now: datetime) -> Mailing:
            old.check(Action.RESUME)
            return old.moved_to(MailingStatus.RUNNING if old.launched_at else MailingStatus.SCHEDULED, now)

        new = self._apply(mailing_id, resumed)
        if new.status is MailingStatus.RUNNING:
            self._hint(Unit(UnitKind.RESUME, mailing_id, revision=new.revision))
        self._launch_soon(new, self._clock.now())
        return new

    def cancel(self, mailing_id: str) -> Mailing:
        """Cancel a mailing for good. Messages that were not sent become cancelled."""

        def cancelled(old: Mailing, now: datetime) -> Mailing:
            old.check(Action.CANCEL)
            return old.moved_to(MailingStatus.CANCELLED, now)

        new = self._apply(mailing_id, cancelled)
        if new.launched_at:
            self._hint(Unit(UnitKind.COMPLETE, mailing_id))
        return new

    def set_rate(self, mailing_id: str, rate_limit: int | None) -> Mailing:
        """Change the rate of a mailing, even while it runs. It takes effect within seconds."""

        def changed(old: Mailing, now: datetime) -> Mailing:
            if "rate_limit" not in old.state.fields:
                raise Conflict(Fault.MAILING_HAS_NO_RATE, status=old.status)
            return replace(old, rate_limit=rate_limit, revision=old.revision + 1, updated_at=now)

        new = self._apply(mailing_id, changed)
        self._launch_soon(new, self._clock.now())
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

        state = self.state(mailing_id)
        self._mailings.align_counts(state, self._clock.now())
        new = self._apply(mailing_id, reopened)
        self._hint(Unit(UnitKind.REOPEN, mailing_id))
        return new

    def _apply(self, mailing_id: str, step: Callable[[Mailing, datetime], Mailing]) -> Mailing:
        for _ in range(_TRIES):
            old = self.get(mailing_id)
            new = step(old, self._clock.now())
            if self._mailings.change(old, new):
                tell_change(old, new)
                return new
        raise Conflict(Fault.MAILING_BEING_CHANGED)


def _checked_id(mailing_id: str) -> str:
    if not is_mailing_id(mailing_id):
        raise NotFound(Fault.NO_SUCH_MAILING, name=repr(mailing_id[:80]))
    return mailing_id
