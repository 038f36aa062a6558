"""Balances: how much money is left at a gateway, as its provider says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Balance:
    """The amount and its currency. Both are "" if the provider did not say.

    `asked_at` is when the provider answered. `failed_at` is when it was last asked, if it did not answer then.
    """

    amount: str = ""
    currency: str = ""
    asked_at: datetime | None = None
    failed_at: datetime | None = None


def amount_of(told: object) -> str:
    """An amount as a text with at least two decimal places, "" if it is not one."""
    text = f"{told:.8f}" if isinstance(told, float) else str(told if isinstance(told, int | str) else "")
    if not _AMOUNT.fullmatch(text):
        return ""
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"


def currency_of(told: object) -> str:
    """The code of a currency, "" if it is not one."""
    return told if isinstance(told, str) and _CURRENCY.fullmatch(told) else ""
