"""Sending does not wait until a large mailing is expanded: there is no silence between the first message and the
last."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta

import pytest

from chalicelib.services.dispatching import expansion
from tests.support.aws import Call
from tests.support.simulation import Simulation, new_simulation

CLIENTS = 800
FEWER = 480
MOST = timedelta(seconds=2)


def slow_pages(simulation: Simulation, seconds: float) -> None:
    """Let each page of clients take time, as a new table does with the rows of one.

    A read for clients of further operators, which finds none here, is no page.
    """

    def before(call: Call) -> None:
        if b'"contacts_by_tag"' in call.body:
            low = json.loads(call.body)["ExpressionAttributeValues"][":low"]["S"]
            simulation.clock.sleep(0 if low.endswith("\x7f") else seconds)
        simulation.scheduler.io_point()

    simulation.aws.before = before


def longest_silence(simulation: Simulation) -> timedelta:
    moments = sorted(call.at for call in simulation.gateway.log)
    return max(later - one for one, later in itertools.pairwise(moments))


@pytest.mark.usefixtures("sixteen_shards")
def test_a_mailing_is_sent_while_it_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects ten pages of each shard, one a second, to be sent as they come, and nobody's message twice."""
    monkeypatch.setattr(expansion, "FIRST_PAGE", 3)
    monkeypatch.setattr(expansion, "PAGE", 3)
    with new_simulation(workers_of={"tick": 1, "dispatcher": 20, "sender": 4}) as simulation:
        simulation.add_clients(FEWER)
        slow_pages(simulation, 1)
        simulation.run_until_finished(simulation.create_mailing())
        assert len(simulation.gateway.log) == len(simulation.gateway.calls()) == FEWER
        assert longest_silence(simulation) <= MOST
        assert simulation.gateway.log[-1].at - simulation.gateway.log[0].at >= 3 * MOST  # it took its time


@pytest.mark.usefixtures("sixteen_shards")
@pytest.mark.parametrize("whose", ["the mailing", "the gateway"])
def test_a_mailing_with_a_rate_is_sent_while_it_is_expanded(monkeypatch: pytest.MonkeyPatch, whose: str) -> None:
    """Expects its first message with the second pages, and no silence after that, if a shard takes twenty seconds."""
    monkeypatch.setattr(expansion, "FIRST_PAGE", 3)
    monkeypatch.setattr(expansion, "PAGE", 3)
    with new_simulation(workers_of={"tick": 1, "dispatcher": 20, "sender": 4}) as simulation:
        simulation.add_clients(FEWER)
        slow_pages(simulation, 2)
        if whose == "the gateway":
            simulation.services.gateway_control.set_rate(24, "tester")
        mailing = simulation.create_mailing(rate_limit=24 if whose == "the mailing" else None)
        simulation.run_until_finished(mailing)
        assert len(simulation.gateway.log) == len(simulation.gateway.calls()) == FEWER
        assert simulation.gateway.log[0].at - mailing.created_at <= 3 * MOST
        assert longest_silence(simulation) <= MOST


def test_pages_that_found_the_queue_full_are_fed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects everybody to get it, though the last page of a shard is queued at once and others are not."""
    monkeypatch.setattr(expansion, "FIRST_PAGE", 5)
    monkeypatch.setattr(expansion, "PAGE", 5)
    with new_simulation(workers_of={"tick": 1, "dispatcher": 20, "sender": 4}) as simulation:
        simulation.add_clients(CLIENTS)
        slow_pages(simulation, 1)
        mailing = simulation.create_mailing()
        url = simulation.sqs.get_queue_url(QueueName=simulation.settings.send_queue)["QueueUrl"]
        full = [{"Id": str(number), "MessageBody": "none", "DelaySeconds": 5} for number in range(10)]
        for _ in range(30):
            simulation.sqs.send_message_batch(QueueUrl=url, Entries=full)
        simulation.run_until_finished(mailing, limit=50)  # before anybody looks why nothing comes of it
        assert len(simulation.gateway.log) == len(simulation.gateway.calls()) == CLIENTS
