"""Mailings: creating, changing and reading them."""

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
from ..domain.errors import Invalid, Malformed, NotFound
from ..domain.faults import Fault
from ..domain.idempotency import KEY_FIELD, IdempotencyKey
from ..domain.mailing_ids import checked_mailing_id, is_mailing_id
from ..domain.mailings import Mailing, MailingState, OnUnknown, Statistics
from ..domain.segments import Segment
from ..domain.statuses import MailingStatus
from ..observability import MAILINGS_CREATED, logger, measure
from ..storage.mailings import MailingRepository
from .audiences import Audiences
from .gateways import Gateways
from .mailing_changes import MailingChanges
from .mailing_fields import MailingFields, check_changeable, check_fields, check_kept, widened
from .prices import PriceService
from .recipients import RecipientFiles

REQUESTS_KEPT = timedelta(hours=24)  # how long the key of a request is remembered
_CURSOR = re.compile(r"|([0-9A-Z]{26}):([0-9]{1,15})")  # a mailing's id, and its start where the list is sorted by it


class MailingService:
    """Create, read, change and list mailings."""

    def __init__(
        self,
        mailings: MailingRepository,
        audiences: Audiences,
        recipients: RecipientFiles,
        changes: MailingChanges,
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
        self._changes = changes
        self._clock = clock
        self._rng = rng
        self._retain = retain
        self._gateways = gateways

    def on_unknown(self, gateway: str = "") -> OnUnknown:
        """The default of a mailing's `on_unknown`, for this gateway or for all."""
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

        A request repeated with the same key gets the first answer again, with the text of its template and the clients
        of its `saved` segment as they were then. Raises Invalid if the key was used for a different request.
        """
        now = self._clock.now()
        status = MailingStatus.DRAFT if draft else MailingStatus.SCHEDULED
        earlier = self._mailings.ordered_by(request, now) if request else None
        if earlier is None:
            check_fields(fields, now)
            self._check_gateway(fields)
            self._recipients.check(fields.segment, fields.end_at)
            self._check_budget(fields.budget)
            self._changes.keep_asked(fields, now)
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
        self._changes.launch_soon(mailing, now)
        return mailing

    def _as_copied(self, mailing: Mailing, *, saved: bool) -> Mailing:
        """A mailing that was ordered earlier, with the contents of its template, and of its `saved` segment, at that
        time.
        """
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

    def _new_id(self, now: datetime) -> str:
        milliseconds = int(now.timestamp() * 1000)
        return str(ULID.from_bytes(milliseconds.to_bytes(6, "big") + self._rng.randbytes(10)))

    def get(self, mailing_id: str) -> Mailing:
        """The mailing with this id. Raises NotFound if there is none."""
        return self._mailings.get(checked_mailing_id(mailing_id))

    def titles(self, mailing_ids: Iterable[str | None]) -> dict[str, str]:
        """The names of mailings for people, by their ids, as far as they exist. Takes one call for a hundred."""
        return self._mailings.titles(one for one in mailing_ids if one and is_mailing_id(one))

    def state(self, mailing_id: str) -> MailingState:
        """The mailing with its counts. Raises NotFound if there is none."""
        return self._mailings.state(checked_mailing_id(mailing_id))

    def with_counts(self, mailing: Mailing) -> MailingState:
        """The mailing with its counts, which are read only if the mailing does not have its final counts."""
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
        mailings, after = self._mailings.lists.list(status, (place[1], int(place[2])) if cursor else None, limit)
        return mailings, f"{after[0]}:{after[1]}" if after else ""

    def totals(self) -> dict[str, int]:
        """How many mailings there are of each status."""
        return self._mailings.totals()

    def change(self, mailing_id: str, fields: MailingFields) -> Mailing:
        """Set all fields of a mailing. Raises Conflict if it is too late for one of the changes."""
        fields = replace(fields, on_unknown=fields.on_unknown or self.on_unknown(fields.gateway))
        return self.revise(mailing_id, lambda _: fields)

    def revise(self, mailing_id: str, fields_of: Callable[[Mailing], MailingFields]) -> Mailing:
        """Change fields of a mailing, given its current ones. Raises Conflict if it is too late for the change."""

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
                self._changes.keep_asked(fields, now)
            if old.status is not MailingStatus.DRAFT and (new.start_at, new.segment) != (old.start_at, old.segment):
                self._check_reach(new.segment, new.start_at, now)
            return replace(widened(old, new, now), revision=old.revision + 1, updated_at=now)

        new = self._changes.apply(mailing_id, changed)
        self._changes.follow_end(new, self._clock.now())
        return new

    def _check_gateway(self, fields: MailingFields) -> None:
        if fields.gateway:
            self._gateways.named(fields.gateway)  # raises Invalid if there is none
        if fields.on_unknown is OnUnknown.ASK and not self._gateways.capabilities(fields.gateway).tells_later:
            raise Invalid.of("on_unknown", Fault.GATEWAY_CANNOT_BE_ASKED)

    def _check_budget(self, budget: Decimal | None) -> None:
        if budget is not None:
            self._prices().check_there_are_some("budget")
