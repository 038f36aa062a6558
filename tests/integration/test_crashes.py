"""A worker that dies at any point of dispatch or delivery: all points are tried, not a sample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from botocore.exceptions import ConnectionClosedError

from chalicelib.domain import buckets
from chalicelib.domain.clients import ClientFields
from chalicelib.domain.messages import Outcome, gateway_id_for, message_id_for
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from tests.support.aws import Call
from tests.support.client_ids import client_id_for, new_client_with_id
from tests.support.scheduler import Crash
from tests.support.simulation import Simulation, new_simulation

# Two with a hint of their own, and three of one shard, who share one. The gateway does not take the last one at first.
PHONES = [f"+7916{number:07d}" for number in (1, 4, 0, 2, 27)]
STUBBORN = PHONES[-1]
HTTP_500 = Answer(Outcome.FAILED, Cause.http(500), 500)
RECEIVE = "sqs.ReceiveMessage"


@dataclass
class Points:
    """Every call of AWS that a worker makes, in order; `strike` is carried out at one of them."""

    simulation: Simulation
    strike_at: int = -1
    strike: Callable[[], None] = lambda: None
    after: bool = False
    seen: list[tuple[str, str]] = field(default_factory=list)

    def before_call(self, call: Call) -> None:
        task = self.simulation.scheduler.current
        if task is None:
            return
        self.seen.append((task.name, call.operation))
        if not self.after and len(self.seen) - 1 == self.strike_at:
            self.strike()

    def after_call(self, call: Call) -> None:
        if self.simulation.scheduler.current and self.after and len(self.seen) - 1 == self.strike_at:
            self.strike()


@contextmanager
def prepared(**points: object) -> Iterator[tuple[Simulation, Points]]:
    """A simulation with a few clients, in which workers take turns in the same order every time."""
    with new_simulation(seed=1, max_attempts=3) as simulation:
        clients = [new_client_with_id(ClientFields(phone, "916", ("vip",)), simulation.clock.now()) for phone in PHONES]
        assert len({client.shard for client in clients}) == 3 == 2 + len({client.shard for client in clients[2:]})
        simulation.services.clients._clients.upsert(clients)
        simulation.scheduler.switching = 0.0
        watch = Points(simulation, **points)
        simulation.aws.before, simulation.aws.after = watch.before_call, watch.after_call
        yield simulation, watch


def deliver(simulation: Simulation) -> None:
    """Order a mailing and check that everybody gets it in the end, and nobody twice without need."""
    mailing = simulation.create_mailing(lasts=7200)
    stubborn = gateway_id_for(message_id_for(mailing.mailing_id, client_id_for(STUBBORN)))
    others = simulation.gateway.script
    simulation.gateway.script = lambda gateway_id, nth: (
        HTTP_500 if (gateway_id, nth) == (stubborn, 1) else others(gateway_id, nth)
    )
    limit = simulation.clock.now() + timedelta(hours=1)
    simulation.scheduler.run_until(limit, lambda: bool(simulation.gateway.log), check=10)
    finished = simulation.scheduler.run_until(limit, lambda: simulation.status(mailing) == "finished", check=20)
    assert finished, f"{simulation.status(mailing)} {simulation.counts(mailing)}"
    calls = simulation.gateway.calls()
    rows = simulation.rows(mailing)
    assert len(rows) == len(PHONES)
    assert simulation.counts(mailing) == {"total": len(PHONES), "sent": len(PHONES)}
    for row in rows:
        outcomes = [attempt.outcome for attempt in row.attempts]
        assert outcomes[-1] is Outcome.ACCEPTED
        # A second call only where the first was never recorded, or refused.
        expected = {Outcome.UNKNOWN, Outcome.FAILED} if row.phone_number == STUBBORN else {Outcome.UNKNOWN}
        assert set(outcomes[:-1]) <= expected
    assert sum(calls.values()) <= sum(len(row.attempts) for row in rows)
    assert not simulation.gateway.overlaps
    assert not simulation.queue(simulation.settings.send_dead_letter_queue)
    assert not simulation.queue(simulation.settings.dispatch_dead_letter_queue)


def every_point() -> list[int]:
    """The numbers of all calls that workers make for a mailing. Of invocations that make the same calls one after
    the other, such as those of the empty shards, the first stands for all; of the same call again and again, as for
    each shard, the first and the last."""
    with prepared() as (simulation, watch):
        deliver(simulation)
        invocations: dict[str, list[list[int]]] = defaultdict(list)
        for number, (name, operation) in enumerate(watch.seen):
            if operation == RECEIVE or not invocations[name]:
                invocations[name].append([])
            invocations[name][-1].append(number)
        first: dict[tuple[str, ...], list[int]] = {}
        for name, numbers in [(name, numbers) for name, group in invocations.items() for numbers in group]:
            kind = name.partition("-")[0]
            if kind != "tick":
                first.setdefault((kind, *(watch.seen[number][1] for number in numbers)), numbers)
        return sorted(number for calls, numbers in first.items() for number in _ends_of_rows(calls[1:], numbers))


def _ends_of_rows(calls: Sequence[str], numbers: Sequence[int]) -> list[int]:
    """The numbers of an invocation's calls without those between two that are the same."""
    around = zip(("", *calls), calls, (*calls[1:], ""), numbers, strict=False)
    return [number for before, call, after, number in around if not before == call == after]


def crash() -> None:
    raise Crash


def lose_answer() -> None:
    raise ConnectionClosedError(endpoint_url="the answer was lost")


@pytest.mark.proof
@pytest.mark.parametrize("small", [buckets.SMALL, 0])
@pytest.mark.parametrize(("strike", "after"), [(crash, False), (crash, True), (lose_answer, True)])
def test_a_worker_may_fail_at_any_call(
    strike: Callable[[], None], after: bool, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever call of dispatch or delivery it dies before, dies after, or gets no answer to: everyone gets the
    message.

    Whether the mailing has one shard, which is expanded at the launch, or sixteen.
    """
    monkeypatch.setattr(buckets, "SMALL", small)
    points = every_point()
    assert len(points) > (30 if small else 40)
    for point in points:
        with prepared(strike_at=point, strike=strike, after=after) as (simulation, watch):
            try:
                deliver(simulation)
            except AssertionError as error:
                raise AssertionError(f"at call {point}, {watch.seen[point]}: {error}") from error
            assert len(watch.seen) > point


def test_a_sender_may_die_while_it_calls_the_gateway() -> None:
    """The outcome of the call is unknown: so is the attempt, and the message is tried once more."""
    with prepared() as (simulation, _):
        struck: list[int] = []

        def script(gateway_id: int, nth: int) -> Answer:
            if not struck:
                struck.append(gateway_id)
                raise Crash
            return Answer(Outcome.ACCEPTED)

        simulation.gateway.script = script
        deliver(simulation)
        assert struck
