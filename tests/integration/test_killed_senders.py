"""Killed senders and lost queues, as with `make run`, on a virtual clock: the work goes on soon."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest

from chalicelib.domain.messages import Outcome
from chalicelib.gateways.base import Answer
from chalicelib.services.dispatching import completion
from infra.local.workers import visibility
from tests.support.aws import Call
from tests.support.scheduler import Crash
from tests.support.simulation import Simulation, new_simulation

OK = Answer(Outcome.ACCEPTED)
SENDERS = 4
MANY = 300


def as_at_home(**settings: Any) -> Iterator[Simulation]:
    with new_simulation(workers_of={"tick": 1, "dispatcher": 4, "sender": SENDERS}, **settings) as simulation:
        simulation.runner.sources["sender"].visibility = visibility(simulation.settings)["sender"]
        yield simulation


def killed_all(simulation: Simulation) -> None:
    """Every worker stops where it is, and starts again."""
    for task in list(simulation.scheduler.tasks):
        simulation.scheduler.doom(task)


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """Four senders, which hide what they receive for as long as those of `make run`."""
    yield from as_at_home()


@pytest.mark.parametrize("after", [20, 150])
def test_work_of_killed_senders_goes_on_when_their_claims_end(simulation: Simulation, after: int) -> None:
    """All senders are killed at once and start again: little more than 45 s later nothing is left to do."""
    simulation.add_clients(MANY)
    killed_at: list[datetime] = []
    killed: set[str] = set()

    def script(gateway_id: int, nth: int) -> Answer:
        task = simulation.scheduler.current
        assert task is not None
        if len(simulation.gateway.log) > after and task.name not in killed:
            killed.add(task.name)
            killed_at.append(simulation.clock.now())
            raise Crash
        return OK

    simulation.gateway.script = script
    mailing = simulation.create_mailing()
    lease = timedelta(seconds=simulation.settings.claim_lease)
    assert simulation.scheduler.run_until(simulation.clock.now() + lease, lambda: len(killed) == SENDERS)
    assert max(killed_at) - min(killed_at) < timedelta(seconds=1)
    simulation.scheduler.run_until(max(killed_at) + lease + timedelta(seconds=5))
    assert simulation.counts(mailing) == {"total": MANY, "sent": MANY}
    repeated = [row.attempts for row in simulation.rows(mailing) if len(row.attempts) > 1]
    assert all([one.outcome for one in made] == [Outcome.UNKNOWN, Outcome.ACCEPTED] for made in repeated)
    assert sum(calls > 1 for calls in simulation.gateway.calls().values()) <= len(repeated)
    assert not simulation.gateway.overlaps
    assert max(call.at for call in simulation.gateway.log) > min(killed_at) + lease - timedelta(seconds=1)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.proof) for seed in (1, 2))])
@pytest.mark.parametrize("after", [0, 60, 250])
def test_lost_queues_are_filled_again_within_a_minute(after: int, seed: int) -> None:
    """The emulator and all workers are killed at once: what was on the queues, or claimed, is sent again when leases
    and claims end. Otherwise the tick would find out after up to two minutes."""
    for simulation in as_at_home(seed=seed):
        simulation.add_clients(MANY)
        mailing = simulation.create_mailing()
        prefix = simulation.settings.resource_prefix
        log = simulation.gateway.log
        simulation.scheduler.run_until(simulation.clock.now() + timedelta(seconds=60), lambda log=log: len(log) > after)
        for name in ("send", "dispatch"):
            simulation.queue(f"{prefix}-{name}").clear()
        killed_all(simulation)
        began = simulation.clock.now()
        simulation.services.feeder.restart_all()
        simulation.scheduler.wake_idle()
        simulation.run_for(55)
        assert sum(simulation.gateway.accepted().values()) >= MANY
        assert max(call.at for call in log) < began + timedelta(seconds=50)
        simulation.run_until_finished(mailing)
        assert simulation.counts(mailing) == {"total": MANY, "sent": MANY}
        assert not simulation.gateway.overlaps


def test_no_call_begins_that_could_end_after_its_claim() -> None:
    """A short CLAIM_LEASE and a slow gateway: a message that comes again when its claim has ended has one caller."""
    for simulation in as_at_home(claim_lease=16.0, gateway_read_timeout=4.0, gateway_concurrency=1, sender_batch=None):
        simulation.gateway.latency, simulation.gateway.read_limit = timedelta(seconds=3.5), 4.0
        simulation.add_clients(40)
        mailing = simulation.create_mailing()
        simulation.run_until_finished(mailing)
        assert simulation.counts(mailing) == {"total": 40, "sent": 40}
        assert not simulation.gateway.overlaps
        assert set(simulation.gateway.calls().values()) == {1}


def kill_at(simulation: Simulation, operation: str, marker: bytes, times: int = 1, after: int = 0) -> list[datetime]:
    """Kill whoever makes such a call just before it, so many times after so many successful ones; returns when it
    was."""
    killed_at: list[datetime] = []
    before, calls = simulation.aws.before, itertools.count()

    def watch(call: Call) -> None:
        before(call)
        if not (call.operation == operation and marker in call.body):
            return
        if after <= next(calls) < after + times:
            killed_at.append(simulation.clock.now())
            raise Crash

    simulation.aws.before = watch
    return killed_at


@pytest.mark.parametrize("seed", range(3))
def test_a_mailing_whose_senders_were_killed_before_they_counted_ends_soon(seed: int) -> None:
    """Everybody has the message, but the counts will never say so: it is recounted when the hints come again."""
    for simulation in as_at_home(seed=seed, sender_batch=None):
        simulation.add_clients(MANY)
        mailing = simulation.create_mailing()
        killed_at = kill_at(simulation, "dynamodb.UpdateItem", b"STATS#", times=2)
        simulation.run_until_finished(mailing, 300)
        lease = timedelta(seconds=simulation.settings.claim_lease)
        assert len(killed_at) == 2
        assert simulation.clock.now() < max(killed_at) + lease + timedelta(seconds=10)
        assert simulation.counts(mailing) == {"total": MANY, "sent": MANY}
        assert set(simulation.gateway.calls().values()) == {1}


@pytest.mark.proof
def test_a_kill_long_before_the_end_does_not_delay_it(simulation: Simulation) -> None:
    """Counts stay in doubt for as long as the mailing goes on, until nobody remembers the kill."""
    simulation.add_clients(MANY)
    mailing = simulation.create_mailing(rate_limit=2)
    killed_at = kill_at(simulation, "dynamodb.UpdateItem", b"STATS#")
    simulation.run_until_finished(mailing, 900)
    last = max(call.at for call in simulation.gateway.log)
    assert last > killed_at[0] + timedelta(seconds=120)
    assert simulation.clock.now() < last + timedelta(seconds=10)
    assert simulation.counts(mailing) == {"total": MANY, "sent": MANY}


def test_a_mailing_whose_workers_and_queues_were_lost_after_its_last_call_ends_soon(simulation: Simulation) -> None:
    """Everybody was called and nobody counted, and no worker comes to count."""
    simulation.add_clients(30)
    mailing = simulation.create_mailing()
    alive = simulation.aws.before
    killed_at = kill_at(simulation, "dynamodb.UpdateItem", b"STATS#", times=10)
    simulation.scheduler.run_until(simulation.clock.now() + timedelta(seconds=30), lambda: len(killed_at) > 0)
    simulation.run_for(2)
    assert sum(simulation.gateway.accepted().values()) == 30
    for name in ("send", "dispatch"):
        simulation.queue(f"{simulation.settings.resource_prefix}-{name}").clear()
    killed_all(simulation)
    simulation.aws.before = alive
    began = simulation.clock.now()
    simulation.services.feeder.restart_all()
    simulation.scheduler.wake_idle()
    simulation.run_until_finished(mailing, 300)
    assert simulation.clock.now() < began + timedelta(seconds=15)
    assert simulation.counts(mailing) == {"total": 30, "sent": 30}


@pytest.mark.usefixtures("sixteen_shards")
def test_rows_of_a_killed_dispatcher_get_hints_even_if_a_rate_was_set(simulation: Simulation) -> None:
    """A dispatcher is killed between some rows of a first page and their hints, and a rate is set before another one
    continues: rows wait in the ledger then, but these seem to have their hints."""
    simulation.add_clients(500)
    mailing = simulation.create_mailing()
    killed_at = kill_at(simulation, "dynamodb.BatchExecuteStatement", b"INSERT", after=1)
    assert simulation.scheduler.run_until(simulation.clock.now() + timedelta(seconds=30), lambda: bool(killed_at))
    assert simulation.ledger_now()
    simulation.services.gateway_control.set_rate(1000, "somebody")
    simulation.run_until_finished(mailing, 600)
    assert max(call.at for call in simulation.gateway.log) < killed_at[0] + timedelta(seconds=60 + 10)  # the next tick
    assert simulation.counts(mailing) == {"total": 500, "sent": 500}


@pytest.mark.parametrize("people", [1, 6])
def test_messages_parked_by_a_killed_sender_are_not_forgotten(simulation: Simulation, people: int) -> None:
    """Their rows wait for the gateway, and no count says that anybody waits; they are called all the same."""
    later = Answer(Outcome.THROTTLED, http_status=429, retry_after=250.0)
    busy_until = simulation.clock.now() + timedelta(seconds=60)
    simulation.gateway.script = lambda gateway_id, nth: later if simulation.clock.now() < busy_until else OK
    simulation.add_clients(people)
    mailing = simulation.create_mailing(lasts=1800)
    unharmed = simulation.aws.before
    killed_at = kill_at(simulation, "dynamodb.UpdateItem", b"STATS#", times=10)
    simulation.run_for(60)
    assert killed_at
    simulation.aws.before = unharmed
    assert {row.status for row in simulation.rows(mailing)} == {"waiting"}
    simulation.run_until_finished(mailing, 600)
    assert simulation.counts(mailing) == {"total": people, "sent": people}
    first = simulation.gateway.log[0].at
    calls = Counter(call.gateway_id for call in simulation.gateway.log)
    assert len(calls) == people
    assert set(calls.values()) <= {1, 2}  # after the first "too many" nobody else of the batch is called
    assert simulation.gateway.log[-1].at < first + timedelta(seconds=250 + 130)


@pytest.mark.parametrize("at_once", [5, 20_000])
def test_looking_whether_a_mailing_is_over_does_not_multiply_walks(simulation: Simulation, at_once: int) -> None:
    """Everybody waits for the gateway, and the counts are in doubt: a ledger that needs a unit for each shard is not
    walked sixteen times as often with each look."""
    simulation.gateway.script = lambda gateway_id, nth: Answer(Outcome.THROTTLED, http_status=429, retry_after=250.0)
    simulation.add_clients(60)
    with mock.patch.object(completion, "AT_ONCE", at_once):
        mailing = simulation.create_mailing(lasts=1800)
        simulation.run_for(10)
        queries = simulation.aws.calls.count("dynamodb.Query")
        simulation.services.feeder.restart_all(queues_lost=False)
        simulation.scheduler.wake_idle()
        simulation.run_for(60)
        assert simulation.aws.calls.count("dynamodb.Query") - queries < 1500
        simulation.gateway.script = lambda gateway_id, nth: OK
        simulation.run_until_finished(mailing, 600)
    assert simulation.counts(mailing) == {"total": 60, "sent": 60}
