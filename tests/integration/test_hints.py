"""Hints for several messages: each message is delivered, retried and given up on its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.clients import Client, ClientFields
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from chalicelib.queues import Hint
from tests.support.client_ids import new_client_with_id
from tests.support.simulation import Simulation, new_simulation

OK = Answer(Outcome.ACCEPTED)
HTTP_500 = Answer(Outcome.FAILED, Cause.http(500), 500)


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A service without senders, which tests start once the hints are on the queue."""
    with new_simulation(workers_of={"tick": 1, "dispatcher": 1}, max_attempts=3) as made:
        yield made


def neighbours(simulation: Simulation, count: int) -> list[Client]:
    """So many clients of one shard, who share a hint."""
    now = simulation.clock.now()
    anybody = (
        new_client_with_id(ClientFields(f"+7916{number:07d}", tags=("all",)), now) for number in itertools.count()
    )
    chosen = list(itertools.islice((client for client in anybody if client.shard == "07"), count))
    simulation.services.clients._clients.upsert(chosen)
    return chosen


def hinted(simulation: Simulation) -> list[Hint]:
    return [Hint.parse(message["body"]) for message in simulation.queue(simulation.settings.send_queue)]


def ordered(simulation: Simulation, count: int) -> tuple[Mailing, list[Client]]:
    """A mailing to so many clients of one shard, whose hint is on the queue."""
    clients = neighbours(simulation, count)
    mailing = simulation.create_mailing(tag="all")
    simulation.scheduler.run_until(simulation.clock.now() + timedelta(seconds=5), lambda: bool(hinted(simulation)))
    simulation.run_for(1)
    return mailing, clients


def fail(simulation: Simulation, *gateway_ids: int, times: int = 1) -> None:
    """Let the gateway fail the first so many attempts of these messages."""
    simulation.gateway.script = lambda gateway_id, nth: HTTP_500 if gateway_id in gateway_ids and nth <= times else OK


def test_a_hint_is_for_whole_buckets_of_a_shard(simulation: Simulation) -> None:
    """Expects as few hints as possible for up to 16 clients each, without dividing a bucket, with everybody in one."""
    mailing, clients = ordered(simulation, 23)
    division = simulation.services.mailings.get(mailing.mailing_id).division
    found = [hint.client_ids for hint in hinted(simulation)]
    for bucket in division.by_bucket(client.client_id for client in clients):
        assert sum(bool(set(bucket) & set(ids)) for ids in found) == 1
    assert len(found) == 2
    assert {one for hint in hinted(simulation) for one in hint.client_ids} == {client.client_id for client in clients}


def test_a_message_that_is_retried_gets_a_hint_of_its_own(simulation: Simulation) -> None:
    """Expects nobody else to be looked at again, and the wait to be for that message only."""
    mailing, clients = ordered(simulation, 10)
    fail(simulation, simulation.gateway_id(mailing, clients[3]), simulation.gateway_id(mailing, clients[7]))
    simulation.workers.start({"sender": 2})
    simulation.run_for(0.9)
    left = hinted(simulation)
    assert {hint.client_ids for hint in left} == {(clients[3].client_id,), (clients[7].client_id,)}
    simulation.run_until_finished(mailing, limit=30)
    assert simulation.counts(mailing) == {"total": 10, "sent": 10}
    assert sorted(simulation.gateway.calls().values()) == [1] * 8 + [2, 2]


@pytest.mark.parametrize("answer", [(500, {"__type": "InternalError"}), (400, {"__type": "AccessDenied"})])
def test_a_new_hint_that_the_queue_refuses_leaves_the_first_one(
    simulation: Simulation, answer: tuple[int, Any]
) -> None:
    """Expects the failed message to come again with its old hint, and the others not to be called again."""
    mailing, clients = ordered(simulation, 10)
    fail(simulation, simulation.gateway_id(mailing, clients[3]))
    handle = simulation.aws._handle

    def refusing(service: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        task = simulation.scheduler.current
        if task and task.name.startswith("sender") and target.endswith(".SendMessageBatch") and b"client_ids" in body:
            return answer
        return handle(service, target, body)

    simulation.aws._handle = refusing  # type: ignore[method-assign]
    simulation.workers.start({"sender": 2})
    simulation.run_for(60)
    assert [len(hint.client_ids) for hint in hinted(simulation)] == [10]
    simulation.aws._handle = handle  # type: ignore[method-assign]
    simulation.run_until_finished(mailing, limit=600)
    assert simulation.counts(mailing) == {"total": 10, "sent": 10}
    assert sorted(simulation.gateway.calls().values()) == [1] * 9 + [2]


def test_each_message_whose_attempts_are_used_up_has_a_dead_letter_of_its_own(simulation: Simulation) -> None:
    """Expects two dead letters with their reasons, and the eight others sent."""
    mailing, clients = ordered(simulation, 10)
    bad = clients[2], clients[5]
    fail(simulation, *(simulation.gateway_id(mailing, client) for client in bad), times=3)
    simulation.workers.start({"sender": 2})
    simulation.run_until_finished(mailing, limit=120)
    assert simulation.counts(mailing) == {"total": 10, "sent": 8, "failed": 2}
    letters = [json.loads(body) for body in simulation.bodies(simulation.settings.send_dead_letter_queue)]
    assert {tuple(letter["client_ids"]) for letter in letters} == {(client.client_id,) for client in bad}
    assert {Cause.parse(letter["reason"]) for letter in letters} == {Cause.used_up(3, Cause.http(500))}


def test_a_dead_letter_about_several_messages_is_listed_and_put_back(simulation: Simulation) -> None:
    """SQS gives up a hint as it is. Expects a row for each message, and each of them to be sent once after a
    redrive."""
    mailing, clients = ordered(simulation, 10)
    simulation.gateway.script = lambda gateway_id, nth: Answer(Outcome.REFUSED, Cause.http(400), 400)
    bodies = [message["body"] for message in simulation.queue(simulation.settings.send_queue)]
    simulation.workers.start({"sender": 1})
    simulation.run_until_finished(mailing, limit=60)
    simulation.services.queues["send-dead"].send(bodies)
    letters = simulation.services.dead_letters.list()
    assert {letter.about for letter in letters} == {(mailing.mailing_id, client.client_id) for client in clients}
    assert len({letter.item for letter in letters}) == 1
    simulation.gateway.script = lambda gateway_id, nth: OK
    redriven = simulation.services.dead_letters.redrive({letters[0].item})
    assert (redriven.put_back, redriven.settled, redriven.refused) == (10, 0, {})
    simulation.run_until_finished(mailing, limit=60)
    assert simulation.counts(mailing) == {"total": 10, "sent": 10}
    assert not simulation.bodies(simulation.settings.send_dead_letter_queue)


def test_a_mailing_that_is_resumed_within_a_second_is_not_taken_for_paused(simulation: Simulation) -> None:
    """A sender remembers what it has read for a second. Expects it not to drop the hints that come then."""
    mailing, _ = ordered(simulation, 10)
    services = simulation.services
    services.mailing_actions.pause(mailing.mailing_id)
    simulation.workers.start({"sender": 1})
    simulation.run_for(0.2)
    assert not hinted(simulation)  # dropped by a sender that has read "paused"
    services.mailing_actions.resume(mailing.mailing_id)
    simulation.run_until_finished(mailing, limit=5)
    assert simulation.counts(mailing) == {"total": 10, "sent": 10}
