"""The launch of a mailing: one page of one shard goes first, then all others; a small mailing is launched as a
whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from botocore.exceptions import ConnectionClosedError

from tests.support.aws import Call
from tests.support.simulation import Simulation, new_simulation

MANY = 700  # so that it has all shards


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with new_simulation(workers_of={"dispatcher": 3, "sender": 2}) as made:  # no tick, which would help
        made.add_clients(MANY)
        yield made


def is_expansion(call: Call) -> bool:
    """Whether this call sends units for the shards."""
    return call.operation == "sqs.SendMessageBatch" and b"expand" in call.body


def noted(simulation: Simulation) -> list[Call]:
    """The list to which each later call is added."""
    calls: list[Call] = []
    others = simulation.aws.before

    def note(call: Call) -> None:
        calls.append(call)
        others(call)

    simulation.aws.before = note
    return calls


def test_one_page_goes_before_all_shards(simulation: Simulation) -> None:
    """So that the first message is sent while the others are still being expanded."""
    calls = noted(simulation)
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing, limit=30)
    written = [place for place, call in enumerate(calls) if call.operation == "dynamodb.BatchExecuteStatement"]
    hinted = [place for place, call in enumerate(calls) if call.operation == "sqs.SendMessageBatch"]
    expansions = [place for place in hinted if is_expansion(calls[place])]
    first_hint = next(place for place in hinted if b"-send" in calls[place].body)
    assert written[0] < first_hint < expansions[0]
    assert simulation.counts(mailing) == {"total": MANY, "sent": MANY}


def test_a_first_page_that_cannot_be_read_holds_up_nothing(simulation: Simulation) -> None:
    """The unit of its shard is sent with all others; nobody waits for a tick."""
    failed: list[str] = []
    others = simulation.aws.before

    def fail(call: Call) -> None:
        if is_expansion(call):
            simulation.aws.before = others
        elif call.operation == "dynamodb.Query" and b"contacts_by_tag" in call.body:
            failed.append(call.operation)
            raise ConnectionClosedError(endpoint_url="fault")
        others(call)

    simulation.aws.before = fail
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing, limit=50)
    assert failed
    assert simulation.counts(mailing) == {"total": MANY, "sent": MANY}
    assert set(simulation.gateway.calls().values()) == {1}


def hints(calls: list[Call]) -> list[list[str]]:
    """The bodies that each call put on the send queue."""
    sent = [json.loads(call.body) for call in calls if call.operation == "sqs.SendMessageBatch"]
    return [[one["MessageBody"] for one in some["Entries"]] for some in sent if some["QueueUrl"].endswith("-send")]


@pytest.mark.parametrize("tag", ["a", "b", "c"])
def test_the_first_hints_fill_a_senders_batch(tag: str) -> None:
    """Expects ten hints in one call, whatever ids a shard has: a sender that gets fewer waits for more."""
    with new_simulation(workers_of={"dispatcher": 3, "sender": 2}) as simulation:
        simulation.add_clients(16 * 140, tag=tag, operator="999")
        calls = noted(simulation)
        simulation.create_mailing(tag=tag)
        until = simulation.clock.now() + timedelta(seconds=30)
        assert simulation.scheduler.run_until(until, lambda: bool(hints(calls)), check=50)
        assert len(hints(calls)[0]) == 10


def test_a_small_mailing_is_expanded_by_its_launch(simulation: Simulation) -> None:
    """Expects one unit to write all rows and queue their hints together, and no units for shards."""
    simulation.add_clients(9, tag="few")
    calls = noted(simulation)
    mailing = simulation.create_mailing(tag="few")
    simulation.run_until_finished(mailing, limit=30)
    assert not any(is_expansion(call) for call in calls)
    assert len(hints(calls)) == 1
    assert len(hints(calls)[0]) == 1
    of_shards = [call for call in calls if call.operation == "dynamodb.UpdateItem" and b'"SHARD#' in call.body]
    assert len(of_shards) == 1  # the only one is moved once, taken by nobody before
    assert simulation.counts(mailing) == {"total": 9, "sent": 9}


def test_a_small_mailing_that_cannot_be_expanded_at_once_is_expanded_by_shards(simulation: Simulation) -> None:
    """Expects everybody to get it without a tick if a shard cannot be read at the launch."""
    simulation.add_clients(9, tag="few")
    failed: list[str] = []
    others = simulation.aws.before

    def fail(call: Call) -> None:
        if is_expansion(call):
            simulation.aws.before = others
        elif call.operation == "dynamodb.Query" and b"contacts_by_tag" in call.body and b'"07"' in call.body:
            failed.append(call.operation)
            raise ConnectionClosedError(endpoint_url="fault")
        others(call)

    simulation.aws.before = fail
    mailing = simulation.create_mailing(tag="few")
    simulation.run_until_finished(mailing, limit=50)
    assert failed
    assert simulation.counts(mailing) == {"total": 9, "sent": 9}
    assert set(simulation.gateway.calls().values()) == {1}


def test_a_small_mailing_without_clients_ends_at_once(simulation: Simulation) -> None:
    """Expects the launch to finish it, if its clients were removed since it was ordered."""
    (client,) = simulation.add_clients(1, tag="gone")
    mailing = simulation.create_mailing(tag="gone", starts_in=5)
    simulation.services.clients.delete(client.client_id)
    simulation.run_until_finished(mailing, limit=10)
    assert simulation.counts(mailing) == {}
