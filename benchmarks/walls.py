"""`make bench PARTS=walls`: how far the service goes with many mailings at once, on a simulated clock.

The code is the real one, with as many workers as the template allows. Each call of AWS takes 10 ms of virtual time, and
the tables take what a new on-demand table takes (`tests/support/table_limits.py`). CPU time is not in it.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ministack.services import dynamodb as engine

from benchmarks.figures import table
from benchmarks.mailing import AWS_SECONDS, WORKERS, new_clients
from benchmarks.progress import say
from chalicelib.domain.client_ids import SHARDS, shard_of
from chalicelib.domain.mailings import Mailing, ShardProgress
from chalicelib.domain.messages import Message
from chalicelib.domain.statuses import MailingStatus, MessageStatus
from infra.local import ministack_patches
from tests.support.aws import Call
from tests.support.capacity import Capacity
from tests.support.world import World, new_world

MANY = 20_000
DISPATCHERS = 20
_OF_LAMBDA = ("sqs.ReceiveMessage", "sqs.DeleteMessageBatch")  # which takes the time of no function


@contextmanager
def a_world(**options: Any) -> Iterator[tuple[World, list[Callable[[Call], None]]]]:
    """A service whose calls take their time, and who is to be told of each of them."""
    ministack_patches.install(queues=False)
    watchers: list[Callable[[Call], None]] = []
    workers = options.pop("workers_of", WORKERS | {"dispatcher": DISPATCHERS})
    with new_world(seed=1, workers_of=workers, sender_batch=None, threads=True, **options) as world:

        def before(call: Call) -> None:
            for watcher in watchers:
                watcher(call)
            if world.scheduler.current and call.operation not in _OF_LAMBDA:
                world.clock.sleep(AWS_SECONDS)

        world.add_clients(1)
        world.limits.spared = lambda: world.scheduler.current is None
        world.limits.limit(Capacity())
        world.aws.before = before
        yield world, watchers


def running(world: World, count: int, **fields: Any) -> list[str]:
    """So many mailings that run, of each of which nothing is to be done: copies of one in the emulator's own tables."""
    one: Mailing = world.create_mailing(lasts=7 * 86_400, **fields)
    now = world.clock.now()
    launched = replace(one.moved_to(MailingStatus.RUNNING, now), launched_at=now)
    world.services.mailings._mailings.launch(one, launched)
    items = engine._tables[world.settings.mailings_table]
    parts = dict(items["items"][one.mailing_id])
    for part, item in parts.items():
        if part.startswith("SHARD#"):
            engine._set_item(items, one.mailing_id, part, _as_fed(item))
    parts = dict(items["items"][one.mailing_id])
    ids = [one.mailing_id]
    for number in range(1, count):
        mailing_id = f"{one.mailing_id[:18]}{number:08d}"
        for part, item in parts.items():
            engine._set_item(items, mailing_id, part, copy.copy(item) | {"mailing_id": {"S": mailing_id}})
        ids.append(mailing_id)
    world.bodies(world.settings.dispatch_queue)
    return ids


def _as_fed(item: dict[str, Any]) -> dict[str, Any]:
    """A shard all of whose rows, ten of them, are waiting, so that somebody has to know until when."""
    counts = {"rows": {"N": "10"}, "waiting": {"N": "10"}}
    return item | {"expanded": {"BOOL": True}, "fed": {"BOOL": True}} | counts


def checks(count: int, minutes: int = 3) -> dict[str, float]:
    """How long running mailings go without being looked at, in seconds, and how long a round of all takes."""
    say(f"{count:,} running mailings that wait for their hours")
    with a_world(workers_of={"tick": 1, "dispatcher": DISPATCHERS}) as (world, watchers):
        known = set(running(world, count))
        looks: dict[str, list[datetime]] = defaultdict(list)

        def note(call: Call) -> None:
            if call.operation == "dynamodb.Query" and b"-mailings" in call.body and b"IndexName" not in call.body:
                values = json.loads(call.body)["ExpressionAttributeValues"].values()
                looks_at = {value.get("S", "") for value in values} & known
                for mailing_id in looks_at:
                    looks[mailing_id].append(world.clock.now())

        watchers.append(note)
        began = world.clock.now()
        world.run_for(60 * minutes)
        gaps = []
        for mailing_id in known:
            moments = [began, *looks[mailing_id], world.clock.now()]
            gaps.append(max(later - one for one, later in itertools.pairwise(moments)))
        first = max((looks[one][0] for one in known if looks[one]), default=began) - began
        return {
            "mailings": count,
            "never": sum(not looks[one] for one in known),
            "first_round_s": first / timedelta(seconds=1),
            "longest_gap_s": max(gaps) / timedelta(seconds=1),
        }


def feeding(idle: int, clients: int = 20_000, mailings: int = 1) -> dict[str, float]:
    """How many messages a second get their hints, beside mailings that have nothing to feed now.

    Senders that take them as fast as they come are the test itself: it empties the send queue.
    """
    say(f"feeding {clients:,} messages of {mailings} beside {idle:,} idle mailings")
    with a_world(workers_of={}, queue_high_water=1000) as (world, watchers):
        world.limits.limit(None)
        if idle:
            running(world, idle)
        fed, began = 0, world.clock.now()
        first: datetime | None = None

        def note(call: Call) -> None:
            nonlocal fed, first
            if call.operation == "sqs.SendMessageBatch" and b"client_ids" in call.body:
                bodies = [json.loads(entry["MessageBody"]) for entry in json.loads(call.body)["Entries"]]
                first = first or world.clock.now()
                fed += sum(len(body["client_ids"]) for body in bodies)

        for _ in range(mailings):
            _add_expanded(world, clients // mailings)
        watchers.append(note)
        queue = world.queue(world.settings.send_queue)
        world.services.feeder.ensure()  # for all that run, as when the circuit was closed
        world.workers.start({"dispatcher": 2})
        limit = began + timedelta(seconds=600)

        def done() -> bool:
            queue.clear()
            return fed >= clients

        world.scheduler.run_until(limit, done, check=50)
        first = first or world.clock.now()
        took = (world.clock.now() - first) / timedelta(seconds=1)
        until_first = (first - began) / timedelta(seconds=1)
        return {"idle": idle, "mailings": mailings, "first_s": until_first, "per_second": round(fed / took)}


def _add_expanded(world: World, count: int) -> None:
    """A running mailing whose rows are all in the ledger, and none of them has a hint."""
    one = world.create_mailing(lasts=7 * 86_400)
    now = world.clock.now()
    launched = replace(one.moved_to(MailingStatus.RUNNING, now), launched_at=now)
    mailings, ledger = world.services.mailings._mailings, world.services.messages._ledger
    mailings.launch(one, launched)
    rows: Counter[str] = Counter()
    for start in range(0, count, 1000):
        some = itertools.islice(new_clients(count, now), start, min(count, start + 1000))
        messages = [
            Message(
                mailing_id=one.mailing_id,
                client_id=client.client_id,
                phone_number=client.phone_number,
                timezone="UTC",
                status=MessageStatus.QUEUED,
                revision=1,
                created_at=now,
                updated_at=now,
            )
            for client in some
        ]
        ledger.insert(messages)
        rows.update(shard_of(message.client_id) for message in messages)
    for name in SHARDS:
        shard = ShardProgress(name)
        mailings.acquire(one.mailing_id, shard, "test", now, now + timedelta(minutes=1))
        held = replace(shard, owner="test")
        mailings.advance(one.mailing_id, held, replace(held, expanded=True, rows=rows[name]), now, Counter())
    world.bodies(world.settings.dispatch_queue)


def report(found: dict[str, dict[str, float]]) -> str:
    """A table with a line for each measure."""
    rows = [(name, ", ".join(f"{key} {value:g}" for key, value in one.items())) for name, one in found.items()]
    return table(("measure", "what came of it"), rows)
