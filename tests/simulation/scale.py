"""`make scale`: mailings of growing size on the simulated service, to see that nothing grows but the work itself.

The code is the real one. Each call of AWS takes 5 ms of virtual time, each call of the gateway 20 ms, of which a sender
makes 50 at once. The emulator's index queries take longer the larger the table; of clients they are answered from a
sorted list instead.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import time
from collections import Counter
from datetime import timedelta

from chalicelib.domain.clients import new_client
from tests.support.aws import Call
from tests.support.client_index import ClientIndex
from tests.support.world import new_world

AWS_LATENCY = 0.005  # seconds
GATEWAY_LATENCY = timedelta(milliseconds=20) / 50
WORKERS = {"tick": 1, "dispatcher": 20, "sender": 10}  # as the template allows on AWS
TAG = "everybody"


def run(count: int) -> None:
    """One mailing to so many clients; prints what it took."""
    with new_world(seed=1, workers_of=WORKERS, sender_batch=None) as world:
        world.gateway.latency = GATEWAY_LATENCY
        world.add_clients(1, tag=TAG)  # the counters say that there is somebody
        clients = [
            new_client(
                phone_number=f"+79{number:09d}", operator=None, tag=TAG, timezone="UTC", opted_out=False,
                now=world.clock.now(),
            )
            for number in range(count)
        ]  # fmt: skip
        ClientIndex(world.aws, world.workers.tables, clients)
        calls: Counter[str] = Counter()

        def before(call: Call) -> None:
            worker = world.scheduler.current
            if worker:
                calls[f"{worker.name.partition('-')[0]} {call.operation.partition('.')[2]}"] += 1
                world.clock.sleep(AWS_LATENCY)

        world.aws.before = before
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began, wall = world.clock.now(), time.monotonic()
        mailing = world.create_mailing(tag=TAG, lasts=86_400)
        limit = began + timedelta(hours=24)
        world.scheduler.run_until(limit, lambda: world.status(mailing) == "finished", check=20_000)
        finished_at = world.services.mailings.get(mailing.mailing_id).finished_at
        assert finished_at, world.counts(mailing)
        counts = world.counts(mailing)
        assert counts == {"total": count, "sent": count}, counts
        assert len(world.gateway.calls()) == len(world.gateway.log) == count
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident) / count
        took = (finished_at - began).total_seconds()
        first = (world.gateway.log[0].at - began).total_seconds()
        sys.stdout.write(
            f"{count:>9} clients: first call after {first:.2f} s, all after {took:.1f} s ({count / took:.0f}/s); "
            f"{1000 * calls.total() / count:.1f} AWS calls per 1,000 clients; {grown:.1f} KB more memory per client, "
            f"the emulator's rows included; {time.monotonic() - wall:.0f} s of real time\n"
        )
        for name, calls_made in calls.most_common(12):
            sys.stdout.write(f"          {1000 * calls_made / count:8.2f}  {name}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "true"
    for size in sys.argv[1:] or ["1000", "100000"]:
        run(int(size))
