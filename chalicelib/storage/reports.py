"""The mailings of the daily report, and the record that it was sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from pynamodb.exceptions import UpdateError

from ..domain.mailings import Mailing
from ..domain.statuses import MailingStatus
from .dynamodb import translated, was_refused
from .leases import given_back, held, is_free
from .mailing_rows import DELETED, META, mailing_of
from .tables import Tables

_SCOPE = "reports"
_KEPT_FOR = timedelta(days=40)
_PAGE = 250


class ReportRepository:
    """Finds mailings by their start. Has an item for each day whose report was sent or is being made."""

    def __init__(self, tables: Tables) -> None:
        self._mailings = tables.mailings
        self._settings = tables.settings

    def mailings(self, status: MailingStatus, since: datetime, until: datetime, limit: int) -> Sequence[Mailing]:
        """Up to `limit` mailings of a status that start in a span of time, the latest first."""
        model = self._mailings
        with translated("mailings"):
            rows = model.query(
                str(status),
                model.start_at.between(since, until),
                index_name="by_status",
                scan_index_forward=False,
                page_size=min(limit, _PAGE),
            )
            return [mailing_of(row) for row in islice(rows, limit)]

    def named(self, mailing_ids: Sequence[str]) -> Sequence[Mailing]:
        """The mailings with these ids, as far as they exist."""
        with translated("mailings"):
            rows = self._mailings.batch_get([(one, META) for one in mailing_ids])
            return [mailing_of(row) for row in rows if row.status != DELETED]

    def claim(self, day: date, owner: str, now: datetime, until: datetime) -> bool:
        """Claim a day's report until a time. Returns False if it was sent or another worker has claimed it."""
        model = self._settings
        free = is_free(model, now, until)
        actions = [*held(model, owner, until), model.expires_at.set(_expiry(now))]
        return self._update(day, model.body.does_not_exist() & free, actions)

    def begin(self, day: date, owner: str, now: datetime) -> bool:
        """Record that the e-mail is about to be sent, so that nobody sends another.

        Returns False if the claim is lost.
        """
        model = self._settings
        actions = [model.body.set("sending"), model.changed_at.set(now)]
        return self._update(day, model.body.does_not_exist() & (model.owner == owner), actions)

    def give_back(self, day: date, owner: str) -> None:
        """Record that the e-mail was not sent, so that it will be tried again."""
        model = self._settings
        self._update(day, model.owner == owner, [model.body.remove(), *given_back(model)])

    def sent(self, day: date, owner: str, now: datetime) -> None:
        """Record that the e-mail was sent."""
        model = self._settings
        self._update(day, model.owner == owner, [model.body.set("sent"), model.changed_at.set(now)])

    def _update(self, day: date, condition: Any, actions: Sequence[Any]) -> bool:
        with translated("settings"):
            try:
                self._settings(_SCOPE, day.isoformat()).update(actions=list(actions), condition=condition)
            except UpdateError as error:
                if not was_refused(error):
                    raise
                return False
        return True


def _expiry(now: datetime) -> int:
    return int((now + _KEPT_FOR).timestamp())
