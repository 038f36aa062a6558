"""A queue on a real engine: messages are hidden, seen again, removed, and counted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.aws_clients import aws_client
from chalicelib.clock import Backoff, SystemClock
from chalicelib.domain.errors import Unavailable
from chalicelib.queues import Queue, QueueDepth
from tests.support.aws import InProcessAws


@pytest.fixture
def aws() -> Iterator[InProcessAws]:
    """An engine without queues."""
    with InProcessAws().installed() as made:
        yield made


@pytest.fixture
def queue(aws: InProcessAws) -> Queue:
    """An empty queue."""
    sqs = aws_client("sqs")
    sqs.create_queue(QueueName="q")
    return Queue(sqs, "q", Backoff(SystemClock(), random.Random(1)))


def bodies(count: int) -> list[str]:
    return [f"{number:02d}" for number in range(count)]


def test_messages_are_received_once_while_they_are_hidden(queue: Queue) -> None:
    """As many as requested, over several calls; then the rest, then none."""
    queue.send(bodies(25))
    first, second, third = queue.receive(12, 60), queue.receive(100, 60), queue.receive(10, 60)
    assert (len(first), len(second), third) == (12, 13, [])
    assert sorted(message.body for message in [*first, *second]) == bodies(25)
    assert all(abs(message.sent_at - datetime.now(UTC)) < timedelta(minutes=1) for message in first)


def test_receiving_ends_even_if_nothing_is_hidden(queue: Queue, aws: InProcessAws) -> None:
    """The same messages may come again and again: each is in the answer once."""
    queue.send(bodies(3))
    found = queue.receive(100, 0)
    assert sorted(message.body for message in found) == bodies(3)
    assert aws.calls.count("sqs.ReceiveMessage") < 10


def test_a_removed_message_is_gone(queue: Queue) -> None:
    """Expects the others to come back when they are visible again."""
    queue.send(bodies(12))
    found = queue.receive(12, 60)
    queue.delete([message.receipt for message in found[:11]])
    queue.postpone([(found[11].receipt, 0)])
    assert [message.item for message in queue.receive(10, 60)] == [found[11].item]


def test_depths_distinguish_where_messages_are(queue: Queue) -> None:
    """Available, delayed and in flight; a feeder needs to know what will be available soon."""
    queue.send(bodies(7))
    queue.send(bodies(5), delay=600)
    queue.receive(2, 60)
    assert queue.depths() == QueueDepth(visible=5, delayed=5, in_flight=2)
    assert queue.depth() == 10


def test_a_queue_that_does_not_exist_is_unavailable(aws: InProcessAws) -> None:
    """Whatever was requested."""
    queue = Queue(aws_client("sqs"), "nothing", Backoff(SystemClock(), random.Random(1)))
    for ask in (lambda: queue.send(["a"]), lambda: queue.receive(1, 60), queue.depths):
        with pytest.raises(Unavailable, match="nothing"):
            ask()
