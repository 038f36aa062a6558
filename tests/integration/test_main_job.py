"""From a mailing to the gateway: the whole way, on a virtual clock."""

import json
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest

from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from chalicelib.queues import Hint
from tests.support.world import START, World, new_world


@pytest.fixture
def world():
    with new_world(max_attempts=3) as made:
        yield made


def test_an_open_mailing_calls_the_gateway_once_for_every_client_and_finishes(world: World) -> None:
    clients = world.add_clients(300)
    world.add_clients(5, tag="other")
    mailing = world.create_mailing(text="Hello, Привет")
    world.run_until_finished(mailing, limit=60)
    assert world.gateway.calls() == Counter({world.gateway_id(mailing, client): 1 for client in clients})
    assert {call.phone_number for call in world.gateway.log} == {client.phone_number for client in clients}
    assert {call.text for call in world.gateway.log} == {"Hello, Привет"}
    assert world.counts(mailing) == {"total": 300, "sent": 300}
    assert Counter(row.status for row in world.rows(mailing)) == Counter({"sent": 300})


def test_more_clients_than_the_queue_may_hold_are_fed_as_they_are_sent(world: World) -> None:
    world.add_clients(2600)
    mailing = world.create_mailing()
    depths = []

    def finished() -> bool:
        depths.append(world.services.queues["send"].depth())
        return world.status(mailing) == "finished"

    assert world.scheduler.run_until(START + timedelta(minutes=10), finished, check=50)
    assert world.counts(mailing) == {"total": 2600, "sent": 2600}
    assert set(world.gateway.calls().values()) == {1}
    assert max(depths) <= world.settings.queue_high_water + 500


def test_a_scheduled_mailing_starts_by_itself_within_two_seconds(world: World) -> None:
    world.add_clients(3)
    mailing = world.create_mailing(starts_in=1000.5)
    world.run_for(1000)
    assert world.gateway.log == []
    assert world.status(mailing) == "scheduled"
    world.run_for(10)
    lateness = world.gateway.log[0].at - mailing.start_at
    assert timedelta(0) <= lateness < timedelta(seconds=2)
    assert world.status(mailing) == "finished"


def test_a_mailing_that_was_moved_starts_at_its_new_time_only(world: World) -> None:
    from dataclasses import replace

    from chalicelib.services.mailing_fields import MailingFields

    world.add_clients(1)
    mailing = world.create_mailing(starts_in=30)
    fields = MailingFields(mailing.text, mailing.segment, START + timedelta(seconds=300), mailing.end_at)
    world.services.mailings.change(mailing.mailing_id, replace(fields, text="Changed"))
    world.run_for(299)
    assert world.gateway.log == []
    world.run_for(3)
    assert [call.text for call in world.gateway.log] == ["Changed"]


def test_a_mailing_for_nobody_finishes(world: World) -> None:
    mailing = world.create_mailing(starts_in=5)
    world.run_until_finished(mailing, limit=60)
    assert world.counts(mailing) == {}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(Outcome.FAILED, Cause.http(500), 500),
        Answer(Outcome.FAILED, Cause.http(429), 429, retry_after=7),
        Answer(Outcome.FAILED, Cause(Reason.NO_CONNECTION)),
        Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER)),
        Answer(Outcome.UNKNOWN, Cause(Reason.ANSWER_UNCLEAR), 200),
    ],
)
def test_trouble_is_retried_with_backoff_and_then_a_dead_letter_that_says_why(world: World, answer: Answer) -> None:
    clients = world.add_clients(20)
    mailing = world.create_mailing()
    bad = world.gateway_id(mailing, clients[4])
    world.gateway.script = lambda gateway_id, nth: answer if gateway_id == bad else Answer(Outcome.ACCEPTED)
    world.run_until_finished(mailing, limit=120)
    calls = world.gateway.calls()
    assert calls.pop(bad) == 3
    assert set(calls.values()) == {1}
    status = "unknown" if answer.outcome is Outcome.UNKNOWN else "failed"
    assert world.counts(mailing) == {"total": 20, "sent": 19, status: 1}
    (row,) = [row for row in world.rows(mailing) if row.status == status]
    assert row.client_id == clients[4].client_id
    assert row.cause == Cause.used_up(3, answer.cause)
    moments = [call.at for call in world.gateway.log if call.gateway_id == bad]
    first, second = (b - a for a, b in pairwise(moments))
    assert first >= timedelta(seconds=max(1, answer.retry_after or 0))
    assert second >= timedelta(seconds=max(2, answer.retry_after or 0))
    (letter,) = world.bodies(world.settings.send_dead_letter_queue)
    about = {"mailing_id": mailing.mailing_id, "client_ids": [row.client_id]}
    assert json.loads(letter) == about | {"reason": str(row.cause)}


def test_a_refusal_is_final_and_needs_no_dead_letter(world: World) -> None:
    clients = world.add_clients(10)
    mailing = world.create_mailing()
    bad = world.gateway_id(mailing, clients[0])
    refused = Answer(Outcome.REFUSED, Cause.http(400), 400)
    world.gateway.script = lambda gateway_id, nth: refused if gateway_id == bad else Answer(Outcome.ACCEPTED)
    world.run_until_finished(mailing, limit=60)
    assert set(world.gateway.calls().values()) == {1}
    assert world.counts(mailing) == {"total": 10, "sent": 9, "failed": 1}
    assert [row.cause for row in world.rows(mailing) if row.status == "failed"] == [Cause.http(400)]
    assert world.bodies(world.settings.send_dead_letter_queue) == []


def test_an_unknown_outcome_is_held_where_the_mailing_says_so(world: World) -> None:
    from chalicelib.domain.mailings import OnUnknown

    world.add_clients(1)
    mailing = world.create_mailing(on_unknown=OnUnknown.HOLD)
    world.gateway.script = lambda gateway_id, nth: Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
    world.run_until_finished(mailing, limit=60)
    assert len(world.gateway.log) == 1
    assert world.counts(mailing) == {"total": 1, "unknown": 1}


def test_opted_out_clients_are_skipped_and_counted(world: World) -> None:
    world.add_clients(4)
    world.add_clients(3, operator="917", opted_out=True)
    mailing = world.create_mailing()
    world.run_until_finished(mailing, limit=60)
    assert world.counts(mailing) == {"total": 7, "sent": 4, "skipped": 3}


def test_a_gateway_that_was_down_costs_nobody_a_message() -> None:
    with new_world() as world:
        world.add_clients(200)
        mailing = world.create_mailing()
        down_from, down_until = START + timedelta(seconds=1), START + timedelta(seconds=31)

        def script(gateway_id: int, nth: int) -> Answer:
            down = down_from <= world.clock.now() < down_until
            return Answer(Outcome.FAILED, Cause(Reason.NO_CONNECTION)) if down else Answer(Outcome.ACCEPTED)

        world.gateway.script = script
        world.run_until_finished(mailing, limit=300)
        assert world.counts(mailing) == {"total": 200, "sent": 200}
        assert set(world.gateway.accepted().values()) == {1}
        assert len(world.gateway.accepted()) == 200


def test_poison_goes_to_the_dead_letters_and_hurts_no_neighbour(world: World) -> None:
    world.add_clients(5)
    mailing = world.create_mailing()
    url = world.sqs.get_queue_url(QueueName=world.settings.send_queue)["QueueUrl"]
    for body in ("{", "null", '{"mailing_id": 1}', "[" * 5000, '{"mailing_id":"x","client_id":"../../etc"}'):
        world.sqs.send_message(QueueUrl=url, MessageBody=body)
    world.run_until_finished(mailing, limit=60)
    assert world.counts(mailing) == {"total": 5, "sent": 5}
    assert len(world.bodies(world.settings.send_dead_letter_queue)) == 5


def test_duplicated_and_lost_hints_neither_repeat_nor_lose_anybody() -> None:
    with new_world(workers_of={"tick": 1, "dispatcher": 1}, sender_batch=1) as world:
        _deliver_half_of_the_hints_and_some_twice(world)


def _deliver_half_of_the_hints_and_some_twice(world: World) -> None:
    world.add_clients(40)
    mailing = world.create_mailing()

    def hinted() -> list[str]:
        bodies = [message["body"] for message in world.queue(world.settings.send_queue)]
        return [client_id for body in bodies for client_id in Hint.parse(body).client_ids]

    world.scheduler.run_until(START + timedelta(seconds=60), lambda: len(hinted()) == 40)
    assert len(set(hinted())) == 40
    url = world.sqs.get_queue_url(QueueName=world.settings.send_queue)["QueueUrl"]
    hints = sorted(world.bodies(world.settings.send_queue))
    half = len(hints) // 2
    for body in hints[:half]:  # half of them are lost
        for _ in range(3):  # one for each sender, at the same time
            world.sqs.send_message(QueueUrl=url, MessageBody=body)
    world.workers.start({"sender": 3})
    world.run_until_finished(mailing, limit=300)
    assert not world.gateway.overlaps
    assert set(world.gateway.calls().values()) == {1}
    assert world.counts(mailing) == {"total": 40, "sent": 40}
