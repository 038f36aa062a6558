"""The clock is set back by an hour: in the middle of a mailing, while everything is restarted, and in an outage."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from tests.support.world import World, new_world

HOUR = timedelta(hours=1)
SOON = 240.0  # seconds within which everything has to go on: the longest lease, a stall, a tick


@pytest.fixture
def world() -> Iterator[World]:
    """A service in which mailings to a hundred people take a while."""
    with new_world() as made:
        made.add_clients(100)
        yield made


def sent(world: World, mailing: Mailing) -> int:
    """How many have got it."""
    return world.counts(mailing).get("sent", 0)


def everybody_got_it_once(world: World, mailing: Mailing) -> None:
    """Expects all to be reached within minutes, though leases, turns and waits say that they end in an hour."""
    world.run_until_finished(mailing, SOON)
    assert world.counts(mailing) == {"total": 100, "sent": 100}
    assert set(world.gateway.accepted().values()) == {1}
    assert world.gateway.overlaps == []


def test_in_the_middle_of_a_mailing(world: World) -> None:
    """Expects it to go on, with its rate."""
    mailing = world.create_mailing(rate_limit=5, lasts=24 * 3600)
    world.run_for(8)
    assert 20 <= sent(world, mailing) < 60
    world.set_clock_back(HOUR)
    everybody_got_it_once(world, mailing)
    calls = sorted(call.at for call in world.gateway.log[60:])
    assert all(later - first >= timedelta(seconds=1) for first, later in zip(calls, calls[6:], strict=False))


def test_while_all_workers_are_restarted(world: World) -> None:
    """Expects leases and claims of workers that are gone to hold nobody up."""
    world.gateway.latency = timedelta(seconds=1)  # half of the messages are in hand then, and wait for their queue
    mailing = world.create_mailing(lasts=24 * 3600)
    world.run_for(3)
    for task in list(world.scheduler.tasks):
        world.scheduler.doom(task)
    world.set_clock_back(HOUR)
    world.run_until_finished(mailing, SOON)
    assert world.counts(mailing) == {"total": 100, "sent": 100}
    assert world.gateway.overlaps == []


def test_while_the_circuit_is_open(world: World) -> None:
    """Expects the gateway to be tried again, and what waits to be sent, though that would be due in an hour."""
    world.gateway.script = lambda gateway_id, nth: Answer(Outcome.FAILED, Cause.http(503), 503)
    mailing = world.create_mailing(lasts=24 * 3600)
    world.run_for(30)
    assert world.services.gateway_control.state().open
    world.set_clock_back(HOUR)
    world.gateway.script = lambda gateway_id, nth: Answer(Outcome.ACCEPTED)
    everybody_got_it_once(world, mailing)


def test_what_is_known_is_not_believed_for_an_hour(world: World) -> None:
    """Expects a pause to hold within two seconds."""
    mailing = world.create_mailing(rate_limit=5, lasts=24 * 3600)
    world.run_for(5)
    world.set_clock_back(HOUR)
    before = sent(world, mailing)
    world.run_for(10)
    assert before < sent(world, mailing) < 100
    world.services.mailings.pause(mailing.mailing_id)
    world.run_for(2)
    before = len(world.gateway.log)
    world.run_for(60)
    assert len(world.gateway.log) == before
