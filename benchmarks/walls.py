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
from chalicelib.domain.buckets import Division
from chalicelib.domain.mailings import Mailing, ShardProgress
from chalicelib.domain.messages import Message
from chalicelib.domain.statuses import MailingStatus, MessageStatus
from infra.local import ministack_patches
from tests.support.aws import Call
from tests.support.capacity import Capacity
from tests.support.simulation import Simulation, new_simulation

MANY = 20_000
DISPATCHERS = 20
_OF_LAMBDA = ("sqs.ReceiveMessage", "sqs.DeleteMessageBatch")  # which takes the time of no function


@contextmanager
def a_simulation(**options: Any) -> Iterator[tuple[Simulation, list[Callable[[Call], None]]]]:
    """A service whose calls take time, and a list of functions that are told of each of them."""
    ministack_patches.install(queues=False)
    watchers: list[Callable[[Call], None]] = []
    workers = options.pop("workers_of", WORKERS | {"dispatcher": DISPATCHERS})
    with new_simulation(seed=1, workers_of=workers, sender_batch=None, threads=True, **options) as simulation:

        def before(call: Call) -> None:
            for watcher in watchers:
                watcher(call)
            if simulation.scheduler.current and call.operation not in _OF_LAMBDA:
                simulation.clock.sleep(AWS_SECONDS)

        simulation.add_clients(1)
        simulation.limits.spared = lambda: simulation.scheduler.current is None
        simulation.limits.limit(Capacity())
        simulation.aws.before = before
        yield simulation, watchers


def running(simulation: Simulation, count: int, **fields: Any) -> list[str]:
    """Create running mailings without anything to do, as copies of one in the emulator's own tables."""
    one: Mailing = simulation.create_mailing(lasts=7 * 86_400, **fields)
    now = simulation.clock.now()
    launched = replace(one.moved_to(MailingStatus.RUNNING, now), launched_at=now)
    simulation.services.mailings._mailings.launch(one, launched)
    items = engine._tables[simulation.settings.mailings_table]
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
    simulation.bodies(simulation.settings.dispatch_queue)
    return ids


def _as_fed(item: dict[str, Any]) -> dict[str, Any]:
    """A shard whose ten rows are all waiting, so that their due times matter."""
    counts = {"rows": {"N": "10"}, "waiting": {"N": "10"}}
    return item | {"expanded": {"BOOL": True}, "fed": {"BOOL": True}} | counts


def checks(count: int, minutes: int = 3) -> dict[str, float]:
    """How long running mailings are not checked, in seconds, and how long a round of all takes."""
    say(f"{count:,} running mailings that wait for their hours")
    with a_simulation(workers_of={"tick": 1, "dispatcher": DISPATCHERS}) as (simulation, watchers):
        known = set(running(simulation, count))
        looks: dict[str, list[datetime]] = defaultdict(list)

        def note(call: Call) -> None:
            if call.operation == "dynamodb.Query" and b"-mailings" in call.body and b"IndexName" not in call.body:
                values = json.loads(call.body)["ExpressionAttributeValues"].values()
                looks_at = {value.get("S", "") for value in values} & known
                for mailing_id in looks_at:
                    looks[mailing_id].append(simulation.clock.now())

        watchers.append(note)
        began = simulation.clock.now()
        simulation.run_for(60 * minutes)
        gaps = []
        for mailing_id in known:
            moments = [began, *looks[mailing_id], simulation.clock.now()]
            gaps.append(max(later - one for one, later in itertools.pairwise(moments)))
        first = max((looks[one][0] for one in known if looks[one]), default=began) - began
        return {
            "mailings": count,
            "never": sum(not looks[one] for one in known),
            "first_round_s": first / timedelta(seconds=1),
            "longest_gap_s": max(gaps) / timedelta(seconds=1),
        }


def feeding(idle: int, clients: int = 20_000, mailings: int = 1) -> dict[str, float]:
    """How many messages a second get hints, beside mailings that have nothing to feed now.

    Senders that take them as fast as they come are the test itself: it empties the send queue.
    """
    say(f"feeding {clients:,} messages of {mailings} beside {idle:,} idle mailings")
    with a_simulation(workers_of={}, queue_high_water=1000) as (simulation, watchers):
        simulation.limits.limit(None)
        if idle:
            running(simulation, idle)
        fed, began = 0, simulation.clock.now()
        first: datetime | None = None

        def note(call: Call) -> None:
            nonlocal fed, first
            if call.operation == "sqs.SendMessageBatch" and b"client_ids" in call.body:
                bodies = [json.loads(entry["MessageBody"]) for entry in json.loads(call.body)["Entries"]]
                first = first or simulation.clock.now()
                fed += sum(len(body["client_ids"]) for body in bodies)

        for _ in range(mailings):
            _add_expanded(simulation, clients // mailings)
        watchers.append(note)
        queue = simulation.queue(simulation.settings.send_queue)
        simulation.services.feeder.ensure()  # for all that run, as when the circuit was closed
        simulation.workers.start({"dispatcher": 2})
        limit = began + timedelta(seconds=600)

        def done() -> bool:
            queue.clear()
            return fed >= clients

        simulation.scheduler.run_until(limit, done, check=50)
        first = first or simulation.clock.now()
        took = (simulation.clock.now() - first) / timedelta(seconds=1)
        until_first = (first - began) / timedelta(seconds=1)
        return {"idle": idle, "mailings": mailings, "first_s": until_first, "per_second": round(fed / took)}


def _add_expanded(simulation: Simulation, count: int) -> None:
    """A running mailing whose rows are all in the ledger, and none of them has a hint."""
    one = simulation.create_mailing(lasts=7 * 86_400)
    now, division = simulation.clock.now(), Division.among(count)
    launched = replace(one.moved_to(MailingStatus.RUNNING, now), launched_at=now, division=division)
    mailings, ledger = simulation.services.mailings._mailings, simulation.services.messages._ledger
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
        rows.update(division.shard_of(message.client_id) for message in messages)
    for name in division.names:
        shard = ShardProgress(name)
        mailings.shards.acquire(one.mailing_id, shard, "test", now, now + timedelta(minutes=1))
        held = replace(shard, owner="test")
        mailings.shards.advance(one.mailing_id, held, replace(held, expanded=True, rows=rows[name]), now, Counter())
    simulation.bodies(simulation.settings.dispatch_queue)


def report(found: dict[str, dict[str, float]]) -> str:
    """A table with a line for each measure."""
    rows = [(name, ", ".join(f"{key} {value:g}" for key, value in one.items())) for name, one in found.items()]
    return table(("measure", "what came of it"), rows)
