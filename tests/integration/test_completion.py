"""Counting and closing a ledger that is too large for one invocation: it ends, whoever is killed on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.client_ids import SHARDS
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.walks import Walk
from chalicelib.queues import Unit, UnitKind
from chalicelib.services.dispatching import completion, reopening
from tests.support.aws import Call
from tests.support.scheduler import Crash
from tests.support.simulation import Simulation, new_simulation

CLIENTS = 150
PAGE = 3


@pytest.fixture(autouse=True)
def _small_pages(sixteen_shards: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the size that one invocation can count, and that of a page."""
    monkeypatch.setattr(completion, "AT_ONCE", 50)
    monkeypatch.setattr(completion, "_PAGE", PAGE)
    monkeypatch.setattr(reopening, "_PAGE", PAGE)


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """With a gateway that takes one message a second, so that most wait."""
    with new_simulation() as made:
        made.services.gateway_control.set_rate(1, "tester")
        made.add_clients(CLIENTS)
        yield made


class Watched:
    """The dispatchers' calls of AWS: they take time, and something can happen at a chosen one."""

    def __init__(self, simulation: Simulation, seconds: float = 0.0) -> None:
        self.simulation = simulation
        self.seconds = seconds
        self.pages = 0  # of the ledger, that were read while it was closed or counted
        self.sent: Counter[str] = Counter()
        self.at: dict[int, BaseException | float] = {}
        self._others = simulation.aws.before
        simulation.aws.before = self._before

    def _before(self, call: Call) -> None:
        task = self.simulation.scheduler.current
        if task is None or not task.name.startswith("dispatcher"):
            return self._others(call)
        if call.operation == "sqs.SendMessageBatch":
            self.sent.update(json.loads(one["MessageBody"])["kind"] for one in json.loads(call.body)["Entries"])
        if call.operation.startswith("dynamodb.") and self.seconds:
            self.simulation.clock.sleep(self.seconds)
        if call.operation == "dynamodb.Query" and b"-ledger" in call.body and b"IndexName" not in call.body:
            self.pages += 1
            match self.at.get(self.pages):
                case float() as seconds:
                    self.simulation.clock.sleep(seconds)
                case BaseException() as error:
                    raise error
        return self._others(call)


def expect_over(simulation: Simulation, mailing: Mailing, closed: str) -> None:
    """Every row has its final status, the counts are those of the ledger, and nobody is called any more."""
    simulation.run_for(120)  # until nothing is left of the walk
    statuses = Counter(str(row.status) for row in simulation.rows(mailing))
    assert set(statuses) <= {"sent", closed}
    assert statuses[closed] > CLIENTS / 2
    counts = simulation.counts(mailing)
    assert counts == {"total": CLIENTS, **statuses}
    ended = simulation.services.mailings.get(mailing.mailing_id)
    assert dict(ended.final) == statuses
    state, counters = simulation.services.statistics.detail(mailing.mailing_id)
    assert counters.by_status == statuses
    assert state.mailing.finished_at is not None
    assert not simulation.services.dispatcher._completion._walker._walks.read(mailing.mailing_id)


def is_over(simulation: Simulation, mailing: Mailing) -> bool:
    return bool(simulation.services.mailings.get(mailing.mailing_id).final)


def begin(simulation: Simulation, how: str) -> Mailing:
    """A mailing that is about to be closed, with most of it waiting."""
    mailing = simulation.create_mailing(lasts=40 if how == "expired" else 7200)
    simulation.run_for(30)
    return mailing


def close(simulation: Simulation, mailing: Mailing, how: str) -> None:
    if how == "cancelled":
        simulation.services.mailing_actions.cancel(mailing.mailing_id)


def run_until_over(simulation: Simulation, mailing: Mailing, seconds: float) -> None:
    until = simulation.clock.now() + timedelta(seconds=seconds)
    assert simulation.scheduler.run_until(until, lambda: is_over(simulation, mailing), check=50), (
        f"{simulation.status(mailing)} {Counter(str(row.status) for row in simulation.rows(mailing))}"
    )


@pytest.mark.parametrize("how", ["cancelled", "expired"])
def test_a_ledger_that_no_invocation_can_walk_is_closed_and_ended(simulation: Simulation, how: str) -> None:
    """Each call takes so long that a shard alone needs more than one invocation; units and time stay bounded."""
    mailing = begin(simulation, how)
    watched = Watched(simulation, seconds=5.0)
    close(simulation, mailing, how)
    run_until_over(simulation, mailing, 1500)
    simulation.run_for(120)
    expect_over(simulation, mailing, how)
    assert watched.sent["settle"] < 150
    assert watched.pages < 3 * (CLIENTS / PAGE + 16)


@pytest.mark.parametrize("how", ["cancelled", "expired"])
def test_a_large_mailing_ends_within_seconds_if_nothing_is_in_the_way(simulation: Simulation, how: str) -> None:
    """Nobody waits for a tick."""
    mailing = begin(simulation, how)
    close(simulation, mailing, how)
    run_until_over(simulation, mailing, 25)
    expect_over(simulation, mailing, how)


def test_a_large_mailing_that_is_sent_is_counted_in_units(simulation: Simulation) -> None:
    """It ends with its last message."""
    simulation.services.gateway_control.set_rate(None, "tester")
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing, limit=50)
    assert simulation.counts(mailing) == {"total": CLIENTS, "sent": CLIENTS}
    assert dict(simulation.services.mailings.get(mailing.mailing_id).final) == {"sent": CLIENTS}


@pytest.mark.parametrize(
    "page", [25, *(pytest.param(page, marks=pytest.mark.proof) for page in (1, 9, 17, 33, 41, 49, 57))]
)
def test_a_walker_may_be_killed_at_any_page(page: int) -> None:
    """And the next one as well: what they had counted but not saved is counted by the one after them."""
    with new_simulation() as simulation:
        simulation.services.gateway_control.set_rate(1, "tester")
        simulation.add_clients(CLIENTS)
        mailing = begin(simulation, "cancelled")
        watched = Watched(simulation, seconds=1.0)
        watched.at = {page: Crash(), page + 3: Crash()}
        close(simulation, mailing, "cancelled")
        run_until_over(simulation, mailing, 900)
        expect_over(simulation, mailing, "cancelled")
        assert watched.pages > page
        assert simulation.workers.crashes >= 1


@pytest.mark.parametrize("page", [20, *(pytest.param(page, marks=pytest.mark.proof) for page in (3, 50))])
def test_two_walkers_of_one_shard_count_nobody_twice(simulation: Simulation, page: int) -> None:
    """One sleeps past its lease, and continues beside the one that took over."""
    mailing = begin(simulation, "cancelled")
    watched = Watched(simulation, seconds=0.2)
    watched.at = {page: 61.0}
    close(simulation, mailing, "cancelled")
    run_until_over(simulation, mailing, 900)
    simulation.run_for(120)
    expect_over(simulation, mailing, "cancelled")


def test_units_that_come_twice_count_nobody_twice(simulation: Simulation) -> None:
    """Expects one of the two to find the shard taken."""
    mailing = begin(simulation, "cancelled")
    Watched(simulation, seconds=0.5)
    close(simulation, mailing, "cancelled")
    name = simulation.settings.dispatch_queue
    while not is_over(simulation, mailing):
        simulation.run_for(0.5)
        messages = simulation.queue(name)
        if len(messages) < 100:
            messages += [one | {"id": f"{one['id']}-", "receipt_handle": None} for one in messages]
        simulation.scheduler.wake_idle()
    simulation.run_for(120)
    expect_over(simulation, mailing, "cancelled")


def test_a_counted_shard_is_not_walked_again_for_another_shards_claims(simulation: Simulation) -> None:
    """Senders hold messages whose turn comes later: only their shards are walked again."""
    simulation.gateway.latency = timedelta(seconds=1.9)
    mailing = begin(simulation, "cancelled")
    watched = Watched(simulation)
    close(simulation, mailing, "cancelled")
    run_until_over(simulation, mailing, 120)
    expect_over(simulation, mailing, "cancelled")
    assert watched.pages < 1.7 * (CLIENTS / PAGE + 16)


@pytest.mark.parametrize("order", ["one after the other", "each twice", "backwards"])
def test_one_shard_of_a_lap_notices_that_it_was_the_last(simulation: Simulation, order: str) -> None:
    """Rows of all shards are open: each lap goes through each shard once, and one of them starts the next lap."""
    mailing = simulation.services.mailings.get(begin(simulation, "cancelled").mailing_id)
    walker = simulation.services.dispatcher._completion._walker
    simulation.queue(simulation.settings.dispatch_queue).clear()
    walked: list[str] = []

    def step(mailing: Mailing, walk: Walk) -> Walk:
        walked.append(walk.shard)
        return replace(walk, open=walk.open + 1, done=True)

    def carry_out(unit: Unit) -> Walk | None:
        return walker.in_units(mailing, unit, "7", step, simulation.clock.now() + timedelta(minutes=10))

    for lap in range(1, 5):
        walked.clear()
        assert carry_out(Unit(UnitKind.COMPLETE, mailing.mailing_id)) is None
        sent = [Unit.parse(one["body"]) for one in simulation.queue(simulation.settings.dispatch_queue)]
        simulation.queue(simulation.settings.dispatch_queue).clear()
        units = {"each twice": sent * 2, "backwards": sent[::-1]}.get(order, sent)
        found = [walk for unit in units if (walk := carry_out(unit))]
        assert sorted(walked) == list(SHARDS)
        assert [(walk.open, walk.done) for walk in found] == [(len(SHARDS), True)], f"lap {lap}"


def test_a_change_of_the_mailing_discards_its_counts(simulation: Simulation) -> None:
    """It is paused and cancelled while it is being closed; everything is counted once, after that."""
    mailing = begin(simulation, "expired")
    Watched(simulation, seconds=1.0)
    simulation.run_for(25)
    assert not is_over(simulation, mailing)
    simulation.services.mailing_actions.cancel(mailing.mailing_id)
    run_until_over(simulation, mailing, 600)
    statuses = Counter(str(row.status) for row in simulation.rows(mailing))
    assert set(statuses) == {"sent", "expired", "cancelled"}
    assert simulation.counts(mailing) == {"total": CLIENTS, **statuses}


def test_a_deleted_mailing_leaves_no_walk_behind(simulation: Simulation) -> None:
    """Everything that was noted while it was counted is deleted with it."""
    mailing = begin(simulation, "cancelled")
    close(simulation, mailing, "cancelled")
    run_until_over(simulation, mailing, 60)
    walks = simulation.services.dispatcher._completion._walker._walks
    now = simulation.clock.now()
    assert walks.take(mailing.mailing_id, "00", "1", 0, "me", now, now)
    simulation.services.mailing_actions.delete(mailing.mailing_id)
    simulation.run_for(120)
    assert not walks.read(mailing.mailing_id)


def test_a_settle_unit_for_a_mailing_that_goes_on_changes_nothing(simulation: Simulation) -> None:
    """Neither for all shards nor for one."""
    mailing = begin(simulation, "cancelled")
    for shard in ("", "03"):
        simulation.services.dispatcher.handle(
            Unit(UnitKind.COMPLETE, mailing.mailing_id, shard), simulation.clock.now() + timedelta(minutes=2)
        )
    assert simulation.status(mailing) == "running"
    assert set(Counter(str(row.status) for row in simulation.rows(mailing))) <= {"sent", "queued", "waiting", "sending"}
