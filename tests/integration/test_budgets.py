"""Budgets: no mailing costs more than it may, whoever sends; it is paused, and goes on with a larger budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from chalicelib.domain.budgets import BudgetScope, PausedFor, Spending
from chalicelib.domain.errors import Invalid
from chalicelib.domain.faults import Fault
from chalicelib.domain.mailings import Mailing, OnUnknown
from chalicelib.domain.messages import Outcome
from chalicelib.domain.prices import Entry
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from chalicelib.services.mailing_fields import MailingFields
from tests.support.simulation import Simulation, new_simulation

PRICES: dict[int, Entry] = {0: ("7", "2.5", "RUB", ""), 1: ("7925", "4", "RUB", "")}


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with new_simulation() as simulation:
        simulation.services.prices().put(PRICES, "tester")
        yield simulation


def change_budget(simulation: Simulation, mailing: Mailing, budget: str | None) -> None:
    amount = Decimal(budget) if budget else None
    simulation.services.mailings.revise(
        mailing.mailing_id, lambda old: MailingFields(**_fields(old) | {"budget": amount})
    )


def _fields(mailing: Mailing) -> dict[str, object]:
    given = MailingFields.of(mailing)
    return {name: getattr(given, name) for name in MailingFields.__dataclass_fields__}


def spent(simulation: Simulation, mailing: Mailing) -> Decimal:
    return simulation.services.mailings.state(mailing.mailing_id).spent


def test_a_mailing_is_paused_when_its_budget_is_used_up_and_goes_on_with_a_larger_one(simulation: Simulation) -> None:
    simulation.add_clients(40)
    mailing = simulation.create_mailing(budget=Decimal("50.5"))
    simulation.run_for(60)
    paused = simulation.services.mailings.get(mailing.mailing_id)
    assert (paused.status, paused.paused_for) == ("paused", PausedFor.BUDGET)
    assert (simulation.counts(mailing)["sent"], spent(simulation, mailing)) == (20, Decimal(50))
    change_budget(simulation, mailing, "1000")
    simulation.services.mailing_actions.resume(mailing.mailing_id)
    simulation.run_until_finished(mailing)
    assert (simulation.counts(mailing), spent(simulation, mailing)) == ({"total": 40, "sent": 40}, Decimal(100))
    assert simulation.services.mailings.get(mailing.mailing_id).paused_for is None
    assert len({call.phone_number for call in simulation.gateway.log}) == len(simulation.gateway.log) == 40


def test_a_mailing_goes_on_if_its_budget_is_removed(simulation: Simulation) -> None:
    simulation.add_clients(10)
    mailing = simulation.create_mailing(budget=Decimal(5))
    simulation.run_for(60)
    change_budget(simulation, mailing, None)
    simulation.services.mailing_actions.resume(mailing.mailing_id)
    simulation.run_until_finished(mailing)
    assert simulation.counts(mailing) == {"total": 10, "sent": 10}


def test_a_budget_of_a_running_mailing_counts_from_then_on(simulation: Simulation) -> None:
    simulation.add_clients(40)
    mailing = simulation.create_mailing(rate_limit=1)
    simulation.run_for(10)
    before = simulation.counts(mailing)["sent"]
    change_budget(simulation, mailing, "25")
    simulation.run_for(60)
    assert simulation.services.mailings.get(mailing.mailing_id).paused_for is PausedFor.BUDGET
    assert before > 3
    assert spent(simulation, mailing) == Decimal(25)
    # What was under way when the budget came is not of it.
    assert before + 10 <= simulation.counts(mailing)["sent"] <= before + 12


def test_parts_and_prices_of_numbers_count(simulation: Simulation) -> None:
    """Expects three parts of a long text at each number's price; a number without a price costs the highest one."""
    simulation.add_clients(2, operator="916")
    simulation.add_clients(2, operator="925", tag="other")
    mailing = simulation.create_mailing(text="x" * 400, tag="vip", budget=Decimal(1000))
    dear = simulation.create_mailing(text="x" * 400, tag="other", budget=Decimal(1000))
    simulation.run_until_finished(mailing)
    simulation.run_until_finished(dear)
    assert (spent(simulation, mailing), spent(simulation, dear)) == (Decimal(15), Decimal(24))


def test_refused_messages_cost_nothing_but_those_of_unknown_outcome_do(simulation: Simulation) -> None:
    refused, lost = Answer(Outcome.REFUSED, Cause.http(400), 400), Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
    clients = simulation.add_clients(30)
    ids: dict[int, int] = {}
    simulation.gateway.script = lambda gateway_id, nth: [refused, lost, Answer(Outcome.ACCEPTED)][
        ids.setdefault(gateway_id, len(ids)) % 3
    ]
    mailing = simulation.create_mailing(budget=Decimal(1000), on_unknown=OnUnknown.HOLD)
    simulation.run_until_finished(mailing)
    counts = simulation.counts(mailing)
    assert min(counts["failed"], counts["unknown"]) > 0
    assert sum(counts.values()) == 2 * len(clients)
    assert spent(simulation, mailing) == Decimal("2.5") * (counts["sent"] + counts["unknown"])


def test_a_mailing_is_paused_if_its_price_list_is_gone(simulation: Simulation) -> None:
    simulation.add_clients(3)
    mailing = simulation.create_mailing(starts_in=120, budget=Decimal(5))
    simulation.services.prices().put({}, "tester")
    simulation.run_for(180)
    assert simulation.services.mailings.get(mailing.mailing_id).paused_for is PausedFor.NO_PRICES
    assert not simulation.gateway.log


def test_all_mailings_of_a_month_stay_within_the_months_budget(simulation: Simulation) -> None:
    """Expects them to stop at what the month may cost together, and to go on with a larger budget."""
    simulation.services.gateway_control.set_month_budget(Decimal("62.5"), "tester")
    simulation.add_clients(20)
    simulation.add_clients(20, tag="other", operator="915")
    first = simulation.create_mailing(budget=Decimal(40))
    second = simulation.create_mailing(tag="other")
    simulation.run_for(60)
    both = [simulation.services.mailings.get(one.mailing_id) for one in (first, second)]
    assert any(one.paused_for for one in both)  # by which budget is a matter of who was first
    month = BudgetScope.of_month("", simulation.clock.now())
    assert (simulation.services.spending.spent(month), len(simulation.gateway.log)) == (Decimal("62.5"), 25)
    assert spent(simulation, first) <= 40
    assert spent(simulation, first) == Decimal("2.5") * simulation.counts(first).get("sent", 0)
    simulation.services.gateway_control.set_month_budget(Decimal(100), "tester")
    change_budget(simulation, first, "100")
    for one in both:
        if one.paused_for:
            simulation.services.mailing_actions.resume(one.mailing_id)
    simulation.run_for(60)
    assert {simulation.status(first), simulation.status(second)} == {"finished"}
    assert len({call.phone_number for call in simulation.gateway.log}) == len(simulation.gateway.log) == 40
    assert simulation.services.spending.spent(month) == Decimal(100)
    assert (
        simulation.services.spending.spent(BudgetScope.of_month("", simulation.clock.now() + timedelta(days=31))) == 0
    )


def test_a_budget_needs_prices(simulation: Simulation) -> None:
    simulation.services.prices().put({}, "tester")
    simulation.add_clients(1)
    with pytest.raises(Invalid) as refused:
        simulation.create_mailing(budget=Decimal(5))
    assert [(one.field, one.fault) for one in refused.value.errors] == [("budget", Fault.BUDGET_WITHOUT_PRICES)]


@pytest.mark.parametrize("budget", ["0", "-1", "1000000001", "0.0000001"])
def test_a_budget_is_an_amount_of_money(simulation: Simulation, budget: str) -> None:
    simulation.add_clients(1)
    with pytest.raises(Invalid) as refused:
        simulation.create_mailing(budget=Decimal(budget))
    assert [(one.field, one.fault) for one in refused.value.errors] == [("budget", Fault.BUDGET)]


def test_a_budget_is_nearly_used_up_at_80_per_cent() -> None:
    told = {amount: Spending(Decimal(10), Decimal(amount)).nearly_used_up for amount in ("7.99", "8", "10")}
    assert told == {"7.99": False, "8": True, "10": True}


@pytest.mark.parametrize("seed", range(3))
def test_twenty_senders_together_stay_within_a_budget(seed: int) -> None:
    """Expects what the gateway accepted to cost as much as the budget, to the last message, and the rest to expire."""
    with new_simulation(seed, {"tick": 1, "dispatcher": 3, "sender": 20}) as simulation:
        simulation.services.prices().put(PRICES, "tester")
        simulation.add_clients(400)
        mailing = simulation.create_mailing(budget=Decimal(300), lasts=600)
        simulation.run_for(120)
        taken = [call for call in simulation.gateway.log if call.outcome is Outcome.ACCEPTED]
        assert len(taken) == 120
        assert simulation.status(mailing) == "paused"
        simulation.scheduler.run_until(simulation.clock.now() + timedelta(seconds=600))
        counts = simulation.counts(mailing)
        assert (counts["sent"], counts["total"]) == (120, 400)


def test_the_price_of_the_gateway_that_sends_counts() -> None:
    with new_simulation(several=True) as simulation:
        simulation.services.prices().put({0: ("7", "2", "RUB", ""), 1: ("7", "3", "RUB", "other")}, "tester")
        simulation.add_clients(20)
        mailing = simulation.create_mailing(budget=Decimal(1000))
        simulation.run_until_finished(mailing)
        by_gateway = Counter(row.attempts[-1].gateway for row in simulation.rows(mailing))
        assert min(by_gateway[""], by_gateway["other"]) > 0
        assert spent(simulation, mailing) == 2 * by_gateway[""] + 3 * by_gateway["other"]
        fields = MailingFields.of(mailing)
        named = simulation.services.previews.draft(replace(fields, gateway="other", start_at=simulation.clock.now()))
        assert named.price
        assert named.price.amount == Decimal("60.00")
        shared = simulation.services.previews.draft(replace(fields, start_at=simulation.clock.now())).price
        assert shared
        assert shared.amount == Decimal("50.00")
