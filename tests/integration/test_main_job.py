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
from tests.support.simulation import START, Simulation, new_simulation


@pytest.fixture
def simulation():
    with new_simulation(max_attempts=3) as made:
        yield made


def test_an_open_mailing_calls_the_gateway_once_for_every_client_and_finishes(simulation: Simulation) -> None:
    clients = simulation.add_clients(300)
    simulation.add_clients(5, tag="other")
    mailing = simulation.create_mailing(text="Hello, Привет")
    simulation.run_until_finished(mailing, limit=60)
    assert simulation.gateway.calls() == Counter({simulation.gateway_id(mailing, client): 1 for client in clients})
    assert {call.phone_number for call in simulation.gateway.log} == {client.phone_number for client in clients}
    assert {call.text for call in simulation.gateway.log} == {"Hello, Привет"}
    assert simulation.counts(mailing) == {"total": 300, "sent": 300}
    assert Counter(row.status for row in simulation.rows(mailing)) == Counter({"sent": 300})


def test_more_clients_than_the_queue_may_hold_are_fed_bit_by_bit(simulation: Simulation) -> None:
    simulation.add_clients(2600)
    mailing = simulation.create_mailing()
    depths = []

    def finished() -> bool:
        depths.append(simulation.services.queues["send"].depth())
        return simulation.status(mailing) == "finished"

    assert simulation.scheduler.run_until(START + timedelta(minutes=10), finished, check=50)
    assert simulation.counts(mailing) == {"total": 2600, "sent": 2600}
    assert set(simulation.gateway.calls().values()) == {1}
    assert max(depths) <= simulation.settings.queue_high_water + 500


def test_a_scheduled_mailing_starts_by_itself_within_two_seconds(simulation: Simulation) -> None:
    simulation.add_clients(3)
    mailing = simulation.create_mailing(starts_in=1000.5)
    simulation.run_for(1000)
    assert simulation.gateway.log == []
    assert simulation.status(mailing) == "scheduled"
    simulation.run_for(10)
    lateness = simulation.gateway.log[0].at - mailing.start_at
    assert timedelta(0) <= lateness < timedelta(seconds=2)
    assert simulation.status(mailing) == "finished"


def test_a_moved_mailing_starts_only_at_its_new_time(simulation: Simulation) -> None:
    from dataclasses import replace

    from chalicelib.services.mailing_fields import MailingFields

    simulation.add_clients(1)
    mailing = simulation.create_mailing(starts_in=30)
    fields = MailingFields(mailing.text, mailing.segment, START + timedelta(seconds=300), mailing.end_at)
    simulation.services.mailings.change(mailing.mailing_id, replace(fields, text="Changed"))
    simulation.run_for(299)
    assert simulation.gateway.log == []
    simulation.run_for(3)
    assert [call.text for call in simulation.gateway.log] == ["Changed"]


def test_a_mailing_for_nobody_finishes(simulation: Simulation) -> None:
    mailing = simulation.create_mailing(starts_in=5)
    simulation.run_until_finished(mailing, limit=60)
    assert simulation.counts(mailing) == {}


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
def test_failures_are_retried_with_backoff_and_then_become_dead_letters_with_a_reason(
    simulation: Simulation, answer: Answer
) -> None:
    clients = simulation.add_clients(20)
    mailing = simulation.create_mailing()
    bad = simulation.gateway_id(mailing, clients[4])
    simulation.gateway.script = lambda gateway_id, nth: answer if gateway_id == bad else Answer(Outcome.ACCEPTED)
    simulation.run_until_finished(mailing, limit=120)
    calls = simulation.gateway.calls()
    assert calls.pop(bad) == 3
    assert set(calls.values()) == {1}
    status = "unknown" if answer.outcome is Outcome.UNKNOWN else "failed"
    assert simulation.counts(mailing) == {"total": 20, "sent": 19, status: 1}
    (row,) = [row for row in simulation.rows(mailing) if row.status == status]
    assert row.client_id == clients[4].client_id
    assert row.cause == Cause.used_up(3, answer.cause)
    moments = [call.at for call in simulation.gateway.log if call.gateway_id == bad]
    first, second = (b - a for a, b in pairwise(moments))
    assert first >= timedelta(seconds=max(1, answer.retry_after or 0))
    assert second >= timedelta(seconds=max(2, answer.retry_after or 0))
    (letter,) = simulation.bodies(simulation.settings.send_dead_letter_queue)
    about = {"mailing_id": mailing.mailing_id, "client_ids": [row.client_id]}
    assert json.loads(letter) == about | {"reason": str(row.cause)}


def test_a_refusal_is_final_and_needs_no_dead_letter(simulation: Simulation) -> None:
    clients = simulation.add_clients(10)
    mailing = simulation.create_mailing()
    bad = simulation.gateway_id(mailing, clients[0])
    refused = Answer(Outcome.REFUSED, Cause.http(400), 400)
    simulation.gateway.script = lambda gateway_id, nth: refused if gateway_id == bad else Answer(Outcome.ACCEPTED)
    simulation.run_until_finished(mailing, limit=60)
    assert set(simulation.gateway.calls().values()) == {1}
    assert simulation.counts(mailing) == {"total": 10, "sent": 9, "failed": 1}
    assert [row.cause for row in simulation.rows(mailing) if row.status == "failed"] == [Cause.http(400)]
    assert simulation.bodies(simulation.settings.send_dead_letter_queue) == []


def test_a_message_of_unknown_outcome_is_held_if_the_mailing_says_so(simulation: Simulation) -> None:
    from chalicelib.domain.mailings import OnUnknown

    simulation.add_clients(1)
    mailing = simulation.create_mailing(on_unknown=OnUnknown.HOLD)
    simulation.gateway.script = lambda gateway_id, nth: Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
    simulation.run_until_finished(mailing, limit=60)
    assert len(simulation.gateway.log) == 1
    assert simulation.counts(mailing) == {"total": 1, "unknown": 1}


def test_opted_out_clients_are_skipped_and_counted(simulation: Simulation) -> None:
    simulation.add_clients(4)
    simulation.add_clients(3, operator="917", opted_out=True)
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing, limit=60)
    assert simulation.counts(mailing) == {"total": 7, "sent": 4, "skipped": 3}


def test_a_gateway_that_was_down_costs_nobody_a_message() -> None:
    with new_simulation() as simulation:
        simulation.add_clients(200)
        mailing = simulation.create_mailing()
        down_from, down_until = START + timedelta(seconds=1), START + timedelta(seconds=31)

        def script(gateway_id: int, nth: int) -> Answer:
            down = down_from <= simulation.clock.now() < down_until
            return Answer(Outcome.FAILED, Cause(Reason.NO_CONNECTION)) if down else Answer(Outcome.ACCEPTED)

        simulation.gateway.script = script
        simulation.run_until_finished(mailing, limit=300)
        assert simulation.counts(mailing) == {"total": 200, "sent": 200}
        assert set(simulation.gateway.accepted().values()) == {1}
        assert len(simulation.gateway.accepted()) == 200


def test_poison_goes_to_the_dead_letters_and_hurts_no_neighbour(simulation: Simulation) -> None:
    simulation.add_clients(5)
    mailing = simulation.create_mailing()
    url = simulation.sqs.get_queue_url(QueueName=simulation.settings.send_queue)["QueueUrl"]
    for body in ("{", "null", '{"mailing_id": 1}', "[" * 5000, '{"mailing_id":"x","client_id":"../../etc"}'):
        simulation.sqs.send_message(QueueUrl=url, MessageBody=body)
    simulation.run_until_finished(mailing, limit=60)
    assert simulation.counts(mailing) == {"total": 5, "sent": 5}
    assert len(simulation.bodies(simulation.settings.send_dead_letter_queue)) == 5


def test_duplicate_and_lost_hints_neither_repeat_nor_lose_anybody() -> None:
    with new_simulation(workers_of={"tick": 1, "dispatcher": 1}, sender_batch=1) as simulation:
        _deliver_half_of_the_hints_and_some_twice(simulation)


def _deliver_half_of_the_hints_and_some_twice(simulation: Simulation) -> None:
    simulation.add_clients(40)
    mailing = simulation.create_mailing()

    def hinted() -> list[str]:
        bodies = [message["body"] for message in simulation.queue(simulation.settings.send_queue)]
        return [client_id for body in bodies for client_id in Hint.parse(body).client_ids]

    simulation.scheduler.run_until(START + timedelta(seconds=60), lambda: len(hinted()) == 40)
    assert len(set(hinted())) == 40
    url = simulation.sqs.get_queue_url(QueueName=simulation.settings.send_queue)["QueueUrl"]
    hints = sorted(simulation.bodies(simulation.settings.send_queue))
    half = len(hints) // 2
    for body in hints[:half]:  # half of them are lost
        for _ in range(3):  # one for each sender, at the same time
            simulation.sqs.send_message(QueueUrl=url, MessageBody=body)
    simulation.workers.start({"sender": 3})
    simulation.run_until_finished(mailing, limit=300)
    assert not simulation.gateway.overlaps
    assert set(simulation.gateway.calls().values()) == {1}
    assert simulation.counts(mailing) == {"total": 40, "sent": 40}
