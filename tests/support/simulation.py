"""A simulation: a whole service on a virtual clock: the real app, its event-source runner and a scripted gateway."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import time_machine
from ministack.services import dynamodb as emulated_dynamodb
from ministack.services import sqs as emulated_sqs

from app import app
from chalicelib.aws_clients import aws_client
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.domain.clients import Client, ClientFields
from chalicelib.domain.gateway_routes import GatewayRoutes, Route
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import Message, MessageKey, gateway_id_for, message_id_for
from chalicelib.domain.segments import Segment
from chalicelib.gateways.base import Capabilities, Gateway
from chalicelib.services.mailing_fields import MailingFields
from chalicelib.storage.bucket_rows import Place, bucket_of_item
from chalicelib.storage.older_attempts import is_bucket, together
from chalicelib.storage.tables import Tables, bind
from infra.local.event_sources import EventSourceRunner
from infra.provision import provision
from tests.support.aws import Call, InProcessAws
from tests.support.client_ids import new_client_with_id
from tests.support.environments import TIMEOUTS, Environments
from tests.support.kept_state import set_up
from tests.support.scheduler import Crash, Scheduler, VirtualClock
from tests.support.scripted_gateway import ScriptedGateway, beside
from tests.support.table_limits import TableLimits
from tests.support.threads import InlineExecutor, TurnLock

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Simulation:
    """The service, and what a test can do with it."""

    aws: InProcessAws
    clock: VirtualClock
    settings: Settings
    gateway: ScriptedGateway
    services: Services | None
    runner: EventSourceRunner
    scheduler: Scheduler
    sqs: Any
    limits: TableLimits
    workers: Environments | None = None
    other: ScriptedGateway | None = None  # the second gateway, if there are two

    @property
    def several(self) -> tuple[dict[str, Gateway], GatewayRoutes] | None:
        """The gateways and their routes, if there are two: each gets half of all messages."""
        if self.other is None:
            return None
        both: dict[str, Gateway] = {"": self.gateway, self.other.name: self.other}
        return both, GatewayRoutes.of([Route("", tuple((name, 1) for name in both))])

    def add_clients(
        self, count: int, *, tag: str = "vip", further: tuple[str, ...] = (), operator: str = "916", **fields: Any
    ) -> list[Client]:
        """Put so many clients of a tag, who may have further ones, into the directory."""
        clients = [
            new_client_with_id(
                ClientFields(
                    phone_number=f"+7{operator}{abs(hash_of(tag)) % 1000:03d}{number:04d}",
                    operator=operator,
                    tags=(tag, *further) if tag else (),
                    **fields,
                ),
                self.clock.now(),
            )
            for number in range(count)
        ]
        self.services.clients._clients.upsert(clients)
        return clients

    def create_mailing(
        self,
        *,
        starts_in: float = 0,
        lasts: float = 3600,
        tag: str = "vip",
        text: str = "Hello",
        segment: Segment | None = None,
        **fields: Any,
    ) -> Mailing:
        """Order a mailing to a tag, or to another segment; seconds from now."""
        start = self.clock.now() + timedelta(seconds=starts_in)
        window = {"start_at": start, "end_at": start + timedelta(seconds=lasts)}
        return self.services.mailings.create(
            MailingFields(text, segment or Segment((tag,)), **window, **fields), "tester"
        )

    def run_for(self, seconds: float) -> None:
        """Let the workers work while so much time passes."""
        self.scheduler.run_until(self.clock.now() + timedelta(seconds=seconds))

    def run_quietly_for(self, seconds: float) -> None:
        """Let time pass in which there is nothing to do: ticks are rare until shortly before its end."""
        assert self.workers is not None
        each_minute, self.workers.tick_after = self.workers.tick_after, QUIET_TICK
        self.run_for(max(0, seconds - QUIET_TICK - 60))
        self.workers.tick_after = each_minute
        self.run_for(min(seconds, QUIET_TICK + 60))

    def run_until_finished(self, mailing: Mailing, limit: float = 3600) -> None:
        """Let the workers work until a mailing is finished; fails after so many seconds of virtual time."""
        until = self.clock.now() + timedelta(seconds=limit)
        finished = self.scheduler.run_until(until, lambda: self.status(mailing) == "finished", check=50)
        assert finished, f"not finished: {self.status(mailing)} {self.counts(mailing)}"

    def status(self, mailing: Mailing) -> str:
        return str(self.services.mailings.get(mailing.mailing_id).status)

    def set_rate(self, mailing: Mailing, rate: int | None) -> None:
        """Change the rate of a mailing."""
        self.services.mailings.revise(mailing.mailing_id, lambda old: replace(MailingFields.of(old), rate_limit=rate))

    def counts(self, mailing: Mailing) -> dict[str, int]:
        """The counts of a mailing without those that are zero."""
        counts = self.services.mailings.state(mailing.mailing_id).statistics.counts()
        return {status: count for status, count in counts.items() if count}

    def rows(self, mailing: Mailing) -> list[Message]:
        """The ledger of a mailing."""
        rows, cursor = self.services.messages.list(mailing.mailing_id, None, "", 1000)
        assert not cursor
        return rows

    def ledger_items(self) -> list[dict[str, Any]]:
        """Every item of the ledger, directly from the emulator's memory."""
        table = emulated_dynamodb._tables[self.settings.ledger_table]
        return [item for shard in table["items"].values() for item in shard.values()]

    def ledger_rows(self) -> dict[MessageKey, Message]:
        """Every message, by mailing and client, without asking the emulator."""
        items = {Place.of(item): item for item in self.ledger_items()}
        buckets = [together(bucket_of_item(item), items) for item in items.values() if is_bucket(item)]
        return {message.key: message for bucket in buckets for message in bucket.messages.values()}

    def ledger_now(self) -> dict[MessageKey, str]:
        """The status of every message, by mailing and client."""
        return {key: str(message.status) for key, message in self.ledger_rows().items()}

    def opt_out(self, client: Client) -> None:
        """Let a client opt out."""
        fields = replace(client.fields, opted_out=True)
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

    def set_clock_back(self, span: timedelta) -> None:
        """Set the clock of all workers back; the queues have another clock, which continues."""
        self.clock.set_back(span)
        for queue in emulated_sqs._queues.values():
            for message in queue["messages"]:
                for name in ("visible_at", "sent_at", "first_receive_at"):
                    message[name] = message[name] and message[name] - span.total_seconds()

    def crash_dispatcher(self, number: int) -> None:
        """Kill the dispatcher that has made a transaction with this number, counted from 1, of those of all of them."""
        usual, transactions = self.aws.after, 0

        def crash(call: Call) -> None:
            nonlocal transactions
            task = self.scheduler.current
            if task and task.name.startswith("dispatcher") and call.operation.endswith("TransactWriteItems"):
                transactions += 1
                if transactions == number:
                    raise Crash
            usual(call)

        self.aws.after = crash

    @contextmanager
    def killed_at(self, cut: int) -> Iterator[list[object]]:
        """Kill what is done meanwhile at its AWS call with this number, counted from 1, if it makes so many.

        Yields the calls, that one among them.
        """
        calls: list[object] = []

        def crash(call: object) -> None:
            calls.append(call)
            if len(calls) == cut:
                raise Crash

        before, self.aws.before = self.aws.before, crash
        try:
            with suppress(Crash):
                yield calls
        finally:
            self.aws.before = before

    def bodies(self, queue: str) -> list[str]:
        """Take all messages from a queue."""
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


@lru_cache(maxsize=1)
def _connections(prefix: str) -> tuple[dict[str, Any], Tables]:
    """Clients and models, which take a second to make and know nothing of the simulation they are used in."""
    clients = {"dynamodb": aws_client("dynamodb"), "sqs": aws_client("sqs")}
    return clients, bind(Settings(resource_prefix=prefix), clients["dynamodb"])


QUIET_TICK = 900  # seconds between ticks
DEFAULT_WORKERS = {"tick": 1, "dispatcher": 3, "sender": 2}


@contextmanager
def new_simulation(
    seed: int = 1,
    workers_of: dict[str, int] | None = None,
    aws: InProcessAws | None = None,
    *,
    sender_batch: int | None = 2,
    threads: bool = False,
    killed_in_time: bool = False,
    several: bool = False,
    **settings: Any,
) -> Iterator[Simulation]:
    """An empty service at 9:00 on a Monday.

    `sender_batch` is how many hints a sender takes: few, so that several senders meet in a small mailing; None for as
    many as the app takes. With `several` there is a second gateway, `other`. For `threads` and `killed_in_time` see
    Environments.
    """
    aws = aws or InProcessAws()
    with time_machine.travel(START, tick=False) as traveller, aws.installed():
        recognises, can_be_asked = settings.pop("gateway_recognises_ids", True), settings.pop("can_be_asked", False)
        receipts = bool(settings.get("gateway_receipts"))
        says = Capabilities(recognises, settings.pop("counts_parts", False), can_be_asked, receipts)
        configured = Settings(**settings)
        clock = VirtualClock(traveller, START)
        scheduler = Scheduler(clock, random.Random(seed))
        clock.scheduler = scheduler
        aws.before = lambda call: scheduler.io_point()
        aws.wait = clock.sleep
        aws.rng = random.Random(seed)
        aws.caller = lambda: scheduler.current.name if scheduler.current else ""
        aws.queues_changed = scheduler.wake_idle
        limits = TableLimits(aws._handle, clock.now, clock.sleep, random.Random(seed))
        aws._handle = limits.handle  # type: ignore[method-assign]
        timeouts = configured.gateway_connect_timeout, configured.gateway_read_timeout
        gateway = ScriptedGateway(clock, connect_limit=timeouts[0], read_limit=timeouts[1], capabilities=says)
        clients, tables = _connections(configured.resource_prefix)
        set_up(
            ("simulation", configured.resource_prefix),
            lambda: provision(configured, clients["dynamodb"], clients["sqs"]),
        )
        runner = EventSourceRunner(app, clients["sqs"], clock, timeouts=TIMEOUTS, max_window=0)
        for source in runner.sources.values():
            source.receiving = TurnLock(scheduler)
        if sender_batch:
            runner.sources["sender"].batch_size = sender_batch
        simulation = Simulation(aws, clock, configured, gateway, None, runner, scheduler, clients["sqs"], limits)
        simulation.other = beside(gateway, "other") if several else None
        crew = Environments(simulation, tables, clients, seed, threads, killed_in_time)
        simulation.services = crew.build(clock, random.Random(seed), InlineExecutor())
        simulation.workers = crew
        crew.start(DEFAULT_WORKERS if workers_of is None else workers_of)
        with crew.installed(), limits.installed():
            try:
                yield simulation
            finally:
                scheduler.stop()
