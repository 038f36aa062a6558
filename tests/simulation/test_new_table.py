"""Many senders on a table that is new: its partitions refuse most writes, and nothing that is known may be lost."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest

from chalicelib.domain.mailings import OnUnknown
from tests.support.capacity import Capacity
from tests.support.simulation import Simulation, new_simulation

CLIENTS = 200
# A new table takes 4,000 writes a second of 40 senders; this one as much less as the mailing is smaller.
NEW_TABLE = Capacity(4, 12, 36, 500, 500)


@pytest.mark.proof
@pytest.mark.parametrize("on_unknown", [OnUnknown.HOLD, OnUnknown.RETRY])
def test_forty_senders_on_a_new_table(on_unknown: OnUnknown) -> None:
    """Everybody gets it once, and every attempt in the ledger is a call that the gateway heard."""
    workers = {"tick": 1, "dispatcher": 8, "sender": 40}
    with new_simulation(3, workers, sender_batch=10, threads=True, killed_in_time=True) as simulation:
        simulation.scheduler.switching = 0.2
        rng = random.Random(3)
        simulation.gateway.latencies = lambda: rng.uniform(0.005, 0.1)
        simulation.limits.spared = lambda: simulation.scheduler.current is None
        simulation.add_clients(CLIENTS)
        simulation.limits.limit(Capacity(4, 100, 300), messages=NEW_TABLE)
        mailing = simulation.create_mailing(lasts=1800, on_unknown=on_unknown)
        simulation.scheduler.run_until(
            simulation.clock.now() + timedelta(seconds=1800),
            lambda: simulation.status(mailing) == "finished",
            check=200,
        )
        assert simulation.status(mailing) == "finished"
        assert told(simulation, mailing) == {"twice": 0, "never made": 0, "sent": CLIENTS}


def told(simulation: Simulation, mailing) -> dict[str, int]:
    rows = simulation.rows(mailing)
    calls = simulation.gateway.calls()
    attempts = Counter({simulation.gateway_id(mailing, row): len(row.attempts) for row in rows})
    return {
        "twice": sum(count > 1 for count in simulation.gateway.accepted().values()),
        "never made": sum(max(0, count - calls[one]) for one, count in attempts.items()),
        "sent": sum(row.status == "sent" for row in rows),
    }
