"""Spending: what was spent of budgets; of mailings in their table, of months in the settings table."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pynamodb.exceptions import UpdateError

from ..domain.budgets import BudgetScope, Spending, from_millionths, to_millionths
from .dynamodb import translated, was_refused
from .mailing_rows import SPENT
from .models import MailingModel, SettingModel
from .tables import Tables

_MONTHS = "spent"


class SpendingRepository:
    """An item for each budget that something was spent of."""

    def __init__(self, tables: Tables) -> None:
        self._mailings: type[MailingModel] = tables.mailings
        self._settings: type[SettingModel] = tables.settings

    def spent(self, scope: BudgetScope) -> Decimal:
        """What was spent of a budget."""
        with translated("spending"):
            if scope.mailing_id:
                mine = self._mailings.part == SPENT
                found = [row.spent for row in self._mailings.query(scope.mailing_id, mine, consistent_read=True)]
            else:
                of_month = self._settings.name == _name(scope)
                found = [row.spent for row in self._settings.query(_MONTHS, of_month, consistent_read=True)]
        return from_millionths(sum(int(amount or 0) for amount in found))

    def of_month(self, gateway: str, budget: Decimal | None, now: datetime) -> Spending | None:
        """The budget of this month at a gateway and what was spent of it, None if there is no budget."""
        return None if budget is None else Spending(budget, self.spent(BudgetScope.of_month(gateway, now)))

    def spend(self, scope: BudgetScope, amount: Decimal, budget: Decimal) -> Decimal | None:
        """Spend an amount of a budget. Returns None and changes nothing if less is left.

        Returns what is spent in total. A call that botocore repeats because its answer was lost may count twice, but
        never too little is counted.
        """
        most = to_millionths(budget - amount)
        if most < 0:
            return None
        row = self._row(scope)
        spent = type(row).spent
        with translated("spending"):
            try:
                row.update([spent.add(to_millionths(amount))], condition=spent.does_not_exist() | (spent <= most))
            except UpdateError as error:
                if not was_refused(error):
                    raise
                return None
        return from_millionths(int(row.spent or 0))

    def give_back(self, scope: BudgetScope, amount: Decimal) -> None:
        """Take back what `spend` noted for calls that the gateway does not charge."""
        row = self._row(scope)
        with translated("spending"):
            row.update([type(row).spent.add(-to_millionths(amount))])

    def _row(self, scope: BudgetScope) -> MailingModel | SettingModel:
        if scope.mailing_id:
            return self._mailings(scope.mailing_id, SPENT)
        return self._settings(_MONTHS, _name(scope))


def _name(scope: BudgetScope) -> str:
    return f"{scope.month} {scope.gateway}"
