"""`make bench PARTS=walls`, the part with senders: how mailings affect each other while they are sent.

As in benchmarks/walls.py: the real code on a simulated clock, 10 ms for each call of AWS, 100 ms for each call of the
gateway, no CPU time.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from benchmarks.figures import percentile
from benchmarks.mailing import TAG, WORKERS, new_clients
from benchmarks.progress import say
from benchmarks.walls import DISPATCHERS, a_simulation
from tests.support.capacity import Capacity
from tests.support.simulation import Simulation

LATENCY = timedelta(milliseconds=100)  # of the gateway
RATE = 5  # messages a second of a slow mailing
_SETTLED = 10.0  # seconds that slow mailings run before the others begin


def beside_slow_ones(slow: int, messages: int = 4000, senders: int = WORKERS["sender"]) -> dict[str, float]:
    """How fast an unlimited mailing is sent beside slow ones of 5 messages a second each, and whether those reach their
    rate.
    """
    say(f"{messages:,} messages beside {slow} slow mailings, {senders} senders")
    workers = {"tick": 1, "dispatcher": DISPATCHERS, "sender": senders}
    with a_simulation(workers_of=workers) as (simulation, _):
        simulation.limits.limit(None)
        simulation.gateway.latency = LATENCY
        for number in range(slow):
            simulation.add_clients(RATE * 60, tag=f"slow{number}", operator=f"{900 + number}")
            simulation.create_mailing(tag=f"slow{number}", text="slow", lasts=86_400, rate_limit=RATE)
        simulation.add_clients(messages, tag="many", operator="999")
        simulation.run_for(_SETTLED)
        slow_since = len(_calls(simulation, "slow"))
        began = simulation.clock.now()
        mailing = simulation.create_mailing(tag="many", text="many", lasts=86_400)
        simulation.scheduler.run_until(
            began + timedelta(minutes=10), lambda: simulation.counts(mailing).get("sent") == messages, check=200
        )
        many = _calls(simulation, "many")
        took = (many[-1] - many[0]) / timedelta(seconds=1)
        found: dict[str, float] = {"slow": slow, "senders": senders, "per_second": round(len(many) / took)}
        if slow:
            simulation.run_for(10)
            ran = (simulation.clock.now() - began) / timedelta(seconds=1)
            found["share_of_their_rate"] = round((len(_calls(simulation, "slow")) - slow_since) / ran / RATE / slow, 2)
            found["most_in_a_second"] = _most_in_a_second(simulation)
        return found


def _calls(simulation: Simulation, text: str) -> list[datetime]:
    return [call.at for call in simulation.gateway.log if call.text == text]


def _most_in_a_second(simulation: Simulation) -> int:
    """Of the calls of one slow mailing, whose clients have an operator of their own."""
    most = 0
    by_operator = Counter(call.phone_number[2:5] for call in simulation.gateway.log if call.text == "slow")
    for operator in by_operator:
        moments = [call.at for call in simulation.gateway.log if call.phone_number[2:5] == operator]
        for place, at in enumerate(moments):
            within = [one for one in moments[place : place + 3 * RATE] if one < at + timedelta(seconds=1)]
            most = max(most, len(within))
    return most


def in_the_same_second(mailings: int, clients: int = 4) -> dict[str, float]:
    """How late, in seconds, the first messages are if many mailings start at the same moment, on new tables."""
    say(f"{mailings} mailings that start in the same second")
    workers = {"tick": 1, "dispatcher": DISPATCHERS, "sender": WORKERS["sender"]}
    with a_simulation(workers_of=workers) as (simulation, _):
        simulation.gateway.latency = LATENCY
        simulation.add_clients(clients, tag="few")
        starts_at = simulation.clock.now() + timedelta(seconds=100)
        for number in range(mailings):
            simulation.create_mailing(tag="few", text=str(number), starts_in=100)
        simulation.run_for(130)
        first: dict[str, datetime] = {}
        for call in simulation.gateway.log:
            first.setdefault(call.text, call.at)
        late = [(at - starts_at) / timedelta(seconds=1) for at in first.values()]
        return {
            "mailings": mailings,
            "earliest_s": round(min(late), 2),
            "p50_s": round(percentile(late, 0.5), 2),
            "p99_s": round(percentile(late, 0.99), 2),
            "messages": len(simulation.gateway.log),
            "refused_writes": simulation.limits.refusals,
        }


def on_partitions(partitions: int, messages: int = 20_000, senders: int = 40) -> dict[str, float]:
    """Messages a second of one mailing with more senders than a ledger with so many partitions can take.

    The ledger's keys lie on its partitions by hash, and each takes 1,000 writes and 3,000 reads a second.
    """
    say(f"{messages:,} messages, {senders} senders, a ledger of {partitions} partitions")
    with a_simulation(workers_of={"tick": 1, "dispatcher": DISPATCHERS, "sender": senders}) as (simulation, _):
        simulation.limits.limit(None)
        simulation.gateway.latency = LATENCY
        simulation.services.clients._clients.upsert(list(new_clients(messages, simulation.clock.now())))
        simulation.limits.limit(Capacity(), ledger=Capacity(partitions), clients=Capacity(partitions))
        began = simulation.clock.now()
        mailing = simulation.create_mailing(tag=TAG, lasts=86_400)
        simulation.scheduler.run_until(
            began + timedelta(minutes=10), lambda: simulation.counts(mailing).get("sent") == messages, check=500
        )
        took = (simulation.gateway.log[-1].at - simulation.gateway.log[0].at) / timedelta(seconds=1)
        return {
            "partitions": partitions,
            "per_second": round(len(simulation.gateway.log) / took),
            "refused_writes": simulation.limits.refusals,
        }
