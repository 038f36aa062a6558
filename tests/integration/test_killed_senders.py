"""Killed senders and lost queues, as `make run` has them, on a virtual clock: what there was to do goes on soon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.messages import Outcome
from chalicelib.gateways.base import Answer
from infra.local.service import visibility
from tests.support.scheduler import Crash
from tests.support.world import World, new_world

OK = Answer(Outcome.ACCEPTED)
SENDERS = 4
MANY = 300


def as_at_home(**settings: Any) -> Iterator[World]:
    with new_world(workers_of={"tick": 1, "dispatcher": 4, "sender": SENDERS}, **settings) as world:
        world.runner.sources["sender"].visibility = visibility(world.settings)["sender"]
        yield world


def killed_all(world: World) -> None:
    """Every worker stops where it is, and begins anew."""
    for task in list(world.scheduler.tasks):
        world.scheduler.doom(task)


@pytest.fixture
def world() -> Iterator[World]:
    """Four senders, which hide what they receive for as long as those of `make run`."""
    yield from as_at_home()


@pytest.mark.parametrize("after", [20, 150])
def test_what_killed_senders_had_goes_on_when_their_claims_end(world: World, after: int) -> None:
    """All senders are killed at one moment and start again at once: 45 s and some later nothing is left to do."""
    world.add_clients(MANY)
    killed_at: list[datetime] = []
    killed: set[str] = set()

    def script(gateway_id: int, nth: int) -> Answer:
        task = world.scheduler.current
        assert task is not None
        if len(world.gateway.log) > after and task.name not in killed:
            killed.add(task.name)
            killed_at.append(world.clock.now())
            raise Crash
        return OK

    world.gateway.script = script
    mailing = world.create_mailing()
    lease = timedelta(seconds=world.settings.claim_lease)
    assert world.scheduler.run_until(world.clock.now() + lease, lambda: len(killed) == SENDERS)
    assert max(killed_at) - min(killed_at) < timedelta(seconds=1)
    world.scheduler.run_until(max(killed_at) + lease + timedelta(seconds=5))
    assert world.counts(mailing) == {"total": MANY, "sent": MANY}
    repeated = [row.attempts for row in world.rows(mailing) if len(row.attempts) > 1]
    assert all([one.outcome for one in made] == [Outcome.UNKNOWN, Outcome.ACCEPTED] for made in repeated)
    assert sum(calls > 1 for calls in world.gateway.calls().values()) <= len(repeated)
    assert not world.gateway.overlaps
    assert max(call.at for call in world.gateway.log) > min(killed_at) + lease - timedelta(seconds=1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("after", [0, 60, 250])
def test_lost_queues_are_filled_again_within_a_minute(after: int, seed: int) -> None:
    """The emulator and all others are killed at one moment: what was on the queues, or in hand, is sent again when
    leases and claims end. Without that the tick would find out after up to two minutes."""
    for world in as_at_home(seed=seed):
        world.add_clients(MANY)
        mailing = world.create_mailing()
        prefix = world.settings.resource_prefix
        log = world.gateway.log
        world.scheduler.run_until(world.clock.now() + timedelta(seconds=60), lambda log=log: len(log) > after)
        for name in ("send", "dispatch"):
            world.queue(f"{prefix}-{name}").clear()
        killed_all(world)
        began = world.clock.now()
        world.services.feeder.restart_all()
        world.scheduler.wake_idle()
        world.run_for(55)
        assert sum(world.gateway.accepted().values()) >= MANY
        assert max(call.at for call in log) < began + timedelta(seconds=50)
        world.run_until_finished(mailing)
        assert world.counts(mailing) == {"total": MANY, "sent": MANY}
        assert not world.gateway.overlaps


def test_no_call_begins_that_could_end_after_its_claim() -> None:
    """A short CLAIM_LEASE and a slow gateway: a message that is seen again when its claim has ended has one caller."""
    for world in as_at_home(claim_lease=16.0, gateway_read_timeout=4.0, gateway_concurrency=1, sender_batch=None):
        world.gateway.latency, world.gateway.read_limit = timedelta(seconds=3.5), 4.0
        world.add_clients(40)
        mailing = world.create_mailing()
        world.run_until_finished(mailing)
        assert world.counts(mailing) == {"total": 40, "sent": 40}
        assert not world.gateway.overlaps
        assert set(world.gateway.calls().values()) == {1}
