"""The price list of the gateways, in one item of the settings table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.audit_acts import prices_act
from ..domain.prices import PriceList
from .audit import AuditLog
from .dynamodb import transact, translated
from .models import SettingModel
from .tables import Tables

_SCOPE, _NAME = "prices", "list"


class PriceRepository:
    """Stores the price list; the last one counts."""

    def __init__(self, tables: Tables, backoff: Backoff) -> None:
        self._model: type[SettingModel] = tables.settings
        self._connection = tables.connection
        self._backoff = backoff
        self._audit = AuditLog(tables, backoff)

    def get(self) -> PriceList:
        """The price list, empty if there is none."""
        with translated("prices"):
            rows: Any = list(self._model.query(_SCOPE, self._model.name == _NAME))
        if not rows:
            return PriceList()
        body = json.loads(rows[0].body)
        of_gateways = {name: _decimals(own) for name, own in body.get("of_gateways", {}).items()}
        prices = _decimals(body["prices"])
        return PriceList(
            currency=body["currency"],
            prices=prices,
            of_gateways=of_gateways,
            changed_at=rows[0].changed_at,
            changed_by=rows[0].changed_by or "",
        )

    def put(self, prices: PriceList) -> None:
        """Replace the list."""
        body = json.dumps(
            {
                "currency": prices.currency,
                "prices": _texts(prices.prices),
                "of_gateways": {name: _texts(own) for name, own in prices.of_gateways.items()},
            },
            separators=(",", ":"),
        )
        row = self._model(_SCOPE, _NAME, body=body, changed_at=prices.changed_at, changed_by=prices.changed_by)
        act = prices_act(self.get(), prices)

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                transaction.save(row)
                self._audit.note(transaction, act, prices.changed_at)

        with translated("prices"):
            transact(self._backoff, run)


def _decimals(texts: Mapping[str, str]) -> dict[str, Decimal]:
    return {prefix: Decimal(text) for prefix, text in texts.items()}


def _texts(prices: Mapping[str, Decimal]) -> dict[str, str]:
    return {prefix: str(price) for prefix, price in prices.items()}
