"""Budgets: how much money a mailing, or a month at a gateway, may cost by the price list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate

from .errors import FieldError
from .faults import Fault

MOST_MONEY = Decimal(10) ** 9  # of a budget, in the currency of the price list
NOTICE_AT = Decimal("0.8")  # of a budget; then people are notified
_UNIT = Decimal("0.000001")  # amounts have at most six decimal places, as prices have


class PausedFor(StrEnum):
    """Why the service paused a mailing by itself."""

    BUDGET = "budget"  # the next message would cost more than what is left
    MONTH_BUDGET = "month_budget"  # the same for the budget of this month (UTC) at the gateway
    NO_PRICES = "no_prices"  # there is a budget, but no price list any more


USED_UP = frozenset({PausedFor.BUDGET, PausedFor.MONTH_BUDGET})


@dataclass(frozen=True, slots=True)
class BudgetScope:
    """What a budget is for: a mailing, or a month (such as 2026-03) at a gateway, by its internal name."""

    mailing_id: str = ""
    gateway: str = ""
    month: str = ""

    @classmethod
    def of_month(cls, gateway: str, now: datetime) -> BudgetScope:
        """The scope of the month (UTC) at a gateway."""
        return cls(gateway=gateway, month=f"{now:%Y-%m}")


@dataclass(frozen=True, slots=True)
class Spending:
    """A budget and how much of it has gone, in the currency of the price list.

    `spent` counts every call that the gateway may charge, also those with an unknown outcome.
    """

    budget: Decimal
    spent: Decimal

    @property
    def left(self) -> Decimal:
        """What may still be spent, at least zero."""
        return max(Decimal(0), self.budget - self.spent)

    @property
    def nearly_used_up(self) -> bool:
        """Whether so much is spent that people must be notified."""
        return self.spent >= self.budget * NOTICE_AT

    def affords(self, costs: Iterable[Decimal]) -> int:
        """How many of the costs it can pay, from the first one on."""
        return sum(total <= self.left for total in accumulate(costs))


def check_budget(amount: Decimal | None, field: str = "budget") -> list[FieldError]:
    """What is wrong with a budget."""
    if amount is None or (0 < amount <= MOST_MONEY and amount % _UNIT == 0):
        return []
    return [FieldError(field, Fault.BUDGET, {"most": f"{MOST_MONEY:,f}"})]


def written(amount: Decimal | None) -> str | None:
    """An amount as the API, forms and logs show it, such as 1500.50; None if there is none."""
    return None if amount is None else f"{amount:f}"


def to_millionths(amount: Decimal) -> int:
    """An amount as tables store it: in millionths."""
    return int(amount / _UNIT)


def from_millionths(amount: int) -> Decimal:
    """The amount that is stored as so many millionths."""
    return Decimal(amount) * _UNIT
