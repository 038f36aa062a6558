"""A whole service on a virtual clock: the real app, services and event-source runner, a scripted gateway."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from unittest import mock

import time_machine
from botocore.exceptions import BotoCoreError
from ministack.services import dynamodb as emulated_dynamodb
from ministack.services import sqs as emulated_sqs

from app import app
from chalicelib import workers
from chalicelib.aws_clients import aws_client
from chalicelib.bootstrap import Services, build
from chalicelib.clock import SystemClock
from chalicelib.config import Settings
from chalicelib.domain.clients import Client, masked_phone, new_client
from chalicelib.domain.mailings import Mailing, Segment
from chalicelib.domain.messages import Message, Outcome, gateway_id_for, message_id_for
from chalicelib.gateways.base import Answer
from chalicelib.services.clients import ClientFields
from chalicelib.services.mailing_fields import MailingFields
from chalicelib.storage.models import Tables, bind
from infra.local.event_sources import EventSourceRunner
from infra.provision import provision
from tests.support.aws import InProcessAws
from tests.support.scheduler import Scheduler, SkewedClock, TurnLock, VirtualClock

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TIMEOUTS = {"tick": 60.0, "report": 60.0, "dispatcher": 120.0, "sender": 30.0}


@dataclass(frozen=True, slots=True)
class GatewayCall:
    """One call that reached the gateway."""

    at: datetime
    gateway_id: int
    phone_number: str
    text: str
    outcome: Outcome


@dataclass
class ScriptedGateway:
    """Answers as the test says, and keeps its own log: what it accepted is what clients got."""

    clock: VirtualClock
    script: Callable[[int, int], Answer] = lambda gateway_id, nth: Answer(Outcome.ACCEPTED)
    latency: timedelta = timedelta(milliseconds=20)
    log: list[GatewayCall] = field(default_factory=list)
    # Ids that were called while another call for them was still going on: two senders at once.
    overlaps: list[int] = field(default_factory=list)
    _calls: Counter[int] = field(default_factory=Counter)
    _ongoing: set[int] = field(default_factory=set)

    def send(self, gateway_id: int, phone_number: str, text: str) -> Answer:
        self._calls[gateway_id] += 1
        answer = self.script(gateway_id, self._calls[gateway_id])
        self.log.append(GatewayCall(self.clock.now(), gateway_id, phone_number, text, answer.outcome))
        if gateway_id in self._ongoing:
            self.overlaps.append(gateway_id)
        self._ongoing.add(gateway_id)
        try:
            self.clock.sleep(self.latency.total_seconds())
        finally:
            self._ongoing.discard(gateway_id)
        return answer

    def shown_request(self, gateway_id: int, phone_number: str, text: str) -> str:
        return f"scripted {gateway_id} {masked_phone(phone_number)} {text}"

    def calls(self) -> Counter[int]:
        """How often each id was called."""
        return Counter(call.gateway_id for call in self.log)

    def accepted(self) -> Counter[int]:
        """How often each id was accepted."""
        return Counter(call.gateway_id for call in self.log if call.outcome is Outcome.ACCEPTED)


class InlineExecutor(Executor):
    """Runs what is submitted at once, in the same thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass
class World:
    """The service, and the levers that a test has."""

    aws: InProcessAws
    clock: VirtualClock
    settings: Settings
    gateway: ScriptedGateway
    services: Services | None
    runner: EventSourceRunner
    scheduler: Scheduler
    sqs: Any
    workers: Workers | None = None

    def add_clients(self, count: int, *, tag: str = "vip", operator: str = "916", **fields: Any) -> list[Client]:
        """Put so many clients of a tag into the directory."""
        values = {"timezone": "UTC", "opted_out": False, **fields}
        clients = [
            new_client(
                phone_number=f"+7{operator}{abs(hash_of(tag)) % 1000:03d}{number:04d}",
                operator=operator,
                tag=tag,
                now=self.clock.now(),
                **values,
            )
            for number in range(count)
        ]
        self.services.clients._clients.upsert(clients)
        return clients

    def create_mailing(
        self, *, starts_in: float = 0, lasts: float = 3600, tag: str = "vip", text: str = "Hello", **fields: Any
    ) -> Mailing:
        """Order a mailing to a tag; seconds from now."""
        start = self.clock.now() + timedelta(seconds=starts_in)
        window = {"start_at": start, "end_at": start + timedelta(seconds=lasts)}
        return self.services.mailings.create(MailingFields(text, Segment((tag,)), **window, **fields), "tester")

    def run_for(self, seconds: float) -> None:
        """Let the workers work while so much time passes."""
        self.scheduler.run_until(self.clock.now() + timedelta(seconds=seconds))

    def run_until_finished(self, mailing: Mailing, limit: float = 3600) -> None:
        """Let the workers work until a mailing is finished; fails after so many seconds of virtual time."""
        until = self.clock.now() + timedelta(seconds=limit)
        finished = self.scheduler.run_until(until, lambda: self.status(mailing) == "finished", check=50)
        assert finished, f"not finished: {self.status(mailing)} {self.counts(mailing)}"

    def status(self, mailing: Mailing) -> str:
        return str(self.services.mailings.get(mailing.mailing_id).status)

    def counts(self, mailing: Mailing) -> dict[str, int]:
        """The counts of a mailing without those that are zero."""
        counts = self.services.mailings.state(mailing.mailing_id).statistics.counts()
        return {status: count for status, count in counts.items() if count}

    def rows(self, mailing: Mailing) -> list[Message]:
        """The ledger of a mailing."""
        rows, cursor = self.services.messages.list(mailing.mailing_id, None, "", 1000)
        assert not cursor
        return rows

    def ledger_now(self) -> dict[tuple[str, str], str]:
        """The status of every message, by mailing and client, as the emulator holds it: nothing is asked of it."""
        table = emulated_dynamodb._tables[self.settings.messages_table]
        rows = [row for shard in table["items"].values() for row in shard.values()]
        return {(row["ledger_key"]["S"].partition("#")[0], row["client_id"]["S"]): row["status"]["S"] for row in rows}

    def opt_out(self, client: Client) -> None:
        """Let a client opt out."""
        fields = ClientFields(client.phone_number, client.operator, client.tag, client.timezone, opted_out=True)
        self.services.clients.change(client.client_id, fields)

    def everybody(self) -> list[Client]:
        """All clients of a small directory."""
        clients, cursor = self.services.clients.list(Segment(), "", 1000)
        assert not cursor
        return clients

    def gateway_id(self, mailing: Mailing, client: Client) -> int:
        return gateway_id_for(message_id_for(mailing.mailing_id, client.client_id))

    def queue(self, name: str) -> list[dict[str, Any]]:
        """The messages of a queue as the emulator holds them; they may be removed, copied and put in another order."""
        (queue,) = (queue for queue in emulated_sqs._queues.values() if queue["name"] == name)
        messages: list[dict[str, Any]] = queue["messages"]
        return messages

    def bodies(self, queue: str) -> list[str]:
        """What is on a queue, taken from it."""
        url = self.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        found: list[str] = []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            found += [message["Body"] for message in messages]
            for message in messages:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found


def hash_of(text: str) -> int:
    """A number for a text, the same in every run."""
    return sum((place + 1) * ord(letter) for place, letter in enumerate(text))


class Crash(BaseException):
    """A worker that stops where it is: killed, out of memory, out of time."""


@dataclass
class Workers:
    """The execution environments of the functions. Each has services of its own, made anew after a crash."""

    world: World
    tables: Tables
    clients: dict[str, Any]
    seed: int
    skew: Callable[[random.Random], timedelta] = lambda rng: timedelta(0)
    services: dict[str, Services] = field(default_factory=dict)
    crashes: int = 0
    tick_after: float = 0.001  # seconds between ticks at least; more lets days pass quickly

    def start(self, counts: dict[str, int]) -> None:
        """Start so many environments of each function."""
        for name, count in counts.items():
            for number in range(count):
                work = self._keep_time if name == "tick" else lambda name=name: self._poll(name)
                self.world.scheduler.spawn(f"{name}-{number}", lambda work=work: self._live(work))

    def _live(self, work: Callable[[], None]) -> None:
        while True:
            try:
                work()
            except Crash:
                self.crashes += 1
                task = self.world.scheduler.current
                assert task is not None
                self.services.pop(task.name, None)

    def _keep_time(self) -> None:
        runner, clock = self.world.runner, self.world.clock
        runner.fire_due_schedules()
        following = min(schedule.next_at for schedule in runner.schedules.values() if schedule.next_at)
        clock.sleep(max(self.tick_after, (following - clock.now()).total_seconds()))

    def _poll(self, name: str) -> None:
        """Poll a queue once it has something to give, as long polling would, without turns for looking in vain."""
        queue = self.world.runner.sources[name].queue
        now = self.world.clock.now()
        visible_at = min((message["visible_at"] for message in self.world.queue(queue)), default=None)
        if visible_at is None:
            self.world.scheduler.idle_until(now + timedelta(days=30))
        elif visible_at > now.timestamp():
            wait = timedelta(seconds=visible_at - now.timestamp())
            self.world.scheduler.idle_until(now + max(timedelta(milliseconds=1), wait))
        else:
            try:
                self.world.runner.poll(name)
            except BotoCoreError:  # the queue did not answer four times; infra/local/driver.py waits, too
                self.world.clock.sleep(0.2)

    def current(self) -> Services:
        """The services of the environment that runs."""
        task = self.world.scheduler.current
        assert task is not None
        if task.name not in self.services:
            rng = random.Random(f"{self.seed} {task.name} {self.crashes}")
            clock: SystemClock = SkewedClock(self.world.clock, self.skew(rng))
            self.services[task.name] = self.build(clock, rng)
        return self.services[task.name]

    def build(self, clock: SystemClock, rng: random.Random) -> Services:
        return build(
            self.world.settings,
            clock=clock,
            rng=rng,
            gateway=self.world.gateway,
            executor=InlineExecutor(),
            tables=self.tables,
            **self.clients,
        )


@lru_cache(maxsize=1)
def _connections(prefix: str) -> tuple[dict[str, Any], Tables]:
    """Clients and models, which take a second to make and know nothing of the world they are used in."""
    clients = {"dynamodb": aws_client("dynamodb"), "sqs": aws_client("sqs")}
    return clients, bind(Settings(resource_prefix=prefix), clients["dynamodb"])


DEFAULT_WORKERS = {"tick": 1, "dispatcher": 3, "sender": 2}


@contextmanager
def new_world(
    seed: int = 1,
    workers_of: dict[str, int] | None = None,
    aws: InProcessAws | None = None,
    *,
    sender_batch: int | None = 2,
    **settings: Any,
) -> Iterator[World]:
    """An empty service at 9:00 on a Monday.

    `sender_batch` is how many hints a sender takes: few, so that several senders meet in a small mailing; None for as
    many as the app takes.
    """
    aws = aws or InProcessAws()
    with time_machine.travel(START, tick=False) as traveller, aws.installed():
        configured = Settings(gateway_url="sandbox:", **settings)
        clock = VirtualClock(traveller, START)
        scheduler = Scheduler(clock, random.Random(seed))
        clock.scheduler = scheduler
        aws.before = lambda call: scheduler.io_point()
        aws.queues_changed = scheduler.wake_idle
        gateway = ScriptedGateway(clock)
        clients, tables = _connections(configured.resource_prefix)
        provision(configured, clients["dynamodb"], clients["sqs"])
        runner = EventSourceRunner(app, clients["sqs"], clock, timeouts=TIMEOUTS, max_window=0)
        for source in runner.sources.values():
            source.receiving = TurnLock(scheduler)
        if sender_batch:
            runner.sources["sender"].batch_size = sender_batch
        world = World(aws, clock, configured, gateway, None, runner, scheduler, clients["sqs"])
        crew = Workers(world, tables, clients, seed)
        world.services = crew.build(clock, random.Random(seed))
        world.workers = crew
        crew.start(workers_of or DEFAULT_WORKERS)
        with mock.patch.object(workers, "get_services", crew.current):
            try:
                yield world
            finally:
                scheduler.stop()
