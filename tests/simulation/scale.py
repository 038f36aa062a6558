"""`make scale`: mailings of growing size on the simulated service, to see that nothing grows but the work itself.

The code is the real one. Each call of AWS takes 5 ms of virtual time, each call of the gateway 20 ms, of which a sender
makes 50 at once. The emulator's index queries take longer the larger the table; of clients they are answered from a
sorted list instead. What the service itself holds in memory is counted by its objects, now and then while it works;
the process holds the tables, the clients and the gateway's log besides, some KB for each client.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import psutil

from benchmarks import mailing
from benchmarks.mailing import TAG, new_clients
from benchmarks.progress import Progress, say
from tests.support.aws import Call
from tests.support.client_index import ClientIndex
from tests.support.simulation import Simulation, new_simulation

AWS_LATENCY = 0.005  # seconds
GATEWAY_LATENCY = timedelta(milliseconds=20) / 50
WORKERS = {"tick": 1, "dispatcher": 20, "sender": 10}  # as the template allows on AWS
_LOOKS = 8  # at the objects in memory, each of which takes a second or two where there are a million clients


@dataclass
class Watch:
    """What is seen at each call of AWS that a worker makes."""

    simulation: Simulation
    clients: int
    calls: Counter[str] = field(default_factory=Counter)
    most_objects: int = 0
    most_queued: int = 0

    def __post_init__(self) -> None:
        self._progress = Progress("sent", self.clients)
        self._next_look = self.clients // _LOOKS
        self._objects = own_objects()

    def before(self, call: Call) -> None:
        sent = len(self.simulation.gateway.log)
        self._progress.at(sent)
        if sent >= self._next_look:
            self._next_look += self.clients // _LOOKS
            self.most_objects = max(self.most_objects, own_objects() - self._objects)
        worker = self.simulation.scheduler.current
        if worker:
            self.calls[f"{worker.name.partition('-')[0]} {call.operation.partition('.')[2]}"] += 1
            self.most_queued = max(self.most_queued, len(self.simulation.queue(self.simulation.settings.send_queue)))
            self.simulation.clock.sleep(AWS_LATENCY)


def own_objects() -> int:
    """How many objects of the service's classes are in memory."""
    kinds = Counter(map(type, gc.get_objects()))
    return sum(number for kind, number in kinds.items() if str(kind.__module__).startswith("chalicelib"))


def run(count: int) -> None:
    """One mailing to so many clients; prints what it took."""
    say(f"making {count:,} clients")
    with new_simulation(seed=1, workers_of=WORKERS, sender_batch=None) as simulation:
        simulation.gateway.latency = GATEWAY_LATENCY
        simulation.add_clients(1, tag=TAG)  # the counters say that there is somebody
        ClientIndex(simulation.aws, simulation.workers.tables, new_clients(count, simulation.clock.now()))
        watch = Watch(simulation, count)
        simulation.aws.before = watch.before
        process = psutil.Process()
        resident, began, wall = process.memory_info().rss, simulation.clock.now(), time.perf_counter()
        ordered = simulation.create_mailing(tag=TAG, lasts=86_400)
        limit = began + timedelta(hours=24)
        simulation.scheduler.run_until(limit, lambda: simulation.status(ordered) == "finished", check=20_000)
        wall = time.perf_counter() - wall
        grown = (process.memory_info().rss - resident) / 1024 / count
        finished_at = simulation.services.mailings.get(ordered.mailing_id).finished_at
        assert finished_at, simulation.counts(ordered)
        counts = simulation.counts(ordered)
        assert counts == {"total": count, "sent": count}, counts
        assert len(simulation.gateway.calls()) == len(simulation.gateway.log) == count
        took = (finished_at - began).total_seconds()
        first = (simulation.gateway.log[0].at - began).total_seconds()
        calls = watch.calls
        sys.stdout.write(
            f"{count:>9,} clients: first call after {first:.2f} s, all after {took:.1f} s ({count / took:.0f}/s);\n"
            f"          {1000 * calls.total() / count:.1f} AWS calls per 1,000 clients, {wall:.0f} s of real time;\n"
            f"          at most {watch.most_queued:,} hints in the send queue, "
            f"{watch.most_objects:,} more objects of the service in memory than before;\n"
            f"          {grown:.1f} KB more memory of this process per client, the emulator's rows included\n"
        )
        for name, calls_made in calls.most_common(12):
            sys.stdout.write(f"          {1000 * calls_made / count:8.2f}  {name}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    mailing.quiet()
    for size in sys.argv[1:] or ["1000", "100000"]:
        run(int(size))
