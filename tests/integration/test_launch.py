"""The launch of a mailing: one page of one shard goes ahead, then come all others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ConnectionClosedError

from tests.support.aws import Call
from tests.support.world import World, new_world


@pytest.fixture
def world() -> Iterator[World]:
    with new_world(workers_of={"dispatcher": 3, "sender": 2}) as made:  # no tick, which would help
        made.add_clients(300)
        yield made


def is_expansion(call: Call) -> bool:
    """Whether units for the shards are sent."""
    return call.operation == "sqs.SendMessageBatch" and b"expand" in call.body


def test_a_page_goes_ahead_of_all_shards(world: World) -> None:
    """So that the first message is sent while the others are still being expanded."""
    calls: list[Call] = []
    others = world.aws.before

    def note(call: Call) -> None:
        calls.append(call)
        others(call)

    world.aws.before = note
    mailing = world.create_mailing()
    world.run_until_finished(mailing, limit=30)
    written = [place for place, call in enumerate(calls) if call.operation == "dynamodb.BatchExecuteStatement"]
    hinted = [place for place, call in enumerate(calls) if call.operation == "sqs.SendMessageBatch"]
    expansions = [place for place in hinted if is_expansion(calls[place])]
    first_hint = next(place for place in hinted if b"-send" in calls[place].body)
    assert written[0] < first_hint < expansions[0]
    assert world.counts(mailing) == {"total": 300, "sent": 300}


def test_a_page_that_cannot_be_read_holds_up_nothing(world: World) -> None:
    """The unit of its shard comes with all others; nobody waits for a tick."""
    failed: list[str] = []
    others = world.aws.before

    def fail(call: Call) -> None:
        if is_expansion(call):
            world.aws.before = others
        elif call.operation == "dynamodb.Query" and b"by_tag" in call.body:
            failed.append(call.operation)
            raise ConnectionClosedError(endpoint_url="fault")
        others(call)

    world.aws.before = fail
    mailing = world.create_mailing()
    world.run_until_finished(mailing, limit=50)
    assert failed
    assert world.counts(mailing) == {"total": 300, "sent": 300}
    assert set(world.gateway.calls().values()) == {1}
