"""Activity: how many messages ended in each hour, and which mailings sent something on each day.

Each hour has an item, to which every batch adds. Each day and mailing has an item, written when the mailing ends.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from pynamodb.expressions.operand import Path

from ..domain.statuses import TERMINAL
from .dynamodb import translated
from .moments import to_ms
from .tables import Tables

_SCOPE = "activity"
_NAME = "%Y-%m-%dT%H"
_KEPT = timedelta(days=8)
_DAY_SCOPE = "sent on %Y-%m-%d"
_DAY_KEPT = timedelta(days=40)  # as long as the record that a day's report was sent
_DAY = timedelta(days=1)
_PAGE = 1000


class ActivityRepository:
    """Counts of ended messages.

    If an answer is lost and botocore repeats the call, a batch counts twice; no decision uses them.
    """

    def __init__(self, tables: Tables) -> None:
        self._model = tables.settings

    def add(self, ended: Counter[str], now: datetime) -> None:
        """Add how many messages just got each final status."""
        actions = [Path([status]).add(ended[status]) for status in TERMINAL if ended[status] > 0]
        if not actions:
            return
        expires_at = self._model.expires_at.set(to_ms(now + _KEPT) // 1000)
        with translated("settings"):
            self._model(_SCOPE, f"{now.astimezone(UTC):{_NAME}}").update(actions=[*actions, expires_at])

    def take_back(self, ended: Iterable[tuple[datetime, str]], now: datetime) -> None:
        """Subtract messages whose status has changed from the hours in which they got their earlier status."""
        hours: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for at, status in ended:
            if status in TERMINAL and now - at < _KEPT:
                hours[f"{at.astimezone(UTC):{_NAME}}"][status] += 1
        expires_at = self._model.expires_at.set(to_ms(now + _KEPT) // 1000)
        with translated("settings"):
            for name, counts in sorted(hours.items()):
                actions = [Path([status]).add(-count) for status, count in sorted(counts.items())]
                self._model(_SCOPE, name).update(actions=[*actions, expires_at])

    def note_days(self, mailing_id: str, sent_at: Iterable[datetime], now: datetime) -> None:
        """Note that a mailing sent messages on the days (UTC) of these moments, but not on days before the last 40."""
        scopes = {f"{moment:{_DAY_SCOPE}}" for moment in sent_at if moment > now - _DAY_KEPT}
        with translated("settings"):
            for scope in sorted(scopes):
                expires_at = self._model.expires_at.set(int((now + _DAY_KEPT).timestamp()))
                self._model(scope, mailing_id).update(actions=[expires_at])

    def mailings(self, since: datetime, until: datetime, limit: int) -> Sequence[str]:
        """Ended mailings that sent messages on the days (UTC) from `since` to `until`, up to `limit` for each."""
        day = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        found: dict[str, None] = {}
        with translated("settings"):
            while day < until:
                rows = self._model.query(f"{day:{_DAY_SCOPE}}", page_size=min(limit, _PAGE))
                found |= dict.fromkeys(row.name for row in islice(rows, limit))
                day += _DAY
        return list(found)

    def read(self, since: datetime) -> Mapping[datetime, Counter[str]]:
        """The counts by the start of the hour (UTC), from the hour of `since` on; at most a week."""
        with translated("settings"):
            rows = list(self._model.query(_SCOPE, self._model.name >= f"{since.astimezone(UTC):{_NAME}}"))
        return {
            datetime.strptime(row.name, _NAME).replace(tzinfo=UTC): Counter(
                {status: int(count) for status in TERMINAL if (count := getattr(row, status, None) or 0) > 0}
            )
            for row in rows
        }
