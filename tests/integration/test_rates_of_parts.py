"""A gateway whose rate counts SMS parts: a text of three parts takes three moments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from chalicelib.domain.mailings import ShardProgress
from chalicelib.domain.messages import Outcome
from chalicelib.domain.sms import part_count
from chalicelib.domain.statuses import MailingStatus
from chalicelib.gateways.base import Answer
from tests.support.scripted_gateway import OK, TOO_MANY
from tests.support.simulation import Simulation, new_simulation

RATE = 10
SHORT, LONG = "See you tomorrow at nine.", "See you tomorrow at nine. " * 15
SECOND = timedelta(seconds=1)
GAP = 1.1 * SECOND / RATE
LATE = timedelta(milliseconds=100)  # that a call may start after its moment


@pytest.fixture(params=[None, 2], ids=["large batches", "small batches"])
def simulation(request: pytest.FixtureRequest) -> Iterator[Simulation]:
    """With senders that take as many hints as the app lets them, or few."""
    assert (part_count(SHORT), part_count(LONG)) == (1, 3)
    with new_simulation(sender_batch=request.param, counts_parts=True) as simulation:
        simulation.services.gateway_control.set_rate(RATE, "tester")
        yield simulation


def sent(simulation: Simulation, since: datetime | None = None) -> list[tuple[datetime, int]]:
    """When how many parts were sent, in order."""
    return sorted((call.at, part_count(call.text)) for call in simulation.gateway.log if not since or call.at > since)


def seconds(calls: list[tuple[datetime, int]]) -> list[list[int]]:
    """For each call, the parts of each message in the second that begins with it."""
    return [[parts for at, parts in calls if start <= at < start + SECOND] for start, _ in calls]


def test_no_second_has_more_parts_than_the_rate_except_for_one_message(simulation: Simulation) -> None:
    """A mailing of three-part texts beside one of one-part texts, and one with a rate of its own, in messages."""
    for tag in ("one", "three", "slow"):
        simulation.add_clients(15 if tag == "slow" else 30, tag=tag)
    mailings = [
        simulation.create_mailing(tag="one", text=SHORT, lasts=86_400),
        simulation.create_mailing(tag="three", text=LONG, lasts=86_400),
        simulation.create_mailing(tag="slow", text=LONG, lasts=86_400, rate_limit=1),
    ]
    for mailing in mailings:
        simulation.run_until_finished(mailing, 120)
    assert [simulation.counts(mailing)["sent"] for mailing in mailings] == [30, 30, 15]
    calls = sent(simulation)
    for one in seconds(calls):
        assert sum(one) - max(one) < RATE
        assert sum(one) <= RATE + 2
    assert all(later - at >= parts * GAP - LATE for (at, parts), (later, _) in pairwise(calls))
    slow = sorted(call.at for call in simulation.gateway.log if call.phone_number in numbers(simulation, "slow"))
    assert all(later - earlier >= SECOND for earlier, later in pairwise(slow))


def numbers(simulation: Simulation, tag: str) -> set[str]:
    """The phone numbers of those with a tag."""
    return {client.phone_number for client in simulation.everybody() if client.tag == tag}


def test_nearly_all_of_the_rate_is_used(simulation: Simulation) -> None:
    """By two mailings, with texts of one part and of three, which get about equal shares of the parts."""
    for tag, text in (("one", SHORT), ("three", LONG)):
        simulation.add_clients(60, tag=tag)
        simulation.create_mailing(tag=tag, text=text, lasts=86_400)
    simulation.run_for(15)
    calls = sent(simulation)
    used = sum(parts for at, parts in calls if calls[0][0] + SECOND <= at < calls[0][0] + 11 * SECOND)
    assert used >= 0.9 * 10 * RATE / 1.1
    messages = Counter(parts for _, parts in calls)
    assert 0.5 <= messages[1] / (3 * messages[3]) <= 2


def test_a_lowered_rate_holds_at_once_for_long_texts_too(simulation: Simulation) -> None:
    """No second after the change has more than it allows; what was booked at the old rate is booked again."""
    simulation.services.gateway_control.set_rate(60, "tester")
    simulation.add_clients(200)
    simulation.create_mailing(text=LONG, lasts=86_400)
    simulation.run_for(3.3)
    simulation.services.gateway_control.set_rate(4, "tester")
    changed_at = simulation.clock.now() + timedelta(milliseconds=10)  # who looked before that is on the way
    assert len(simulation.gateway.log) > 30
    simulation.run_for(15)
    calls = sent(simulation, changed_at)
    assert max(map(sum, seconds(calls))) <= 6
    assert len(calls) >= 15


def test_a_gateway_that_refuses_too_many_parts_costs_no_attempt(simulation: Simulation) -> None:
    """The rate is set too high for it: refused messages are sent later, however long their text, and nobody fails."""
    taken: Counter[datetime] = Counter()

    def judge(gateway_id: int, nth: int) -> Answer:
        second, parts = simulation.clock.now().replace(microsecond=0), part_count(texts[gateway_id])
        if taken[second] + parts > RATE:
            return TOO_MANY
        taken[second] += parts
        return OK

    simulation.services.gateway_control.set_rate(100, "tester")
    simulation.gateway.script = judge
    texts: dict[int, str] = {}
    mailings = []
    for tag, text in (("one", SHORT), ("three", LONG)):
        clients = simulation.add_clients(60, tag=tag)
        mailings.append(simulation.create_mailing(tag=tag, text=text, lasts=86_400))
        texts |= {simulation.gateway_id(mailings[-1], client): text for client in clients}
    for mailing in mailings:
        simulation.run_until_finished(mailing, 600)
        assert simulation.counts(mailing) == {"total": 60, "sent": 60}
    refused = [call for call in simulation.gateway.log if call.outcome is Outcome.THROTTLED]
    assert 0 < len(refused) < 120


def test_no_message_gets_a_hint_long_before_its_turn(simulation: Simulation) -> None:
    """The feeder counts in parts too: messages that cannot be sent for a while would be parked, which costs writes."""
    simulation.add_clients(60)
    mailing = simulation.create_mailing(text=LONG, lasts=86_400)
    simulation.run_until_finished(mailing, 120)
    assert {row.revision for row in simulation.rows(mailing)} == {3}  # written, claimed, sent


def test_a_rate_of_less_than_one_message_a_second_is_kept(simulation: Simulation) -> None:
    """One part a second, and texts of ten: each message takes eleven seconds, and none is forgotten."""
    simulation.services.gateway_control.set_rate(1, "tester")
    simulation.add_clients(8)
    mailing = simulation.create_mailing(text="x" * 1530, lasts=86_400)
    simulation.run_until_finished(mailing, 120)
    calls = [at for at, parts in sent(simulation) if parts == 10]
    assert len(calls) == 8
    assert all(timedelta(seconds=10.9) <= later - at <= timedelta(seconds=13) for at, later in pairwise(calls))
    assert max(row.revision for row in simulation.rows(mailing)) <= 7


def test_dispatch_queues_no_more_than_the_rate_allows(simulation: Simulation) -> None:
    """For a large mailing it queues at once what was sent meanwhile: a third of it if texts have three parts."""
    simulation.services.gateway_control.set_rate(9_600, "tester")
    direct = simulation.services.dispatcher._expander._direct
    now = simulation.clock.now()
    shard = ShardProgress("00", cursor="x", counted_at=now - 2 * SECOND)
    for text, parts in ((SHORT, 1), (LONG, 3)):
        mailing = replace(
            simulation.create_mailing(starts_in=60, text=text), status=MailingStatus.RUNNING, start_at=now
        )
        assert direct(mailing, shard, now) == pytest.approx(2 * 9_600 / 16 / parts, abs=1)
