"""Activity: how many messages of all mailings ended in which hour, one item an hour, to which every batch adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pynamodb.expressions.operand import Path

from ..domain.mailings import TERMINAL
from .models import Tables, to_ms
from .retries import translated

_SCOPE = "activity"
_NAME = "%Y-%m-%dT%H"
_KEPT = timedelta(days=8)


class ActivityRepository:
    """Where an answer is lost and botocore repeats the call, a batch is counted twice: nothing is decided by it."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.settings

    def add(self, ended: Counter[str], now: datetime) -> None:
        """Add how many messages came to which final status just now."""
        actions = [Path([status]).add(ended[status]) for status in TERMINAL if ended[status] > 0]
        if not actions:
            return
        expires_at = self._model.expires_at.set(to_ms(now + _KEPT) // 1000)
        with translated("settings"):
            self._model(_SCOPE, f"{now.astimezone(UTC):{_NAME}}").update(actions=[*actions, expires_at])

    def read(self, since: datetime) -> Mapping[datetime, Counter[str]]:
        """The counts by the beginning of the hour (UTC), of the hour of `since` and those after it; a week at most."""
        with translated("settings"):
            rows = list(self._model.query(_SCOPE, self._model.name >= f"{since.astimezone(UTC):{_NAME}}"))
        return {
            datetime.strptime(row.name, _NAME).replace(tzinfo=UTC): Counter(
                {status: int(count) for status in TERMINAL if (count := getattr(row, status))}
            )
            for row in rows
        }
