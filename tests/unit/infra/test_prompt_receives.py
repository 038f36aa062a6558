"""Receives that wait at an emulated queue: a message that comes meanwhile is theirs at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from ministack.services import sqs

from infra.local.prompt_receives import Bell

HOLDS = 30  # seconds, after which a receive that nothing has woken counts as stuck


class Unhurried(Bell):
    """A bell for those who sleep until it is rung, however short they meant to."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(10 * HOLDS)


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty queue of MiniStack, whose receives look again only when they are woken."""
    bell = Unhurried()
    monkeypatch.setattr(sqs, "asyncio", bell)
    monkeypatch.setattr(sqs, "esm_wake", bell)
    sqs.reset()
    yield sqs._act_create_queue({"QueueName": "prompt"}, "")["QueueUrl"]
    sqs.reset()


async def received(url: str, **meanwhile: Any) -> list[str]:
    """What a receive that waits gets if these messages are sent once it waits."""
    waiting = asyncio.create_task(sqs._act_receive_message({"QueueUrl": url, "WaitTimeSeconds": 20}, url))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for body in meanwhile.get("bodies", ()):
        sqs._act_send_message({"QueueUrl": url, "MessageBody": body}, url)
    if handle := meanwhile.get("shown"):
        sqs._act_change_visibility({"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 0}, url)
    answer = await asyncio.wait_for(waiting, HOLDS)
    return [message["Body"] for message in answer["Messages"]]


def test_a_message_that_is_sent_meanwhile_ends_the_wait(url: str) -> None:
    """Expects it without another look after a tenth of a second."""
    assert asyncio.run(received(url, bodies=["one"])) == ["one"]


def test_a_message_that_is_shown_again_ends_the_wait(url: str) -> None:
    """Expects the same of one that somebody gives back."""
    sqs._act_send_message({"QueueUrl": url, "MessageBody": "back"}, url)
    taken = asyncio.run(sqs._act_receive_message({"QueueUrl": url, "VisibilityTimeout": 600}, url))
    handle = taken["Messages"][0]["ReceiptHandle"]
    assert asyncio.run(received(url, shown=handle)) == ["back"]


def test_all_who_sleep_are_woken_and_none_stays() -> None:
    """Expects three sleepers to wake, and a bell that nobody hears to do nothing."""

    async def all_of_them() -> int:
        bell = Bell()
        sleepers = [asyncio.create_task(bell.sleep(10 * HOLDS)) for _ in range(3)]
        await asyncio.sleep(0)
        bell.set()
        await asyncio.wait_for(asyncio.gather(*sleepers), HOLDS)
        bell.set()
        return len(bell._waiting)

    assert asyncio.run(all_of_them()) == 0


def test_the_rest_of_the_module_is_there() -> None:
    """Expects MiniStack to find what it uses of asyncio besides."""
    assert Bell().iscoroutine is asyncio.iscoroutine
