"""The last known balances of gateways, in the settings table."""

from __future__ import annotations

import json

from ..domain.balances import Balance
from .dynamodb import translated
from .models import SettingModel
from .moments import from_ms, to_ms
from .tables import Tables

_SCOPE = "gateway-balance"


class BalanceRepository:
    """Keeps the last balance of each gateway, by the name that people know."""

    def __init__(self, tables: Tables) -> None:
        self._model: type[SettingModel] = tables.settings

    def get(self, gateway: str) -> Balance | None:
        """The last balance, None if there is none yet. Raises Unavailable."""
        with translated("settings"):
            rows = list(self._model.query(_SCOPE, self._model.name == gateway))
        if not rows:
            return None
        told = json.loads(rows[0].body or "{}")
        failed_at = told.pop("failed_at", None)
        return Balance(**told, asked_at=rows[0].changed_at, failed_at=None if failed_at is None else from_ms(failed_at))

    def put(self, gateway: str, balance: Balance) -> None:
        """Replace the last balance. Raises Unavailable."""
        failed_at = to_ms(balance.failed_at) if balance.failed_at else None
        body = json.dumps({"amount": balance.amount, "currency": balance.currency, "failed_at": failed_at})
        with translated("settings"):
            self._model(_SCOPE, gateway, body=body, changed_at=balance.asked_at).save()
