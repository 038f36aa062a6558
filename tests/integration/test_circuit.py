"""When the circuit opens: as soon as possible for a gateway that accepts nothing, but not for one that accepts some."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime

import pytest

from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from tests.support.scripted_gateway import NO_CONNECTION, OK
from tests.support.simulation import Simulation, new_simulation

BUSY = Answer(Outcome.FAILED, Cause.http(500), 500)
SENDERS = {"tick": 1, "dispatcher": 2, "sender": 3}


def failing(share: float, rng: random.Random) -> Callable[[int, int], Answer]:
    """A gateway that fails such a share of all calls, at random."""
    return lambda gateway_id, nth: BUSY if rng.random() < share else OK


def opened(simulation: Simulation) -> list[datetime]:
    """The times at which the circuit opened, the first one first."""
    changes, _ = simulation.services.gateway_control.changes("", 100)
    return [change.at for change in reversed(changes) if change.new == "open"]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(1, 20))])
@pytest.mark.parametrize("clients", [30, 200])
def test_a_gateway_that_fails_four_calls_of_ten_is_not_taken_for_dead(clients: int, seed: int) -> None:
    """Expects the circuit to stay closed, so that nobody waits for longer than their own attempts."""
    with new_simulation(seed=seed, workers_of=SENDERS) as simulation:
        simulation.gateway.script = failing(0.4, random.Random(seed))
        simulation.add_clients(clients)
        mailing = simulation.create_mailing()
        simulation.run_until_finished(mailing, 600)
        assert opened(simulation) == []


def test_a_gateway_that_answers_some_calls_late_is_not_taken_for_dead() -> None:
    """Expects calls that time out to be compared with those that began at the same time and were accepted."""
    rng = random.Random(1)
    with new_simulation(workers_of=SENDERS, sender_batch=None, threads=True) as simulation:
        simulation.gateway.latencies = lambda: 30.0 if rng.random() < 0.4 else 0.05
        simulation.add_clients(200)
        simulation.create_mailing()
        simulation.run_for(120)
        assert opened(simulation) == []


@pytest.mark.parametrize("clients", [20, 300])
def test_a_dead_gateway_opens_it_within_seconds(clients: int) -> None:
    """Expects few calls before that, and everybody to get their message once the gateway is back."""
    with new_simulation(workers_of=SENDERS) as simulation:
        simulation.gateway.everybody = NO_CONNECTION
        simulation.add_clients(clients)
        began = simulation.clock.now()
        mailing = simulation.create_mailing()
        simulation.run_for(30)
        assert (opened(simulation)[0] - began).total_seconds() < 8
        simulation.gateway.everybody = None
        simulation.run_until_finished(mailing, 300)
        assert simulation.counts(mailing) == {"total": clients, "sent": clients}


def test_a_gateway_that_hangs_opens_it_when_the_first_calls_time_out() -> None:
    """Expects no second round of calls that take as long."""
    with new_simulation(workers_of=SENDERS, sender_batch=None, threads=True) as simulation:
        simulation.gateway.latencies = lambda: 60.0
        simulation.add_clients(200)
        began = simulation.clock.now()
        simulation.create_mailing()
        simulation.run_for(60)
        given_up = simulation.gateway.read_limit
        assert (opened(simulation)[0] - began).total_seconds() < 2 * given_up + 2


def test_a_mailing_of_one_message_a_second_opens_it_too() -> None:
    """Expects no more than four attempts of a message until then."""
    with new_simulation(workers_of=SENDERS) as simulation:
        simulation.gateway.everybody = NO_CONNECTION
        simulation.add_clients(60)
        began = simulation.clock.now()
        simulation.create_mailing(rate_limit=1)
        simulation.run_for(24)
        assert max(simulation.gateway.tried.values()) <= 4
        assert (opened(simulation)[0] - began).total_seconds() < 24


def test_six_messages_that_fail_are_enough_if_each_is_tried_again() -> None:
    """Expects the circuit to open long before their attempts are used up, and nobody to be lost."""
    with new_simulation(workers_of=SENDERS) as simulation:
        simulation.gateway.everybody = NO_CONNECTION
        simulation.add_clients(6)
        began = simulation.clock.now()
        mailing = simulation.create_mailing()
        simulation.run_for(600)
        assert (opened(simulation)[0] - began).total_seconds() < 40
        simulation.gateway.everybody = None
        simulation.run_until_finished(mailing, 300)
        assert simulation.counts(mailing) == {"total": 6, "sent": 6}
