"""The tick looks at every mailing under way, however many there are, and reports it if it is behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.local_window import LocalWindow, WindowPolicy
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.statuses import MailingStatus
from chalicelib.observability import CHECK_ROUND, MAILINGS_UNCHECKED, invocation
from chalicelib.queues import Unit, UnitKind
from chalicelib.services.dispatching import checks
from tests.support.aws import Call
from tests.support.emf import emitted
from tests.support.full_run import captured
from tests.support.simulation import START, Simulation, new_simulation

MINUTE = timedelta(minutes=1)


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A service whose workers do nothing by themselves."""
    with new_simulation(workers_of={}) as made:
        made.add_clients(1)
        yield made


def running(simulation: Simulation, count: int, **fields: Any) -> list[str]:
    """Running mailings whose shards seem to be leased by a dispatcher: nothing is left to launch."""
    ids = []
    for _ in range(count):
        mailing: Mailing = simulation.create_mailing(lasts=86_400, **fields)
        now = simulation.clock.now()
        launched = replace(mailing.moved_to(MailingStatus.RUNNING, now), launched_at=now)
        assert simulation.services.mailings._mailings.launch(mailing, launched)
        ids.append(mailing.mailing_id)
    simulation.bodies(simulation.settings.dispatch_queue)
    return sorted(ids)


def tick(simulation: Simulation, seconds: float = 60) -> dict[str, list[float]]:
    """One tick with so much time, and its metrics."""
    with captured() as text, invocation("tick"):
        simulation.services.dispatcher.tick(simulation.clock.now() + timedelta(seconds=seconds))
    return {one.name: list(one.values) for one in emitted(text.getvalue())}


def units(simulation: Simulation) -> list[Unit]:
    """Take what is on the dispatch queue."""
    return [Unit.parse(body) for body in simulation.bodies(simulation.settings.dispatch_queue)]


def expanded(found: list[Unit]) -> set[str]:
    return {unit.mailing_id for unit in found if unit.kind is UnitKind.EXPAND}


def slices(found: list[Unit]) -> list[Unit]:
    return [unit for unit in found if unit.kind is UnitKind.CHECK]


def test_each_of_many_mailings_is_looked_at(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects units for the shards of all, none twice, and the time of the round to be reported."""
    monkeypatch.setattr(checks, "AT_ONCE", 5)
    monkeypatch.setattr(checks, "SLICE", 4)
    ids = running(simulation, 11)
    assert tick(simulation)[MAILINGS_UNCHECKED.name] == [0]
    asked = slices(units(simulation))
    assert [len(unit.mailing_ids) for unit in asked] == [4, 4, 3]
    with captured() as text, invocation("dispatcher"):
        for unit in (*asked, asked[0]):
            simulation.clock.sleep(2)
            simulation.services.dispatcher.handle(unit, simulation.clock.now() + MINUTE)
    assert [(one.name, list(one.values)) for one in emitted(text.getvalue())] == [(CHECK_ROUND.name, [6000])]
    found = units(simulation)
    assert expanded(found) == set(ids)
    assert len(found) == 11 * 16


def test_mailings_that_were_not_looked_at_are_sent_again_and_reported(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Expects the next tick to say how many are left and to send units for those alone, until all were looked at."""
    monkeypatch.setattr(checks, "AT_ONCE", 5)
    monkeypatch.setattr(checks, "SLICE", 4)
    running(simulation, 11)
    tick(simulation)
    first, second, third = slices(units(simulation))
    simulation.services.dispatcher.handle(first, simulation.clock.now() + MINUTE)
    simulation.clock.sleep(60)
    caplog.clear()
    assert tick(simulation)[MAILINGS_UNCHECKED.name] == [7]
    (told,) = [record.__dict__ for record in caplog.records if record.levelname == "WARNING"]
    assert (told["message"], told["left"], told["round_takes_s"]) == ("the tick is behind", 7, 60)
    found = units(simulation)
    assert slices(found) == [second, third]
    for unit in slices(found):
        simulation.services.dispatcher.handle(unit, simulation.clock.now() + MINUTE)
    simulation.clock.sleep(60)
    assert tick(simulation)[MAILINGS_UNCHECKED.name] == [0]
    assert slices(units(simulation)) == [first, second, third]


def test_a_round_that_does_not_end_gives_way_to_a_new_one(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expects new mailings to be looked at too, after those that were left."""
    monkeypatch.setattr(checks, "AT_ONCE", 5)
    monkeypatch.setattr(checks, "SLICE", 4)
    ids = running(simulation, 8)
    tick(simulation)
    first, _ = slices(units(simulation))
    simulation.services.dispatcher.handle(first, simulation.clock.now() + MINUTE)
    simulation.clock.sleep(301)
    ids += running(simulation, 2)
    tick(simulation)
    assert [unit.mailing_ids for unit in slices(units(simulation))] == [
        tuple(ids[4:8]),
        tuple(ids[8:]),
        tuple(ids[:4]),
    ]


def test_a_unit_that_runs_out_of_time_leaves_the_rest_to_another(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expects each mailing to be looked at once, if a table is so slow that a unit has no time for its whole slice."""
    monkeypatch.setattr(checks, "AT_ONCE", 5)
    ids = running(simulation, 8)
    tick(simulation)
    simulation.aws.before = lambda call: simulation.clock.sleep(5 if "Query" in call.operation else 0)
    looked: list[str] = []
    for _ in range(6):
        found = units(simulation)
        looked += sorted(expanded(found))
        for unit in slices(found):
            simulation.services.dispatcher.handle(unit, simulation.clock.now() + timedelta(seconds=30))
    assert looked == ids


def test_a_tick_that_runs_out_of_time_says_so_and_leaves_the_rest(simulation: Simulation) -> None:
    """Expects units to look at the mailings of a small installation if the tick is too slow."""
    ids = running(simulation, 8)
    simulation.aws.before = lambda call: simulation.clock.sleep(4 if "Query" in call.operation else 0)
    measured = tick(simulation)[MAILINGS_UNCHECKED.name]
    found = units(simulation)
    (rest,) = slices(found)
    assert measured == [len(rest.mailing_ids)]
    assert 0 < len(rest.mailing_ids) < 8
    simulation.services.dispatcher.handle(rest, simulation.clock.now() + timedelta(minutes=2))
    assert expanded(found) | expanded(units(simulation)) == set(ids)


def test_a_mailing_that_cannot_be_read_stops_no_other(simulation: Simulation) -> None:
    """Expects the tick to fail at its end, after it has looked at all others."""
    ids = running(simulation, 5)

    def break_one(call: Call) -> None:
        if "Query" in call.operation and ids[1].encode() in call.body:
            raise ConnectionError("no answer")

    simulation.aws.before = break_one
    with pytest.raises(Exception, match="1 mailings could not be looked at"):
        tick(simulation)
    assert expanded(units(simulation)) == {*ids} - {ids[1]}


def test_a_corrected_zone_counts_after_everybody_was_looked_for() -> None:
    """Expects a client whose hours begin in five minutes, in their new zone, to get the message then."""
    with new_simulation() as simulation:
        client, *_ = simulation.add_clients(4)
        window = LocalWindow.parse("20:20", "21:00", WindowPolicy.DEFER)
        simulation.create_mailing(lasts=86_400, local_window=window)
        simulation.run_for(900 - 5)
        fields = replace(client.fields, timezone="Asia/Magadan")
        simulation.services.clients.change(client.client_id, fields)
        simulation.run_for(310)
        opens = START + timedelta(minutes=20)
        assert [opens <= call.at <= opens + timedelta(seconds=5) for call in simulation.gateway.log] == [True]


@pytest.mark.parametrize("change", ["nothing", "a message", "ten minutes"])
def test_clients_who_wait_for_tomorrow_are_looked_for_once(change: str) -> None:
    """Expects one read a minute for a mailing that sleeps, and another look for due messages only if there may be
    some."""
    with new_simulation() as simulation:
        simulation.add_clients(4)
        window = LocalWindow.parse("20:00", "21:00", WindowPolicy.DEFER)
        mailing = simulation.create_mailing(lasts=86_400, local_window=window)
        simulation.run_for(300)
        assert simulation.counts(mailing) == {"total": 4, "waiting": 4}
        if change == "a message":
            simulation.services.mailings._mailings.add_counts(
                mailing.mailing_id, Counter(waiting=1), simulation.clock.now()
            )
        if change == "ten minutes":
            simulation.clock.sleep(601)
        simulation.aws.calls.clear()
        looks: list[Call] = []
        simulation.aws.before = lambda call: looks.append(call) if b'"parked"' in call.body else None
        tick(simulation)
        assert len(looks) == {"nothing": 0, "a message": 1, "ten minutes": 1}[change]
