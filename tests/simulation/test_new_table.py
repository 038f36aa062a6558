"""Many senders on a table that is new: its partitions refuse most writes, and nothing that is known may be lost."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest

from chalicelib.domain.mailings import OnUnknown
from tests.support.capacity import Capacity
from tests.support.world import World, new_world

CLIENTS = 200
# A new table takes 4,000 writes a second of 40 senders; this one as much less as the mailing is smaller.
NEW_TABLE = Capacity(4, 12, 36, 500, 500)


@pytest.mark.proof
@pytest.mark.parametrize("on_unknown", [OnUnknown.HOLD, OnUnknown.RETRY])
def test_forty_senders_on_a_new_table(on_unknown: OnUnknown) -> None:
    """Everybody gets it once, and every attempt in the ledger is a call that the gateway heard."""
    workers = {"tick": 1, "dispatcher": 8, "sender": 40}
    with new_world(3, workers, sender_batch=10, threads=True, killed_in_time=True) as world:
        world.scheduler.switching = 0.2
        rng = random.Random(3)
        world.gateway.latencies = lambda: rng.uniform(0.005, 0.1)
        world.limits.spared = lambda: world.scheduler.current is None
        world.add_clients(CLIENTS)
        world.limits.limit(Capacity(4, 100, 300), messages=NEW_TABLE)
        mailing = world.create_mailing(lasts=1800, on_unknown=on_unknown)
        world.scheduler.run_until(
            world.clock.now() + timedelta(seconds=1800), lambda: world.status(mailing) == "finished", check=200
        )
        assert world.status(mailing) == "finished"
        assert told(world, mailing) == {"twice": 0, "never made": 0, "sent": CLIENTS}


def told(world: World, mailing) -> dict[str, int]:
    rows = world.rows(mailing)
    calls = world.gateway.calls()
    attempts = Counter({world.gateway_id(mailing, row): len(row.attempts) for row in rows})
    return {
        "twice": sum(count > 1 for count in world.gateway.accepted().values()),
        "never made": sum(max(0, count - calls[one]) for one, count in attempts.items()),
        "sent": sum(row.status == "sent" for row in rows),
    }
