"""The fields of a mailing that people set, and when each may be changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ..domain.budgets import check_budget
from ..domain.errors import Conflict, Invalid
from ..domain.faults import Fault
from ..domain.local_window import LocalWindow
from ..domain.mailings import Late, Mailing, Missing, OnUnknown, check_text, check_window
from ..domain.segments import Segment
from ..domain.statuses import MailingStatus, MessageStatus
from ..domain.templates import TemplateLink

MISSED = (MessageStatus.FAILED, MessageStatus.EXPIRED, MessageStatus.CANCELLED)
_API_NAMES = {"start_at": "start_time", "end_at": "end_time", "segment": "clients"}


@dataclass(frozen=True, slots=True)
class MailingFields:
    """The fields of a mailing that people set."""

    text: str
    segment: Segment
    start_at: datetime
    end_at: datetime
    name: str = ""
    on_unknown: OnUnknown | None = None  # None: what suits the gateway
    rate_limit: int | None = None
    local_window: LocalWindow | None = None
    late: Late = Late.RUN
    include_unreachable: bool = False
    texts: tuple[tuple[str, str], ...] = ()
    missing: Missing = Missing.SKIP
    gateway: str = ""
    template: TemplateLink | None = None
    keep_values: bool = True
    budget: Decimal | None = None

    @classmethod
    def of(cls, mailing: Mailing) -> MailingFields:
        """The fields of a mailing."""
        return cls(**{one.name: getattr(mailing, one.name) for one in dataclass_fields(cls)})

    def over(self, mailing: Mailing) -> Mailing:
        """The mailing with these fields. If its text is another one, it is not from its template any more."""
        same = (self.text, self.texts) == (mailing.text, mailing.texts)
        template = self.template or (mailing.template if same else None)
        return replace(mailing, **self._values(mailing.on_unknown) | {"template": template})

    def ordered(
        self,
        mailing_id: str,
        created_by: str,
        now: datetime,
        on_unknown: OnUnknown,
        status: MailingStatus = MailingStatus.SCHEDULED,
    ) -> Mailing:
        """A new mailing with these fields; `on_unknown` is used if the fields leave it open."""
        return Mailing(
            mailing_id=mailing_id,
            status=status,
            revision=1,
            created_at=now,
            updated_at=now,
            created_by=created_by,
            **self._values(on_unknown),
        )

    def _values(self, on_unknown: OnUnknown) -> dict[str, Any]:
        values = {one.name: getattr(self, one.name) for one in dataclass_fields(self)}
        moments = {"start_at": _whole_ms(self.start_at), "end_at": _whole_ms(self.end_at)}
        return values | moments | {"on_unknown": self.on_unknown or on_unknown}


def missed_by(mailing: Mailing, *, unknown: bool = False) -> Segment:
    """The segment of clients whom a mailing certainly did not reach: messages failed, expired or were cancelled.

    With `unknown`, also those whose outcome is unknown.
    """
    statuses = [str(one) for one in MISSED]
    node = {"mailing": mailing.mailing_id, "status": [*statuses, *([str(MessageStatus.UNKNOWN)] if unknown else [])]}
    return Segment.checked((), (), node, mailing.segment.recipients)


def check_fields(fields: MailingFields, now: datetime) -> None:
    """Raises Invalid with each wrong field."""
    errors = check_text(fields.text) + check_window(fields.start_at, fields.end_at, now) + check_budget(fields.budget)
    if errors:
        raise Invalid(*errors)


def check_changeable(old: Mailing, new: Mailing) -> None:
    """Raises Conflict, with what can be changed instead, if it is too late for the change."""
    allowed = old.state.fields
    names = [one.name for one in dataclass_fields(Mailing)]
    refused = [name for name in names if getattr(old, name) != getattr(new, name) and name not in allowed]
    if refused or not allowed:
        if not allowed:
            raise Conflict(Fault.MAILING_NOT_CHANGEABLE, status=old.status)
        changeable = ", ".join(sorted(_API_NAMES.get(name, name) for name in allowed))
        kept = ", ".join(_API_NAMES.get(name, name) for name in refused)
        raise Conflict(Fault.MAILING_PARTLY_CHANGEABLE, status=old.status, refused=kept, names=changeable)


def check_kept(old: Mailing, new: Mailing, retain: timedelta) -> None:
    """Raises Invalid if the end of a launched mailing would be so late that messages could be deleted before it.

    The ledger keeps messages for `retain` after the end that the mailing had when they were written; zero means for
    ever.
    """
    if old.launched_at and retain and new.end_at > max(old.end_at, old.launched_at + retain):
        raise Invalid.of("end_time", Fault.END_AFTER_RETENTION, days=retain.days)


def widened(old: Mailing, new: Mailing, now: datetime) -> Mailing:
    """The changed mailing, marked if its end was set later after it had started.

    Messages that had expired are then sent after all: at once if it is running or paused, by a retry if it has
    finished.
    """
    if old.launched_at is None or new.end_at <= old.end_at:
        return new
    expired = str(MessageStatus.EXPIRED)
    marked = not old.status.ended and expired not in new.reopening
    return replace(new, widened_at=now, reopening=(*new.reopening, expired) if marked else new.reopening)


def _whole_ms(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
