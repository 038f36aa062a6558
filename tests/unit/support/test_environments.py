"""The simulated Lambda ends an invocation at its time limit wherever it is, and freezes what outlives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.environments import TIMEOUTS
from tests.support.scheduler import Crash
from tests.support.simulation import START, Simulation, new_simulation
from tests.support.threads import ThreadTasks, TurnQueue


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with new_simulation(workers_of={}, threads=True, killed_in_time=True) as made:
        yield made


def invoked(simulation: Simulation, work: Callable[[ThreadTasks], None]) -> list[str]:
    """Run a function as the sender's handler, as often as its environment comes to it; notes are of both."""
    notes: list[str] = []
    assert simulation.workers is not None

    def handler(event: Any, context: Any) -> None:
        del event, context
        simulation.workers.current()
        notes.append(f"begins at {seconds(simulation)}")
        try:
            work(simulation.workers._pools["sender-0"])
        except Crash:
            notes.append(f"killed at {seconds(simulation)}")
            raise
        notes.append(f"ends at {seconds(simulation)}")

    invoke = simulation.workers._invoked("sender", handler)

    def live() -> None:
        invoke(None, None)
        simulation.clock.sleep(100)

    simulation.scheduler.spawn("sender-0", lambda: simulation.workers._live(live))
    return notes


def seconds(simulation: Simulation) -> float:
    return (simulation.clock.now() - START).total_seconds()


def test_an_invocation_ends_at_its_time_limit_wherever_it_is(simulation: Simulation) -> None:
    """In a sleep of a hundred seconds; its services are made anew for the next one."""
    notes = invoked(simulation, lambda pool: simulation.clock.sleep(100))
    simulation.scheduler.run_until(START + timedelta(seconds=65))
    assert TIMEOUTS["sender"] == 30
    assert notes == ["begins at 0.0", "killed at 30.0", "begins at 30.0", "killed at 60.0", "begins at 60.0"]
    assert simulation.workers.out_of_time == simulation.workers.crashes == 2


def test_what_is_killed_reaches_nothing_any_more(simulation: Simulation) -> None:
    """Code on its way out, such as a `finally`, finds that every call ends it again."""
    reached: list[str] = []

    def work(pool: ThreadTasks) -> None:
        try:
            simulation.clock.sleep(100)
        finally:
            simulation.sqs.get_queue_url(QueueName=simulation.settings.send_queue)
            reached.append("the queue")

    notes = invoked(simulation, work)
    simulation.scheduler.run_until(START + timedelta(seconds=31))
    assert notes[:2] == ["begins at 0.0", "killed at 30.0"]
    assert not reached


def test_the_threads_of_a_killed_invocation_do_not_go_on(simulation: Simulation) -> None:
    done: list[float] = []

    def thread() -> None:
        simulation.clock.sleep(40)
        done.append(seconds(simulation))

    def work(pool: ThreadTasks) -> None:
        pool.submit(thread)
        simulation.clock.sleep(100)

    invoked(simulation, work)
    simulation.scheduler.run_until(START + timedelta(seconds=300))
    assert not done


def test_a_thread_that_outlives_its_invocation_wakes_in_the_next_one(simulation: Simulation) -> None:
    """It has slept for 5 of its 6 seconds, and is frozen for the 100 until its environment is used again."""
    done: list[float] = []

    def thread() -> None:
        simulation.clock.sleep(6)
        done.append(seconds(simulation))

    def work(pool: ThreadTasks) -> None:
        if not done:
            pool.submit(thread)
        simulation.clock.sleep(5)

    invoked(simulation, work)
    simulation.scheduler.run_until(START + timedelta(seconds=104))
    assert done == []
    simulation.scheduler.run_until(START + timedelta(seconds=109))
    assert done == [105.0]


def test_a_crash_in_a_thread_is_a_crash_of_its_environment(simulation: Simulation) -> None:
    def thread() -> None:
        simulation.clock.sleep(1)
        raise Crash

    def work(pool: ThreadTasks) -> None:
        pool.submit(thread)
        simulation.clock.sleep(20)

    notes = invoked(simulation, work)
    simulation.scheduler.run_until(START + timedelta(seconds=1.5))
    assert notes == ["begins at 0.0", "killed at 1.0", "begins at 1.0"]
    assert simulation.workers.out_of_time == 0


def test_threads_work_at_the_same_time(simulation: Simulation) -> None:
    """Ten sleeps of a second take a second, and their results come through a queue."""
    took: list[float] = []

    def work(pool: ThreadTasks) -> None:
        results: TurnQueue[int] = TurnQueue(simulation.scheduler)

        def thread(number: int) -> None:
            simulation.clock.sleep(1)
            results.put(number)

        began = seconds(simulation)
        for number in range(10):
            pool.submit(thread, number)
        assert sorted(results.get(timeout=5) for _ in range(10)) == list(range(10))
        took.append(seconds(simulation) - began)

    invoked(simulation, work)
    simulation.scheduler.run_until(START + timedelta(seconds=50))
    assert took == [1.0]


def test_the_service_sends_through_threads(simulation: Simulation) -> None:
    """A hundred calls of a second each, in one batch of ten hints: done in seconds and not in minutes."""
    simulation.gateway.latency = timedelta(seconds=1)
    simulation.add_clients(100)
    simulation.workers.start({"tick": 1, "dispatcher": 2, "sender": 2})
    simulation.runner.sources["sender"].batch_size = 10
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing, limit=60)
    assert simulation.counts(mailing) == {"total": 100, "sent": 100}
    busiest = max(
        sum(one.at <= call.at < one.at + timedelta(seconds=1) for one in simulation.gateway.log)
        for call in simulation.gateway.log
    )
    assert busiest > 10
