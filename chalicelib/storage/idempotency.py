"""Requests that created a mailing, by their keys, for as long as they can be repeated."""

from __future__ import annotations

from datetime import datetime

from pynamodb.transactions import TransactWrite

from ..domain.idempotency import IdempotencyKey, OrderedMailing
from ..domain.mailings import Mailing
from .dynamodb import translated
from .moments import to_ms
from .tables import Tables

_SCOPE = "requests"


class IdempotencyRepository:
    """Keys in the settings table, where DynamoDB removes them some time after they expire."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.settings

    def keep(self, transaction: TransactWrite, request: IdempotencyKey, mailing: Mailing, until: datetime) -> None:
        """Let the transaction save the request too; it fails if the key is in use."""
        model = self._model
        kept = model(
            _SCOPE,
            request.name,
            fingerprint=request.fingerprint,
            mailing_id=mailing.mailing_id,
            changed_at=mailing.created_at,
            expires_at=to_ms(until) // 1000,
        )
        unused = model.scope.does_not_exist() | (model.expires_at <= to_ms(mailing.created_at) // 1000)
        transaction.save(kept, condition=unused)

    def find(self, request: IdempotencyKey, now: datetime) -> OrderedMailing | None:
        """The mailing created with the request's key, as long as it is remembered."""
        with translated("settings"):
            rows = list(self._model.query(_SCOPE, self._model.name == request.name, consistent_read=True))
        if not rows or int(rows[0].expires_at or 0) <= to_ms(now) // 1000:
            return None
        assert rows[0].changed_at  # noqa: S101 - every request has it
        return OrderedMailing(rows[0].fingerprint or "", rows[0].mailing_id or "", rows[0].changed_at)
