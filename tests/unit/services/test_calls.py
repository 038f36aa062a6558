"""The last look before a call: what it hangs on is a second old at most when the call leaves."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.config import Settings
from chalicelib.domain.clients import Contact
from chalicelib.domain.gateway_control import GatewayControl
from chalicelib.domain.gateway_paces import TOLERANCE, GatewayPaces
from chalicelib.domain.gateway_routes import GatewayRoutes
from chalicelib.domain.local_window import LocalWindow, WindowPolicy
from chalicelib.domain.mailings import Mailing, MailingState
from chalicelib.domain.messages import Attempt, Message, Outcome
from chalicelib.domain.sending_rules import Obstacle
from chalicelib.domain.statuses import MailingStatus, MessageStatus
from chalicelib.gateways.base import Answer, LastLook, Outgoing
from chalicelib.services.at_once import AtOnce
from chalicelib.services.contacts import Contacts
from chalicelib.services.gateway_control import GatewayControlService
from chalicelib.services.gateways import Gateways, Line
from chalicelib.services.sending.batch import Job, Received
from chalicelib.services.sending.calls import Caller, Calls
from chalicelib.services.sending.mailing_cache import MailingCache
from tests.factories import START, MailingFactory, MessageFactory
from tests.support.clocks import FrozenClock

SECOND = timedelta(seconds=1)


@dataclass
class Tables:
    """What a call hangs on, each read of it as slow as is said; what a read answers is as it was when it was asked."""

    clock: FrozenClock
    mailing: Mailing
    takes: Iterable[float]
    rate: int | None = None
    opted_out: bool = False
    read_at: dict[str, datetime] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.takes = iter(cycle(self.takes))

    def _reading(self, what: str) -> None:
        asked_at = self.clock.now()
        self.clock.sleep(next(iter(self.takes)))
        self.read_at[what] = asked_at
        self.reads.append(what)

    def state(self, mailing_id: str) -> MailingState:
        self._reading("mailing")
        return MailingState(self.mailing)

    def read(self) -> GatewayControl:
        self._reading("control")
        return GatewayControl(rate=self.rate)

    def contacts(self, client_ids: Iterable[str], consistent: bool, *, personal: bool) -> dict[str, Contact]:
        assert consistent
        self._reading("client")
        return {client_id: Contact("+79161234567", "UTC", self.opted_out) for client_id in client_ids}


@dataclass
class RecordingGateway:
    """Connects for a while, looks, and says when the call left and how much had been read by then."""

    tables: Tables
    connecting: float
    latency: float
    left: list[tuple[datetime, dict[str, datetime], int]] = field(default_factory=list)

    def send(self, message: Outgoing, last_look: LastLook) -> Answer:
        clock = self.tables.clock
        clock.sleep(self.connecting)
        last_look()
        self.left.append((clock.now(), dict(self.tables.read_at), len(self.tables.reads)))
        clock.sleep(self.latency)
        return Answer(Outcome.ACCEPTED)


def calling(tables: Tables, gateway: RecordingGateway) -> Caller:
    clock: Any = tables.clock
    repository: Any = tables
    control = GatewayControlService(repository, 5, clock, random.Random(1), GatewayPaces())
    gateways = Gateways([Line("", gateway, control)], GatewayRoutes())  # type: ignore[arg-type]
    contacts = Contacts(repository, repository)
    return Caller(Settings.from_environment({}), contacts, MailingCache(repository, AtOnce(), clock), gateways, clock)


def job_for(mailing: Mailing, claimed_at: datetime, turn: datetime | None, paces: frozenset[str]) -> Job:
    message: Message = MessageFactory.build(
        mailing_id=mailing.mailing_id,
        phone_number="+79161234567",
        timezone="UTC",
        status=MessageStatus.SENDING,
        updated_at=claimed_at,
        lease_until=claimed_at + 45 * SECOND,
    )
    return Job(Received("item", "handle", ""), message, mailing, turn, paces)


def made(tables: Tables, gateway: RecordingGateway, jobs: int, rate: int | None) -> list[tuple[Job, Attempt | str]]:
    """So many messages claimed at the start and called one after the other, each in a turn if there is a rate."""
    mailing = tables.mailing
    caller = calling(tables, gateway)
    paces = frozenset({f"mailing-{mailing.mailing_id}@{rate}"} if rate else ())
    calls = Calls(caller, {}, START + 30 * SECOND, (), {})
    results: list[tuple[Job, Attempt | str]] = []
    for number in range(jobs):
        turn = START + (number + 1) * SECOND * 1.1 if rate else None
        job = job_for(mailing, START, turn, paces)
        results.append((job, caller.call(job, calls)))
    return results


def running(**values: Any) -> Mailing:
    mailing: Mailing = MailingFactory.build(status=MailingStatus.RUNNING, launched_at=START, **values)
    return mailing


@given(
    takes=st.lists(st.sampled_from((0.0, 0.01, 0.05, 0.3, 0.7, 0.95, 2.0)), min_size=1, max_size=7),
    connecting=st.sampled_from((0.0, 0.1, 1.5)),
    latency=st.sampled_from((0.02, 0.4, 0.9)),
    rate=st.sampled_from((None, 1)),
    lasts=st.sampled_from((2.0, 5.0, 3600.0)),
)
def test_what_a_call_hangs_on_is_a_second_old_at_most(
    takes: list[float], connecting: float, latency: float, rate: int | None, lasts: float
) -> None:
    """Expects no call with older knowledge of mailing, client or gateway, none after the end, and none out of turn."""
    clock = FrozenClock(START)
    tables = Tables(clock, running(rate_limit=rate, end_at=START + timedelta(seconds=lasts)), takes)
    gateway = RecordingGateway(tables, connecting, latency)
    results = made(tables, gateway, 6, rate)
    turns = [job.not_before for job, answer in results if isinstance(answer, Attempt)]
    assert len(turns) == len(gateway.left)
    for turn, (left_at, read_at, _) in zip(turns, gateway.left, strict=True):
        known = {"client": START} | read_at
        assert {name: left_at - at for name, at in known.items() if left_at - at > SECOND} == {}
        assert left_at < tables.mailing.end_at
        assert turn is None or turn <= left_at <= turn + TOLERANCE


def test_quick_tables_let_everybody_through() -> None:
    """Expects all calls to be made, and mailing, client and gateway each to be read about once a second."""
    tables = Tables(FrozenClock(START), running(), [0.01])
    gateway = RecordingGateway(tables, 0.0, 0.1)
    results = made(tables, gateway, 20, None)
    assert len(gateway.left) == 20
    assert all(isinstance(answer, Attempt) for _, answer in results)
    assert tables.reads.count("mailing") <= 4
    assert tables.reads.count("control") <= 4


def test_clients_who_opted_out_since_the_claim_are_not_called() -> None:
    """Expects the last look to find it, for a turn comes seconds after the claim."""
    tables = Tables(FrozenClock(START), running(rate_limit=1), [0.01], opted_out=True)
    gateway = RecordingGateway(tables, 0.0, 0.1)
    assert [answer for _, answer in made(tables, gateway, 3, 1)] == [Obstacle.CLIENT_UNREACHABLE] * 3
    assert gateway.left == []


@pytest.mark.parametrize("policy", list(WindowPolicy))
def test_clients_with_local_hours_are_not_called_after_them(policy: WindowPolicy) -> None:
    """Expects the calls whose turn comes before the hours end, and none whose turn comes after it."""
    begins, ends = (START - SECOND).time(), (START + timedelta(seconds=2.5)).time()
    mailing = running(rate_limit=1, local_window=LocalWindow(begins, ends, policy))
    gateway = RecordingGateway(Tables(FrozenClock(START), mailing, [0.01]), 0.0, 0.1)
    answers = [answer for _, answer in made(gateway.tables, gateway, 4, 1)]
    assert answers[2:] == [Obstacle.OUTSIDE_LOCAL_WINDOW] * 2
    assert len(gateway.left) == 2


def test_a_turn_is_for_sending_alone() -> None:
    """Expects everything to be read before it, and the client once."""
    tables = Tables(FrozenClock(START), running(rate_limit=1), [0.03])
    gateway = RecordingGateway(tables, 0.0, 0.1)
    results = made(tables, gateway, 5, 1)
    assert len(gateway.left) == 5
    for (job, _), (left_at, _, _) in zip(results, gateway.left, strict=True):
        assert left_at == job.not_before
    assert tables.reads.count("client") <= 5


def test_tables_that_are_too_slow_hold_the_call() -> None:
    """Expects a reason instead of a call when three looks in a row took too long."""
    tables = Tables(FrozenClock(START), running(), [0.4])
    gateway = RecordingGateway(tables, 1.5, 0.1)
    ((_, answer),) = made(tables, gateway, 1, None)
    assert answer is Obstacle.LOOK_TOO_SLOW
    assert gateway.left == []


def test_a_client_is_known_as_of_the_claim() -> None:
    """Expects nobody to be read again whose message was claimed just now."""
    clock = FrozenClock(START)
    tables = Tables(clock, running(), [0.01])
    gateway = RecordingGateway(tables, 0.0, 0.1)
    caller = calling(tables, gateway)
    calls = Calls(caller, deque(), START + 30 * SECOND, (), {})
    job = job_for(tables.mailing, START, None, frozenset())
    assert isinstance(caller.call(job, calls), Attempt)
    assert "client" not in tables.reads
    later = replace(job, message=replace(job.message, updated_at=START - SECOND))
    assert isinstance(caller.call(later, Calls(caller, deque(), START + 30 * SECOND, (), {})), Attempt)
    assert tables.reads.count("client") == 1


@dataclass
class StuckGateway:
    """Answers nothing until it is let go; `at_once` is how many calls it had at the same time at most."""

    released: threading.Event
    lock: threading.Lock = field(default_factory=threading.Lock)
    under_way: int = 0
    at_once: int = 0

    def send(self, message: Outgoing, last_look: LastLook) -> Answer:
        del message
        last_look()
        with self.lock:
            self.under_way += 1
            self.at_once = max(self.at_once, self.under_way)
        self.released.wait()
        with self.lock:
            self.under_way -= 1
        return Answer(Outcome.ACCEPTED)


def test_a_gateway_that_answers_slowly_takes_no_thread_of_another() -> None:
    """Expects the messages of the other to be sent first, though they come last and there are more of the slow one."""
    tables = Tables(FrozenClock(START), running(), [0.0])
    stuck, quick = StuckGateway(threading.Event()), RecordingGateway(tables, 0.0, 0.0)
    repository: Any = tables
    clock: Any = tables.clock
    control = GatewayControlService(repository, 5, clock, random.Random(1), GatewayPaces())
    lines = [Line("slow", stuck, control, 2), Line("quick", quick, control)]  # type: ignore[arg-type]
    settings = Settings.from_environment({"GATEWAY_CONCURRENCY": "3"})
    contacts = Contacts(repository, repository)
    mailing_cache = MailingCache(repository, AtOnce(), clock)
    caller = Caller(settings, contacts, mailing_cache, Gateways(lines, GatewayRoutes()), clock)
    jobs = [job_for(tables.mailing, START, None, frozenset()) for _ in range(8)]
    for job, name in zip(jobs, ["slow"] * 6 + ["quick"] * 2, strict=True):
        job.gateway = name
    calls = caller.start(jobs, START + 30 * SECOND, probe=())
    first = [calls.next(60) for _ in range(2)]
    stuck.released.set()
    rest = [calls.next(60) for _ in range(6)]
    assert [one and one[0].gateway for one in first + rest] == ["quick"] * 2 + ["slow"] * 6
    assert stuck.at_once <= 2
