"""Budgets: the cost of calls is reserved before they are made, so that all senders together never exceed a budget."""

from __future__ import annotations

import random
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ...clock import SystemClock
from ...domain.budgets import BudgetScope, PausedFor, Spending
from ...domain.clients import Contact
from ...domain.errors import Unavailable
from ...domain.messages import Attempt, MessageKey, taken
from ...domain.prices import PriceList
from ...domain.sms import part_count
from ...domain.statuses import MailingStatus
from ...observability import BUDGET_NOTICES, logger, measure
from ...storage.mailings import MailingRepository
from ...storage.spending import SpendingRepository
from ..gateways import Gateways
from ..mailing_log import log_change
from .batch import Batch, Job, Result
from .mailing_cache import MailingCache

_TRIES = 3  # to reserve money while other senders do so too
_AGAIN = (1.0, 3.0)  # seconds until a message without money is seen again
_PRICES_KNOWN_FOR = timedelta(minutes=1)
_KEPT = 200  # budgets whose spending is remembered


class Budgets:
    """What senders know and do about budgets. A message without a budget costs nothing here."""

    def __init__(
        self,
        mailings: MailingRepository,
        spending: SpendingRepository,
        prices: Callable[[], PriceList],
        mailing_cache: MailingCache,
        gateways: Gateways,
        clock: SystemClock,
        rng: random.Random,
    ) -> None:
        self._mailings = mailings
        self._spending = spending
        self._read_prices = prices
        self._mailing_cache = mailing_cache
        self._gateways = gateways
        self._clock = clock
        self._rng = rng
        self._prices: tuple[datetime, PriceList] | None = None
        self._known: OrderedDict[BudgetScope, Decimal] = OrderedDict()

    def set_aside(self, jobs: Sequence[Job], contacts: Mapping[MessageKey, Contact], batch: Batch) -> list[Job]:
        """The jobs that there is money for, with their costs. A mailing that has too little left is paused.

        The price is for the client's current number, by message in `contacts`.
        """
        budgets = self._budgets_of(jobs)
        if not budgets:
            return list(jobs)
        prices = self._price_list()
        ready = [job for job in jobs if not _scopes_of(job, budgets)]
        paid: list[Job] = []
        for job in jobs:
            if scopes := _scopes_of(job, budgets):
                number = contacts[job.message.key].phone_number
                if prices:
                    job.cost = prices.charged(number, job.parts or part_count(job.words), job.gateway)
                job.scopes = scopes
                paid.append(job)
        if not prices:
            self._turn_away(paid, PausedFor.NO_PRICES, batch)
            return ready
        for scope, (budget, why) in budgets.items():
            own = [job for job in paid if scope in job.scopes]
            got, used_up = self._paid(scope, own, budget)
            missing = {job.message.key for job in own} - {job.message.key for job in got}
            left = [job for job in own if job.message.key in missing]
            # What was reserved for them before in other budgets.
            self.give_back(replace(job, scopes=job.scopes[: job.scopes.index(scope)]) for job in left)
            self._turn_away(left, why if used_up else None, batch)
            paid = [job for job in paid if job.message.key not in missing]
        return ready + paid

    def give_back(self, jobs: Iterable[Job]) -> None:
        """Give back what was reserved for jobs that the gateway does not charge."""
        amounts: defaultdict[BudgetScope, Decimal] = defaultdict(Decimal)
        for job in jobs:
            for scope in job.scopes:
                amounts[scope] += job.cost
        for scope, amount in amounts.items():
            try:
                if amount:
                    self._spending.give_back(scope, amount)
            except Unavailable as error:
                logger.warning("money not given back", **_named(scope), error=str(error))

    def settle(self, done: Iterable[Result]) -> None:
        """Give back what was reserved for calls that were not made, or that the gateway did not take."""
        self.give_back(job for job, result in done if not (isinstance(result, Attempt) and taken([result])))

    def _budgets_of(self, jobs: Iterable[Job]) -> dict[BudgetScope, tuple[Decimal, PausedFor]]:
        """The budgets of jobs, those of mailings first; look-ups are free."""
        found: dict[BudgetScope, tuple[Decimal, PausedFor]] = {}
        for job in jobs:
            if job.mailing.budget is not None:
                found[BudgetScope(job.mailing.mailing_id)] = job.mailing.budget, PausedFor.BUDGET
        now = self._clock.now()
        for gateway in dict.fromkeys(job.gateway for job in jobs):
            budget = self._gateways[gateway].control.state().month_budget
            if budget is not None:
                found[BudgetScope.of_month(gateway, now)] = budget, PausedFor.MONTH_BUDGET
        return found

    def _paid(self, scope: BudgetScope, jobs: Sequence[Job], budget: Decimal) -> tuple[Sequence[Job], bool]:
        """The jobs that there is money for, and whether too little is left for the others."""
        try:
            for _ in range(_TRIES):
                known = self._known.get(scope)
                spent = self._spending.spent(scope) if known is None else known
                paid = jobs[: Spending(budget, spent).affords(job.cost for job in jobs)]
                if len(paid) < len(jobs) and known is not None:  # another sender may have given something back
                    del self._known[scope]
                    continue
                if not paid:
                    return (), bool(jobs)
                amount = sum((job.cost for job in paid), Decimal(0))
                after = self._spending.spend(scope, amount, budget)
                if after is not None:
                    self._remember(scope, after)
                    self._notice(scope, Spending(budget, after), amount)
                    return paid, len(paid) < len(jobs)
                self._known.pop(scope, None)
        except Unavailable as error:
            logger.warning("money not set aside", **_named(scope), error=str(error))
        return (), False  # others were quicker each time, or it is not known

    def _remember(self, scope: BudgetScope, spent: Decimal) -> None:
        self._known[scope] = spent
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)

    def _turn_away(self, jobs: Sequence[Job], why: PausedFor | None, batch: Batch) -> None:
        """Let messages be seen again; they are dropped then if their mailings are paused."""
        for job in jobs:
            batch.keep(job.received, job.message.key, self._rng.uniform(*_AGAIN))
        if why:
            for mailing_id in dict.fromkeys(job.mailing.mailing_id for job in jobs):
                self._pause(mailing_id, why)

    def _notice(self, scope: BudgetScope, now: Spending, amount: Decimal) -> None:
        if now.nearly_used_up and not Spending(now.budget, now.spent - amount).nearly_used_up:
            measure(BUDGET_NOTICES)
            logger.warning("budget nearly used up", **_named(scope), spent=str(now.spent), budget=str(now.budget))

    def _pause(self, mailing_id: str, why: PausedFor) -> None:
        """Pause the mailing if it still runs; another sender may have done that."""
        try:
            state = self._mailing_cache.refresh(mailing_id)
            if state is None or state.mailing.status is not MailingStatus.RUNNING:
                return
            paused = state.mailing.paused_by_service(why, self._clock.now())
            if self._mailings.change(state.mailing, paused):
                log_change(state.mailing, paused)
                measure(BUDGET_NOTICES)
                logger.warning("mailing paused by the service", mailing_id=mailing_id, why=str(why))
            self._mailing_cache.refresh(mailing_id)
        except Unavailable as error:
            logger.warning("mailing not paused", mailing_id=mailing_id, error=str(error))

    def _price_list(self) -> PriceList:
        now = self._clock.now()
        if self._prices is None or not timedelta(0) <= now - self._prices[0] < _PRICES_KNOWN_FOR:
            self._prices = (now, self._read_prices())
        return self._prices[1]


def _scopes_of(job: Job, budgets: Mapping[BudgetScope, object]) -> tuple[BudgetScope, ...]:
    """The budgets of a job, in their order."""
    if job.message.ask:
        return ()
    of_month, mailing_id = (True, job.gateway), job.mailing.mailing_id
    return tuple(one for one in budgets if one.mailing_id == mailing_id or (bool(one.month), one.gateway) == of_month)


def _named(scope: BudgetScope) -> dict[str, Any]:
    if scope.mailing_id:
        return {"mailing_id": scope.mailing_id}
    return {"gateway": scope.gateway or "default", "month": scope.month}
