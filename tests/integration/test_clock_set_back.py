"""The clock is set back by an hour: during a mailing, while everything is restarted, and in an outage."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from tests.support.simulation import Simulation, new_simulation

HOUR = timedelta(hours=1)
SOON = 240.0  # seconds within which everything has to go on: the longest lease, a stall, a tick


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A service in which a mailing to a hundred people takes a while."""
    with new_simulation() as made:
        made.add_clients(100)
        yield made


def sent(simulation: Simulation, mailing: Mailing) -> int:
    """How many people have got the message."""
    return simulation.counts(mailing).get("sent", 0)


def everybody_got_it_once(simulation: Simulation, mailing: Mailing) -> None:
    """Expects all to be reached within minutes, though leases, turns and waits seem to end in an hour."""
    simulation.run_until_finished(mailing, SOON)
    assert simulation.counts(mailing) == {"total": 100, "sent": 100}
    assert set(simulation.gateway.accepted().values()) == {1}
    assert simulation.gateway.overlaps == []


def test_a_mailing_goes_on_if_the_clock_is_set_back(simulation: Simulation) -> None:
    """Expects it to keep its rate."""
    mailing = simulation.create_mailing(rate_limit=5, lasts=24 * 3600)
    simulation.run_for(8)
    assert 20 <= sent(simulation, mailing) < 60
    simulation.set_clock_back(HOUR)
    everybody_got_it_once(simulation, mailing)
    calls = sorted(call.at for call in simulation.gateway.log[60:])
    assert all(later - first >= timedelta(seconds=1) for first, later in zip(calls, calls[6:], strict=False))


def test_workers_that_are_restarted_meanwhile_hold_nobody_up(simulation: Simulation) -> None:
    """Expects leases and claims of killed workers not to be waited for."""
    simulation.gateway.latency = timedelta(seconds=1)  # half of the messages are in hand then, and wait for their queue
    mailing = simulation.create_mailing(lasts=24 * 3600)
    simulation.run_for(3)
    for task in list(simulation.scheduler.tasks):
        simulation.scheduler.doom(task)
    simulation.set_clock_back(HOUR)
    simulation.run_until_finished(mailing, SOON)
    assert simulation.counts(mailing) == {"total": 100, "sent": 100}
    assert simulation.gateway.overlaps == []


def test_an_open_circuit_is_probed_in_time(simulation: Simulation) -> None:
    """Expects the gateway to be tried again, and waiting messages to be sent, though both would be due in an hour."""
    simulation.gateway.script = lambda gateway_id, nth: Answer(Outcome.FAILED, Cause.http(503), 503)
    mailing = simulation.create_mailing(lasts=24 * 3600)
    simulation.run_for(30)
    assert simulation.services.gateway_control.state().open
    simulation.set_clock_back(HOUR)
    simulation.gateway.script = lambda gateway_id, nth: Answer(Outcome.ACCEPTED)
    everybody_got_it_once(simulation, mailing)


def test_a_pause_still_holds_within_two_seconds(simulation: Simulation) -> None:
    """What a sender remembers must not count for an hour."""
    mailing = simulation.create_mailing(rate_limit=5, lasts=24 * 3600)
    simulation.run_for(5)
    simulation.set_clock_back(HOUR)
    before = sent(simulation, mailing)
    simulation.run_for(10)
    assert before < sent(simulation, mailing) < 100
    simulation.services.mailing_actions.pause(mailing.mailing_id)
    simulation.run_for(2)
    before = len(simulation.gateway.log)
    simulation.run_for(60)
    assert len(simulation.gateway.log) == before
