"""Budgets: no mailing costs more than it may, whoever sends; it is paused, and goes on if it may cost more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from chalicelib.domain.budgets import PausedFor, Purse, Spending
from chalicelib.domain.errors import Invalid
from chalicelib.domain.faults import Fault
from chalicelib.domain.mailings import Mailing, OnUnknown
from chalicelib.domain.messages import Outcome
from chalicelib.domain.prices import Entry
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from chalicelib.services.mailing_fields import MailingFields
from tests.support.world import World, new_world

PRICES: dict[int, Entry] = {0: ("7", "2.5", "RUB", ""), 1: ("7925", "4", "RUB", "")}


@pytest.fixture
def world() -> Iterator[World]:
    with new_world() as world:
        world.services.prices().put(PRICES, "tester")
        yield world


def change_budget(world: World, mailing: Mailing, budget: str | None) -> None:
    amount = Decimal(budget) if budget else None
    world.services.mailings.revise(mailing.mailing_id, lambda old: MailingFields(**_fields(old) | {"budget": amount}))


def _fields(mailing: Mailing) -> dict[str, object]:
    given = MailingFields.of(mailing)
    return {name: getattr(given, name) for name in MailingFields.__dataclass_fields__}


def spent(world: World, mailing: Mailing) -> Decimal:
    return world.services.mailings.state(mailing.mailing_id).spent


def test_a_mailing_is_paused_when_its_budget_is_used_up_and_goes_on_with_a_larger_one(world: World) -> None:
    world.add_clients(40)
    mailing = world.create_mailing(budget=Decimal("50.5"))
    world.run_for(60)
    paused = world.services.mailings.get(mailing.mailing_id)
    assert (paused.status, paused.paused_for) == ("paused", PausedFor.BUDGET)
    assert (world.counts(mailing)["sent"], spent(world, mailing)) == (20, Decimal(50))
    change_budget(world, mailing, "1000")
    world.services.mailings.resume(mailing.mailing_id)
    world.run_until_finished(mailing)
    assert (world.counts(mailing), spent(world, mailing)) == ({"total": 40, "sent": 40}, Decimal(100))
    assert world.services.mailings.get(mailing.mailing_id).paused_for is None
    assert len({call.phone_number for call in world.gateway.log}) == len(world.gateway.log) == 40


def test_a_mailing_goes_on_if_its_budget_is_lifted(world: World) -> None:
    world.add_clients(10)
    mailing = world.create_mailing(budget=Decimal(5))
    world.run_for(60)
    change_budget(world, mailing, None)
    world.services.mailings.resume(mailing.mailing_id)
    world.run_until_finished(mailing)
    assert world.counts(mailing) == {"total": 10, "sent": 10}


def test_parts_and_prices_of_numbers_count(world: World) -> None:
    """Expects three parts of a long text at the price of each number, the dearest for a number without one."""
    world.add_clients(2, operator="916")
    world.add_clients(2, operator="925", tag="other")
    mailing = world.create_mailing(text="x" * 400, tag="vip", budget=Decimal(1000))
    dear = world.create_mailing(text="x" * 400, tag="other", budget=Decimal(1000))
    world.run_until_finished(mailing)
    world.run_until_finished(dear)
    assert (spent(world, mailing), spent(world, dear)) == (Decimal(15), Decimal(24))


def test_what_the_gateway_refuses_costs_nothing_and_what_it_may_have_taken_does(world: World) -> None:
    refused, lost = Answer(Outcome.REFUSED, Cause.http(400), 400), Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
    clients = world.add_clients(30)
    ids: dict[int, int] = {}
    world.gateway.script = lambda gateway_id, nth: [refused, lost, Answer(Outcome.ACCEPTED)][
        ids.setdefault(gateway_id, len(ids)) % 3
    ]
    mailing = world.create_mailing(budget=Decimal(1000), on_unknown=OnUnknown.HOLD)
    world.run_until_finished(mailing)
    counts = world.counts(mailing)
    assert min(counts["failed"], counts["unknown"]) > 0
    assert sum(counts.values()) == 2 * len(clients)
    assert spent(world, mailing) == Decimal("2.5") * (counts["sent"] + counts["unknown"])


def test_a_mailing_whose_price_list_is_gone_is_paused(world: World) -> None:
    world.add_clients(3)
    mailing = world.create_mailing(starts_in=120, budget=Decimal(5))
    world.services.prices().put({}, "tester")
    world.run_for(180)
    assert world.services.mailings.get(mailing.mailing_id).paused_for is PausedFor.NO_PRICES
    assert not world.gateway.log


def test_all_mailings_of_a_month_stay_within_its_budget(world: World) -> None:
    """Expects them to stop at what the month may cost together, and to go on with a larger budget."""
    world.services.gateway_control.set_month_budget(Decimal("62.5"), "tester")
    world.add_clients(20)
    world.add_clients(20, tag="other", operator="915")
    first = world.create_mailing(budget=Decimal(40))
    second = world.create_mailing(tag="other")
    world.run_for(60)
    both = [world.services.mailings.get(one.mailing_id) for one in (first, second)]
    assert any(one.paused_for for one in both)  # by which budget is a matter of who was first
    month = Purse.of_month("", world.clock.now())
    assert (world.services.spending.spent(month), len(world.gateway.log)) == (Decimal("62.5"), 25)
    assert spent(world, first) <= 40
    assert spent(world, first) == Decimal("2.5") * world.counts(first).get("sent", 0)
    world.services.gateway_control.set_month_budget(Decimal(100), "tester")
    change_budget(world, first, "100")
    for one in both:
        if one.paused_for:
            world.services.mailings.resume(one.mailing_id)
    world.run_for(60)
    assert {world.status(first), world.status(second)} == {"finished"}
    assert len({call.phone_number for call in world.gateway.log}) == len(world.gateway.log) == 40
    assert world.services.spending.spent(month) == Decimal(100)
    assert world.services.spending.spent(Purse.of_month("", world.clock.now() + timedelta(days=31))) == 0


def test_a_budget_needs_prices(world: World) -> None:
    world.services.prices().put({}, "tester")
    world.add_clients(1)
    with pytest.raises(Invalid) as refused:
        world.create_mailing(budget=Decimal(5))
    assert [(one.field, one.fault) for one in refused.value.errors] == [("budget", Fault.BUDGET_WITHOUT_PRICES)]


@pytest.mark.parametrize("budget", ["0", "-1", "1000000001", "0.0000001"])
def test_a_budget_is_an_amount_of_money(world: World, budget: str) -> None:
    world.add_clients(1)
    with pytest.raises(Invalid) as refused:
        world.create_mailing(budget=Decimal(budget))
    assert [(one.field, one.fault) for one in refused.value.errors] == [("budget", Fault.BUDGET)]


def test_a_spending_is_nearly_used_up_at_80_per_cent() -> None:
    told = {amount: Spending(Decimal(10), Decimal(amount)).nearly_used_up for amount in ("7.99", "8", "10")}
    assert told == {"7.99": False, "8": True, "10": True}


@pytest.mark.parametrize("seed", range(3))
def test_twenty_senders_together_stay_within_a_budget(seed: int) -> None:
    """Expects what the gateway took to cost as much as the budget, to the last message, and the rest to expire."""
    with new_world(seed, {"tick": 1, "dispatcher": 3, "sender": 20}) as world:
        world.services.prices().put(PRICES, "tester")
        world.add_clients(400)
        mailing = world.create_mailing(budget=Decimal(300), lasts=600)
        world.run_for(120)
        taken = [call for call in world.gateway.log if call.outcome is Outcome.ACCEPTED]
        assert len(taken) == 120
        assert world.status(mailing) == "paused"
        world.scheduler.run_until(world.clock.now() + timedelta(seconds=600))
        counts = world.counts(mailing)
        assert (counts["sent"], counts["total"]) == (120, 400)


def test_the_price_of_the_gateway_that_sends_counts() -> None:
    with new_world(several=True) as world:
        world.services.prices().put({0: ("7", "2", "RUB", ""), 1: ("7", "3", "RUB", "other")}, "tester")
        world.add_clients(20)
        mailing = world.create_mailing(budget=Decimal(1000))
        world.run_until_finished(mailing)
        by_gateway = Counter(row.attempts[-1].gateway for row in world.rows(mailing))
        assert min(by_gateway[""], by_gateway["other"]) > 0
        assert spent(world, mailing) == 2 * by_gateway[""] + 3 * by_gateway["other"]
        fields = MailingFields.of(mailing)
        named = world.services.previews.draft(replace(fields, gateway="other", start_at=world.clock.now()))
        assert named.price
        assert named.price.amount == Decimal("60.00")
        shared = world.services.previews.draft(replace(fields, start_at=world.clock.now())).price
        assert shared
        assert shared.amount == Decimal("50.00")
