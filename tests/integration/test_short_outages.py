"""A gateway that is gone for a second: once it is back, everything goes on within seconds, whoever was in trouble."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from chalicelib.queues import Hint, Unit, UnitKind
from tests.support.scripted_gateway import NO_CONNECTION
from tests.support.world import World, new_world

MANY = 600
OPEN, PARKED, FED = 6, 3, 3  # seconds: until the first probe, of who waits for it, between looks at those


def gone_for(world: World, seconds: float, after: int) -> None:
    """Let a mailing run until so many calls were made, and nobody reach the gateway for so long."""
    log = world.gateway.log
    assert world.scheduler.run_until(world.clock.now() + timedelta(seconds=60), lambda: len(log) >= after)
    world.gateway.everybody = NO_CONNECTION
    world.run_for(seconds)
    world.gateway.everybody = None


@pytest.mark.parametrize(
    ("seed", "after"),
    [(1, 150), *(pytest.param(*one, marks=pytest.mark.proof) for one in ((0, 30), (2, 400), (3, 560)))],
)
def test_a_second_without_gateway_costs_seconds(seed: int, after: int) -> None:
    """Expects one trip of the circuit for all batches that were under way, a probe when its five seconds are over, and
    everybody sent, and the mailing finished, a few seconds later."""
    with new_world(seed=seed, workers_of={"tick": 1, "dispatcher": 4, "sender": 4}) as world:
        world.add_clients(MANY)
        mailing = world.create_mailing()
        gone_for(world, 1, after)
        back = world.clock.now()
        world.run_until_finished(mailing, 300)
        took = (max(call.at for call in world.gateway.log) - back).total_seconds()
        assert world.counts(mailing) == {"total": MANY, "sent": MANY}
        assert took < OPEN + PARKED + FED
        assert (world.clock.now() - back).total_seconds() < took + 3


def test_the_pump_that_a_closed_circuit_starts_feeds_at_once() -> None:
    """Whoever runs it has read a moment before that the circuit is open: it is closed, and nobody else will come."""
    with new_world() as world:
        world.add_clients(30)
        world.services.gateway_control.hold("somebody")
        world.create_mailing()
        world.run_for(20)
        assert world.bodies(world.settings.send_queue) == []
        for task in world.scheduler.tasks:
            world.scheduler.freeze(task)
        control, elsewhere = (
            world.services.gateway_control,
            world.workers.build(world.clock, random.Random(2), ThreadPoolExecutor(1)),
        )
        assert control.state().open
        elsewhere.gateway_control.close("somebody")
        world.services.feeder.feed(Unit(UnitKind.FEED), world.clock.now() + timedelta(seconds=11))
        hints = [Hint.parse(body) for body in world.bodies(world.settings.send_queue)]
        assert sum(len(hint.client_ids) for hint in hints) == 30
