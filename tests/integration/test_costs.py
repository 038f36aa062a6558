"""A mailing's cost: what the API says is what its calls cost by AWS's rules and prices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache

import pytest

from benchmarks import budget, mailing
from benchmarks.cost import priced_lines
from benchmarks.mailing import Function, Measured
from chalicelib.domain.costs import PRICES, Usage, estimate, expected
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from tests.support.campaign import Campaign, new_campaign

SIZES = (300, budget.CLIENTS)
COUNTED = ("write_units", "read_units", "queue_requests")


@pytest.fixture
def campaign() -> Iterator[Campaign]:
    with new_campaign() as campaign:
        yield campaign


@lru_cache
def measured_mailing(size: int) -> Measured:
    return mailing.run(size)


def test_a_mailing_takes_no_more_calls_and_units_than_its_budget() -> None:
    """Expects at most the counts in benchmarks/budget.json; a change that needs more has to change that file."""
    assert budget.excess(budget.counted(measured_mailing(budget.CLIENTS)), budget.read()) == []


def test_one_more_call_exceeds_the_budget() -> None:
    """Expects each figure to have its own limit, and calls that nobody has planned for to be too many."""
    planned = {"sender": {"calls": 2.0}}
    assert budget.excess({"sender": {"calls": 2.0}}, planned) == []
    assert budget.excess({"sender": {"calls": 3.0}}, planned) == ["sender calls: 3, and may be 2"]
    assert budget.excess({"tick": {"calls": 1.0}}, planned) == ["tick calls: 1, and may be 0"]


@pytest.mark.parametrize("size", SIZES)
def test_an_estimate_agrees_with_the_calls_of_a_mailing(size: int) -> None:
    """Expects the units of a mailing's real calls, within a tenth; time depends on the machine."""
    measured = measured_mailing(size)
    bill = sum(priced_lines(measured).values(), Usage()) * (size / 1_000_000)
    counted = sum(PRICES.lines(bill)[kind] for kind in COUNTED)
    lines = PRICES.lines(expected(size, size))
    assert sum(lines[kind] for kind in COUNTED) == pytest.approx(counted, rel=0.1)
    assert estimate(size, size) == pytest.approx(PRICES.total(bill), rel=0.15)


def test_a_million_messages_cost_less_than_sixty_cents() -> None:
    """Expects everything, logs and transfer too, to stay within what the service is meant to cost."""
    assert 0.4 < estimate(1_000_000, 1_000_000) < 0.6


def test_logs_and_transfer_are_counted_as_they_are_written_and_sent() -> None:
    """Expects 200 bytes for each accepted message, which has no line of its own. A call is its text, its token and
    more."""
    lines = priced_lines(measured_mailing(budget.CLIENTS))
    logged = {who: usage.log_bytes / 1_000_000 for (what, who), usage in lines.items() if what == "logs"}
    assert 5 < logged["sender"] < 30
    assert sum(logged.values()) < 60
    assert 600 < lines["transfer to the gateway", "sender"].bytes_out / 1_000_000 < 1000


def test_a_slow_gateway_costs_time_in_rounds() -> None:
    """Expects a hundred calls of a second, fifty at once, to take two seconds of a function."""
    seconds = Function(1024, invocations=3, batches=Counter({100: 2, 7: 1}))
    assert seconds.usage(0.0, 1.0, 50).gb_seconds == 5
    assert seconds.usage(0.0, 1.0, 100).gb_seconds == 3


def test_a_preview_estimates_what_the_mailing_costs_then(campaign: Campaign) -> None:
    """Expects the same estimate before and after, and an actual cost close to it if all goes well."""
    # A simulated sender calls for one message after the other, a real one for fifty at once.
    campaign.simulation.gateway.latency = timedelta(milliseconds=5)
    campaign.add_clients(5, opted_out=True)
    campaign.add_clients(60)
    mailing_id = campaign.order(starts_in=timedelta(minutes=10))
    preview = campaign.api.get(f"/api/mailing/{mailing_id}/preview").json["cost"]
    before = campaign.api.get(f"/api/mailing/{mailing_id}/stats").json["cost"]
    assert (before["estimate"], before["actual"], preview["actual"]) == (None, None, None)
    campaign.finish(mailing_id)
    after = campaign.api.get(f"/api/mailing/{mailing_id}/stats").json["cost"]
    assert after["estimate"] == preview["estimate"] == round(estimate(65, 60), 6) > 0
    assert after["actual"] == pytest.approx(after["estimate"], rel=0.1)
    assert (after["currency"], after["region"]) == ("USD", "us-east-1")


def test_failures_add_to_the_actual_cost(campaign: Campaign) -> None:
    """Expects a second attempt of every message to cost its share of two more writes, and its hint."""
    accepted, failed = Answer(Outcome.ACCEPTED), Answer(Outcome.FAILED, Cause.http(503), 503)
    places: dict[int, int] = {}

    def every_third(gateway_id: int, nth: int) -> Answer:
        """Never several failures in a row, even if two senders take turns: they would open the circuit."""
        place = places.setdefault(gateway_id, len(places))
        return failed if nth == 1 and place % 3 == 0 else accepted

    campaign.simulation.gateway.script = every_third
    mailing_id = campaign.send(60)
    cost = campaign.api.get(f"/api/mailing/{mailing_id}/stats").json["cost"]
    again = campaign.simulation.gateway.calls().total() - 60
    assert again > 10
    assert cost["actual"] - cost["estimate"] == pytest.approx(again * 2e-6, rel=0.3)


def test_a_retry_adds_to_the_cost(campaign: Campaign) -> None:
    """Expects the cost to go on from where it was when failed messages are sent again."""
    campaign.simulation.gateway.script = lambda gateway_id, nth: Answer(
        Outcome.REFUSED, Cause.http(400 + 10 * (gateway_id % 2)), 400
    )
    mailing_id = campaign.send(30)
    first = campaign.api.get(f"/api/mailing/{mailing_id}/stats").json["cost"]["actual"]
    campaign.simulation.gateway.script = lambda gateway_id, nth: Answer(Outcome.ACCEPTED)
    assert campaign.api.post(f"/api/mailing/{mailing_id}/retry", {}).status == 200
    campaign.finish(mailing_id)
    assert campaign.api.get(f"/api/mailing/{mailing_id}/stats").json["cost"]["actual"] > first + 20 * 1e-6
