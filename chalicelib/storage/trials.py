"""Test messages: how many were sent lately, and the result of each, by the key of its request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pynamodb.exceptions import PutError, UpdateError

from ..domain.idempotency import IdempotencyKey
from .dynamodb import translated, was_refused
from .moments import to_ms
from .tables import Tables

_REQUESTS, _COUNTS = "test-messages", "test-messages-sent"


@dataclass(frozen=True, slots=True)
class EarlierTrial:
    """A test message that was sent with the same key. `result` is "" as long as it is not known."""

    fingerprint: str
    result: str


class TrialRepository:
    """Test messages in the settings table, where DynamoDB removes them some time after they expire."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.settings

    def count(self, now: datetime, most: int) -> bool:
        """Count one more in this minute. Returns False if there were `most` already."""
        model, minute = self._model, f"{now:%Y-%m-%dT%H:%M}"
        expires_at = to_ms(now + timedelta(hours=1)) // 1000
        with translated("settings"):
            try:
                model(_COUNTS, minute).update(
                    actions=[model.amount.add(1), model.expires_at.set(expires_at)],
                    condition=model.amount.does_not_exist() | (model.amount < most),
                )
            except UpdateError as error:
                if not was_refused(error):
                    raise
                return False
        return True

    def begin(self, request: IdempotencyKey, now: datetime, until: datetime) -> bool:
        """Save a request before its message is sent. Returns False if its key is in use."""
        model = self._model
        row = model(_REQUESTS, request.name, fingerprint=request.fingerprint, expires_at=to_ms(until) // 1000)
        with translated("settings"):
            try:
                row.save(model.scope.does_not_exist() | (model.expires_at <= to_ms(now) // 1000))
            except PutError as error:
                if not was_refused(error):
                    raise
                return False
        return True

    def end(self, request: IdempotencyKey, result: str) -> None:
        """Save the result."""
        with translated("settings"):
            self._model(_REQUESTS, request.name).update(actions=[self._model.content.set(result)])

    def forget(self, request: IdempotencyKey, now: datetime) -> None:
        """Let the key be used again, because nothing was sent."""
        with translated("settings"):
            self._model(_REQUESTS, request.name).update(actions=[self._model.expires_at.set(to_ms(now) // 1000)])

    def find(self, request: IdempotencyKey, now: datetime) -> EarlierTrial | None:
        """The test message that was sent with this key, as long as it is remembered."""
        with translated("settings"):
            rows = list(self._model.query(_REQUESTS, self._model.name == request.name, consistent_read=True))
        if not rows or int(rows[0].expires_at or 0) <= to_ms(now) // 1000:
            return None
        return EarlierTrial(rows[0].fingerprint or "", rows[0].content or "")
