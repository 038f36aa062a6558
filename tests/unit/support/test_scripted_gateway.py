"""The scripted gateway behind an adapter with time limits: what it did, and what its caller heard of that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from tests.factories import outgoing
from tests.support.scheduler import VirtualClock
from tests.support.scripted_gateway import ScriptedGateway

START = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    with time_machine.travel(START, tick=False) as traveller:
        yield ScriptedGateway(VirtualClock(traveller, START))


@pytest.mark.parametrize(("takes", "heard"), [(1.0, Outcome.ACCEPTED), (3.0, Outcome.UNKNOWN)])
def test_a_call_ends_at_the_time_limit_whatever_the_gateway_did(
    gateway: ScriptedGateway, takes: float, heard: Outcome
) -> None:
    """It accepts the message both times; who called it after 3 s does not know."""
    gateway.latencies = lambda: takes
    assert gateway.send(outgoing(1, "+79160000000", "Hello")).outcome is heard
    (call,) = gateway.log
    assert (call.outcome, call.answered) == (Outcome.ACCEPTED, heard)
    assert gateway.clock.now() - START == timedelta(seconds=min(takes, 2.0))


@pytest.mark.parametrize(("recognises", "texts"), [(True, 1), (False, 3)])
def test_what_people_get_depends_on_whether_it_recognises_ids(
    gateway: ScriptedGateway, recognises: bool, texts: int
) -> None:
    gateway.recognises_ids = recognises
    for _ in range(3):
        assert gateway.send(outgoing(1, "+79160000000", "Hello")).outcome is Outcome.ACCEPTED
    assert gateway.received() == {("+79160000000", "Hello"): texts}
    assert gateway.accepted() == {1: 3}


def test_it_takes_no_more_than_its_capacity_in_a_second(gateway: ScriptedGateway) -> None:
    gateway.latency = timedelta(0)
    gateway.capacity = 10
    gateway.over_capacity = Answer(Outcome.FAILED, Cause.http(429), 429, retry_after=1)
    answers = [gateway.send(outgoing(number, "+79160000000", "Hello")) for number in range(15)]
    assert [one.http_status for one in answers] == [None] * 10 + [429] * 5
    assert answers[-1].retry_after == 1
    gateway.clock.sleep(1)
    assert gateway.send(outgoing(16, "+79160000000", "Hello")).outcome is Outcome.ACCEPTED


def test_it_may_answer_everybody_alike(gateway: ScriptedGateway) -> None:
    gateway.everybody = Answer(Outcome.REFUSED, Cause.http(403), 403)
    assert gateway.send(outgoing(1, "+79160000000", "Hello")).http_status == 403
    gateway.everybody = None
    assert gateway.send(outgoing(1, "+79160000000", "Hello")).outcome is Outcome.ACCEPTED
    assert gateway.received() == {("+79160000000", "Hello"): 1}


def test_the_last_look_comes_after_the_connection_and_right_before_the_call(gateway: ScriptedGateway) -> None:
    looks: list[timedelta] = []
    gateway.connecting = lambda: 0.15
    gateway.send(outgoing(1, "+79160000000", "Hello"), lambda: looks.append(gateway.clock.now() - START))
    assert looks == [gateway.log[0].at - START] == [timedelta(seconds=0.15)]


def test_what_the_last_look_says_against_the_call_is_its_callers(gateway: ScriptedGateway) -> None:
    def look() -> None:
        raise LookupError("paused")

    with pytest.raises(LookupError):
        gateway.send(outgoing(1, "+79160000000", "Hello"), look)
    assert not gateway.log


def test_without_a_connection_nothing_is_sent_and_nobody_looks(gateway: ScriptedGateway) -> None:
    looks: list[None] = []
    gateway.connecting = lambda: 5.0
    assert gateway.send(outgoing(1, "+79160000000", "Hello"), lambda: looks.append(None)).outcome is Outcome.FAILED
    assert not gateway.log
    assert not looks
    assert gateway.clock.now() - START == timedelta(seconds=0.2)
