"""Mailings that another mailing's filter refers to: they must not be deleted before that one has its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from ..domain.errors import Conflict, Invalid, NotFound
from ..domain.faults import Fault
from ..domain.filter_checks import FIELD
from ..domain.mailings import Mailing
from ..storage.mailings import MailingRepository
from .mailing_fields import MailingFields

_TRIES = 5
_EXPANDED_WITHIN = timedelta(days=1)  # even a large mailing has its rows long before


def keep_asked(
    mailings: MailingRepository, fields: MailingFields, retain: timedelta, now: datetime
) -> Iterator[Mailing]:
    """Protect the mailings in a mailing's filter from being deleted before its end. Yields each one that was changed.

    With a `retain` time (zero means for ever), their messages must be kept until after its start. Raises Invalid if
    they are not, or if there is no such mailing, and Conflict if others keep changing one.
    """
    start = max(fields.start_at, now)
    for mailing_id in sorted(fields.segment.filter.mailings) if fields.segment.filter else ():
        for _ in range(_TRIES):
            try:
                asked = mailings.get(mailing_id)
            except NotFound as error:
                raise Invalid.of(FIELD, Fault.FILTER_NO_MAILING, name=mailing_id) from error
            last_start = asked.end_at + retain - _EXPANDED_WITHIN
            if retain and start > last_start:
                raise Invalid.of(FIELD, Fault.FILTER_FORGOTTEN, name=mailing_id, day=last_start.date())
            if asked.asked_until and asked.asked_until >= fields.end_at:
                break
            kept = replace(asked, asked_until=fields.end_at, revision=asked.revision + 1, updated_at=now)
            if mailings.change(asked, kept):
                yield kept
                break
        else:
            raise Conflict(Fault.MAILING_BEING_CHANGED)


def check_not_asked(mailing: Mailing, now: datetime) -> None:
    """Raises Conflict if another mailing's filter still refers to this one."""
    if mailing.asked_until and mailing.asked_until > now:
        until = mailing.asked_until.isoformat(sep=" ", timespec="minutes")
        raise Conflict(Fault.MAILING_ASKED_ABOUT, until=until)
