"""A gateway that is gone for a second: once it is back, everything goes on within seconds."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from chalicelib.queues import Hint, Unit, UnitKind
from tests.support.scripted_gateway import NO_CONNECTION
from tests.support.simulation import Simulation, new_simulation

MANY = 600
OPEN, PARKED, FED = 6, 3, 3  # seconds: until the first probe, of who waits for it, between looks at those


def gone_for(simulation: Simulation, seconds: float, after: int) -> None:
    """Run a mailing until so many calls were made, and then keep the gateway unreachable for so long."""
    log = simulation.gateway.log
    assert simulation.scheduler.run_until(simulation.clock.now() + timedelta(seconds=60), lambda: len(log) >= after)
    simulation.gateway.everybody = NO_CONNECTION
    simulation.run_for(seconds)
    simulation.gateway.everybody = None


@pytest.mark.parametrize(
    ("seed", "after"),
    [(1, 150), *(pytest.param(*one, marks=pytest.mark.proof) for one in ((0, 30), (2, 400), (3, 560)))],
)
def test_a_second_without_the_gateway_costs_seconds(seed: int, after: int) -> None:
    """Expects the circuit to open once for all batches under way, a probe when its five seconds are over, and
    everybody to have the message, and the mailing to be finished, a few seconds later."""
    with new_simulation(seed=seed, workers_of={"tick": 1, "dispatcher": 4, "sender": 4}) as simulation:
        simulation.add_clients(MANY)
        mailing = simulation.create_mailing()
        gone_for(simulation, 1, after)
        back = simulation.clock.now()
        simulation.run_until_finished(mailing, 300)
        took = (max(call.at for call in simulation.gateway.log) - back).total_seconds()
        assert simulation.counts(mailing) == {"total": MANY, "sent": MANY}
        assert took < OPEN + PARKED + FED
        assert (simulation.clock.now() - back).total_seconds() < took + 3


def test_the_feeder_that_a_closed_circuit_starts_feeds_at_once() -> None:
    """It read a moment before that the circuit is open: it is closed, and no other feeder will come."""
    with new_simulation() as simulation:
        simulation.add_clients(30)
        simulation.services.gateway_control.hold("somebody")
        simulation.create_mailing()
        simulation.run_for(20)
        assert simulation.bodies(simulation.settings.send_queue) == []
        for task in simulation.scheduler.tasks:
            simulation.scheduler.freeze(task)
        control, elsewhere = (
            simulation.services.gateway_control,
            simulation.workers.build(simulation.clock, random.Random(2), ThreadPoolExecutor(1)),
        )
        assert control.state().open
        elsewhere.gateway_control.close("somebody")
        simulation.services.feeder.feed(Unit(UnitKind.FEED), simulation.clock.now() + timedelta(seconds=11))
        hints = [Hint.parse(body) for body in simulation.bodies(simulation.settings.send_queue)]
        assert sum(len(hint.client_ids) for hint in hints) == 30
