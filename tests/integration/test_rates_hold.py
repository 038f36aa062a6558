"""What changes while messages wait for their turn counts at once: a lowered rate, an opt-out, a number."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from chalicelib.services.sending.batch import Received
from tests.support.simulation import Simulation, new_simulation


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """With senders that take as many hints as the app lets them, and book seconds ahead."""
    with new_simulation(sender_batch=None) as simulation:
        yield simulation


def per_second(simulation: Simulation, since: datetime) -> list[int]:
    """How many calls were made in each second from a moment on."""
    counts = Counter(int((call.at - since).total_seconds()) for call in simulation.gateway.log if call.at >= since)
    return [counts[second] for second in range(max(counts, default=-1) + 1)]


@pytest.mark.parametrize("of", ["mailing", "gateway"])
def test_a_lowered_rate_holds_at_once(simulation: Simulation, of: str) -> None:
    """No second after the change has more calls than it allows; what was booked at the old rate is booked again."""
    simulation.add_clients(200)
    if of == "gateway":
        simulation.services.gateway_control.set_rate(20, "tester")
    mailing = simulation.create_mailing(lasts=86_400, rate_limit=20 if of == "mailing" else None)
    simulation.run_for(3.3)
    if of == "mailing":
        simulation.set_rate(mailing, 2)
    else:
        simulation.services.gateway_control.set_rate(2, "tester")
    changed_at = simulation.clock.now() + timedelta(milliseconds=10)  # who looked before that is on the way
    assert len(simulation.gateway.log) > 30
    simulation.run_for(15)
    calls = [call.at for call in simulation.gateway.log if call.at > changed_at]
    assert all(later - earlier >= timedelta(seconds=0.45) for earlier, later in pairwise(calls))
    assert max(per_second(simulation, changed_at)) <= 2
    assert len(calls) >= 15


def test_a_raised_rate_is_used_soon(simulation: Simulation) -> None:
    """Moments that were booked at the lower rate hold nobody up."""
    simulation.add_clients(200)
    mailing = simulation.create_mailing(lasts=86_400, rate_limit=1)
    simulation.run_for(6)
    simulation.set_rate(mailing, 50)
    simulation.run_until_finished(mailing, 30)


def test_an_opt_out_counts_within_a_second(simulation: Simulation) -> None:
    """Also for a client whose message has its turn seconds ahead."""
    clients = simulation.add_clients(60)
    mailing = simulation.create_mailing(lasts=86_400, rate_limit=10)
    simulation.run_for(2.1)
    called = {call.phone_number for call in simulation.gateway.log}
    leaving = [client for client in clients if client.phone_number not in called]
    for client in leaving:
        simulation.opt_out(client)
    opted_out_at = simulation.clock.now()
    simulation.run_until_finished(mailing, 120)
    late = [call.at - opted_out_at for call in simulation.gateway.log if call.at > opted_out_at + timedelta(seconds=1)]
    assert late == []
    assert simulation.counts(mailing)["skipped"] >= len(leaving) - 11


def test_an_opt_out_counts_while_a_slow_gateway_is_waited_for(simulation: Simulation) -> None:
    """The first calls of a batch take seconds; clients who wait behind them are read again."""
    clients = simulation.add_clients(100)
    simulation.gateway.latency = timedelta(seconds=1.5)
    mailing = simulation.create_mailing(lasts=86_400)
    simulation.run_for(2.0)
    called = {call.phone_number for call in simulation.gateway.log}
    for client in clients:
        if client.phone_number not in called:
            simulation.opt_out(client)
    opted_out_at = simulation.clock.now()
    simulation.run_until_finished(mailing, 600)
    assert [call for call in simulation.gateway.log if call.at > opted_out_at + timedelta(seconds=1)] == []


def test_a_slow_table_makes_nobody_miss_their_turn(simulation: Simulation) -> None:
    """What a turn needs is read before it, however long that takes; when it was read afterwards, turns were always
    missed."""
    rng = random.Random(7)

    def slow(_: object) -> None:
        simulation.scheduler.io_point()
        if simulation.scheduler.current is not None:
            simulation.clock.sleep(rng.uniform(0.02, 0.07))

    simulation.aws.before = slow
    simulation.services.gateway_control.set_rate(1, "tester")
    simulation.add_clients(8)
    mailing = simulation.create_mailing(lasts=86_400)
    simulation.run_until_finished(mailing, 40)
    assert simulation.counts(mailing) == {"total": 8, "sent": 8}
    assert max(per_second(simulation, simulation.gateway.log[0].at)) <= 1


@pytest.mark.proof
def test_a_message_that_waits_for_a_busy_table_is_no_dead_letter(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often its hint is received before anything can be written."""
    until = simulation.clock.now() + timedelta(minutes=30)
    original = simulation.aws._handle

    def handle(service: str, target: str, body: bytes) -> tuple[int, dict[str, object]]:
        if target.endswith("BatchExecuteStatement") and b"UPDATE" in body and simulation.clock.now() < until:
            return 200, {"Responses": [{"Error": {"Code": "ThrottlingError"}} for _ in json.loads(body)["Statements"]]}
        return original(service, target, body)

    monkeypatch.setattr(simulation.aws, "_handle", handle)
    simulation.add_clients(3)
    mailing = simulation.create_mailing(lasts=86_400)
    simulation.run_until_finished(mailing, 3600)
    assert simulation.counts(mailing) == {"total": 3, "sent": 3}
    assert len(simulation.gateway.log) == 3
    assert simulation.bodies(simulation.settings.send_dead_letter_queue) == []


def sleeps_of_senders(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait of a sender from now on, added as they come."""
    sleeps: list[float] = []
    sleep = simulation.clock.sleep

    def noted(seconds: float) -> None:
        if simulation.scheduler.current and simulation.scheduler.current.name.startswith("sender"):
            sleeps.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(simulation.clock, "sleep", noted)
    return sleeps


def test_a_slow_mailing_keeps_no_sender_waiting(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hints come when their turn is near, also after one feeder took over from another; they used to come 3 s early."""
    sleeps = sleeps_of_senders(simulation, monkeypatch)
    simulation.add_clients(800)
    mailing = simulation.create_mailing(lasts=86_400, rate_limit=5)
    simulation.run_for(150)
    assert simulation.counts(mailing)["sent"] >= 0.88 * 5 * 150  # moments are a tenth longer than the rate says
    assert max(per_second(simulation, simulation.gateway.log[0].at)) <= 5
    assert max(sleeps) < 0.8


def test_a_sender_with_other_work_waits_for_no_turn() -> None:
    """A message with a later turn goes back to the queue, and is sent once all the same."""
    with new_simulation(workers_of={"tick": 1, "dispatcher": 2}, sender_batch=None) as simulation:
        simulation.gateway.latency = timedelta(0)
        simulation.add_clients(20, tag="slow", operator="901")
        simulation.add_clients(20, tag="many", operator="902")
        slow = simulation.create_mailing(tag="slow", lasts=86_400, rate_limit=5)
        many = simulation.create_mailing(tag="many", lasts=86_400)
        simulation.run_for(3)
        hints = sorted(simulation.bodies(simulation.settings.send_queue), key=lambda body: many.mailing_id in body)
        began = simulation.clock.now()
        received = [Received(str(place), "", body) for place, body in enumerate(hints)]
        simulation.services.delivery.deliver(received, began + timedelta(seconds=20))
        assert simulation.counts(many)["sent"] == 20
        assert simulation.clock.now() - began < timedelta(seconds=0.5)
        simulation.workers.start({"sender": 1})
        simulation.run_until_finished(slow, 300)
        assert simulation.counts(slow) == {"total": 20, "sent": 20}
        assert set(simulation.gateway.accepted().values()) == {1}
        calls = sorted(call.at for call in simulation.gateway.log if call.phone_number.startswith("+7901"))
        assert all(later - one >= timedelta(seconds=1) for one, later in zip(calls, calls[5:], strict=False))
