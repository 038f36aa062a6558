"""How late mailings start: from the start time until the gateway has the message."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta

from benchmarks.gateway import Gateway
from benchmarks.main_job import Stack
from benchmarks.progress import Progress, say
from chalicelib.domain.messages import gateway_id_for, message_id_for

_NUMBER_OF_TAG = "late-{}"
_LEAD = timedelta(seconds=0.3)  # for each, until the first may start, so that all are ordered before
_BOUND = 60.0


def measure(stack: Stack, target: Gateway, count: int, spread: timedelta, seed: int = 1) -> list[float]:
    """Seconds of delay for so many mailings, each to one client, at random moments within a span."""
    target.control("/reset")
    target.control("/config?latency_ms=20")
    rng = random.Random(seed)
    clients = {}
    for number in range(count):
        tag = _NUMBER_OF_TAG.format(number)
        body = {"phone_number": f"+7911{number:07d}", "tag": tag}
        clients[tag] = str(stack.api.call("POST", "/api/clients", json=body)["id"])
    lead = count * _LEAD
    first = datetime.now(UTC) + lead
    due: dict[int, datetime] = {}
    for tag, client_id in clients.items():
        starts = first + spread * rng.random()
        order = {
            "text": "Hello",
            "clients": {"tag": tag},
            "start_time": starts.isoformat(),
            "end_time": (starts + timedelta(hours=1)).isoformat(),
        }
        mailing = stack.api.call("POST", "/api/mailing", json=order)
        due[gateway_id_for(message_id_for(str(mailing["id"]), client_id))] = starts
    if datetime.now(UTC) > first:
        raise RuntimeError("ordering took so long that the first were due before the last was ordered")
    say(f"all are ordered; the first starts within {lead.total_seconds():.0f} s")
    deadline = time.time() + (first + spread - datetime.now(UTC)).total_seconds() + _BOUND
    progress = Progress("started", count)
    while (started := target.control("/stats")["unique_accepted"]) < count and time.time() < deadline:
        progress.at(started)
        time.sleep(0.5)
    arrived = {number: at for number, at, _ in target.control("/log")}
    if missing := set(due) - set(arrived):
        raise RuntimeError(f"{len(missing)} of {count} mailings were not sent")
    return [arrived[number] - moment.timestamp() for number, moment in due.items()]
