"""Mailings that start in the same second: one unit launches several, and none keeps the others from starting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from botocore.exceptions import ConnectionClosedError

from chalicelib.domain.mailings import Mailing
from chalicelib.queues import Unit, UnitKind
from chalicelib.services.dispatching.dispatcher import TOGETHER
from tests.support.aws import Call
from tests.support.scheduler import Crash
from tests.support.simulation import Simulation, new_simulation

MANY = 45


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with new_simulation(threads=True, workers_of={"tick": 1, "dispatcher": 3, "sender": 2}) as made:
        made.add_clients(2, tag="few")
        yield made


def ordered(simulation: Simulation, count: int = MANY) -> list[Mailing]:
    """Mailings to two clients each that start together, so late that the next tick sends their units."""
    return [simulation.create_mailing(tag="few", text=str(number), starts_in=100) for number in range(count)]


def calls(simulation: Simulation) -> Counter[str]:
    """How often the gateway was called for each mailing."""
    return Counter(call.text for call in simulation.gateway.log)


def launches(simulation: Simulation) -> list[Unit]:
    """What is on the dispatch queue."""
    bodies = [message["body"] for message in simulation.queue(simulation.settings.dispatch_queue)]
    return [unit for unit in map(Unit.parse, bodies) if unit.kind is UnitKind.LAUNCH]


def test_many_mailings_are_launched_several_at_a_time(simulation: Simulation) -> None:
    """Each is in one unit, and everybody gets each once."""
    mailings = ordered(simulation)
    simulation.run_for(70)
    units = launches(simulation)
    assert sorted(one for unit in units for one in unit.mailing_ids) == sorted(one.mailing_id for one in mailings)
    assert {len(unit.mailing_ids) for unit in units} == {3}  # a group for each of twenty dispatchers
    simulation.run_for(60)
    assert calls(simulation) == Counter({str(number): 2 for number in range(MANY)})
    assert {simulation.status(one) for one in mailings} == {"finished"}


def test_few_mailings_are_launched_one_by_one(simulation: Simulation) -> None:
    """Other dispatchers have nothing else to do."""
    ordered(simulation, 5)
    simulation.run_for(70)
    assert [len(unit.mailing_ids) for unit in launches(simulation)] == [1] * 5


def test_mailings_that_were_changed_meanwhile_are_launched_as_they_are_now(simulation: Simulation) -> None:
    """Expects paused and deleted ones not to be launched."""
    mailings = ordered(simulation)
    simulation.run_for(70)
    service = simulation.services.mailing_actions
    service.pause(mailings[0].mailing_id)
    service.cancel(mailings[1].mailing_id)
    service.delete(mailings[1].mailing_id)
    simulation.run_for(60)
    assert calls(simulation) == Counter({str(number): 2 for number in range(2, MANY)})


def test_a_mailing_that_cannot_be_launched_stops_no_other(simulation: Simulation) -> None:
    """Expects a later tick to launch it, once that is possible."""
    mailings = ordered(simulation)
    bad, others = mailings[7].mailing_id, simulation.aws.before

    def fail(call: Call) -> None:
        if call.operation == "dynamodb.TransactWriteItems" and bad.encode() in call.body:
            raise ConnectionClosedError(endpoint_url="fault")
        others(call)

    simulation.aws.before = fail
    simulation.run_for(110)
    assert calls(simulation) == Counter({str(number): 2 for number in range(MANY) if number != 7})
    simulation.aws.before = others
    simulation.run_for(130)
    assert calls(simulation) == Counter({str(number): 2 for number in range(MANY)})


@pytest.mark.parametrize("number", [2, pytest.param(TOGETHER + 3, marks=pytest.mark.proof)])
def test_a_dispatcher_that_is_killed_among_them_loses_none(simulation: Simulation, number: int) -> None:
    """Its unit comes again, and launches the rest; nobody gets anything twice."""
    mailings = ordered(simulation)
    usual, seen = simulation.aws.after, 0

    def crash(call: Call) -> None:
        nonlocal seen
        task = simulation.scheduler.current
        if task and task.name.startswith("dispatcher") and call.operation == "dynamodb.TransactWriteItems":
            seen += 1
            if seen == number:
                raise Crash
        usual(call)

    simulation.aws.after = crash
    simulation.run_for(1200)
    assert simulation.workers is not None
    assert simulation.workers.crashes
    assert calls(simulation) == Counter({str(number): 2 for number in range(MANY)})
    assert {simulation.status(one) for one in mailings} == {"finished"}
