"""`python -m benchmarks.receipts_cpu`: CPU time of a receipt, from the gateway's call to the changed row.

AWS is answered in process, and told apart: taking (the front, the API, its call of the queue), applying (the receiver)
and the emulator's answers to both. The receipts are of messages that were sent before, and each changes its message.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from unittest import mock

from ministack.services import sqs as emulated_sqs

from app import app
from benchmarks import cpu, gateway
from benchmarks.stubbed_aws import StubbedAws
from chalicelib import bootstrap
from chalicelib.aws_clients import aws_client
from chalicelib.bootstrap import Services, build
from chalicelib.clock import SystemClock
from chalicelib.config import Settings
from chalicelib.domain.client_ids import SHARDS
from chalicelib.domain.deliveries import RECEIPTS_PATH
from chalicelib.observability import invocation
from chalicelib.services.receiving.received import ReceiptItem
from chalicelib.storage.tables import bind
from infra.local.api_gateway import HttpFront
from infra.provision import provision
from tests.support.api import Api
from tests.support.client_ids import CLIENT_IDS

MESSAGES = 5_000
EACH = 50  # receipts of a call
TOGETHER = (1, 20)  # calls whose receipts are applied at once
RUNS = 5


@dataclass(frozen=True, slots=True)
class Spent:
    """Milliseconds of CPU for each receipt; the emulator's are those of its answers."""

    taking: float
    emulator_taking: float
    applying: float
    emulator_applying: float

    @property
    def total(self) -> float:
        return float(sum(asdict(self).values()))


def measure(
    count: int, gateway_url: str, together: int, profile: cProfile.Profile | None = None, profiled: str = ""
) -> Spent:
    """Send a mailing to so many clients, then report each message as delivered."""
    aws = StubbedAws()
    settings = Settings(
        gateway_url=gateway_url,
        gateway_token="bench",  # noqa: S106
        queue_high_water=2 * count,
        gateway_receipts=True,
        public_url="http://127.0.0.1",
    )
    with aws.installed():
        clients = {name: aws_client(name) for name in ("dynamodb", "sqs")}
        provision(settings, clients["dynamodb"], clients["sqs"])
        tables = bind(settings, clients["dynamodb"])
        services = build(settings, tables=tables, client_ids=CLIENT_IDS, **clients)
        cpu._fill(aws, tables, services, count, cpu.PLAIN)
        cpu._dispatch(services)
        cpu._deliver(services)
        calls, items = _calls(services), list[str]()
        with mock.patch.object(bootstrap, "get_services", return_value=services):
            api = Api(HttpFront(app, SystemClock(), "us-east-1"), services, services.clock, aws, clients["sqs"])
            path = f"{RECEIPTS_PATH}/default/{services.receipt_links.secret('default')}"
            _take(api, path, calls[:1])  # what is done once for each process
            _taken(services)
            spent = _spent(aws, lambda: _take(api, path, calls), profile if profiled == "taking" else None)
            items = _taken(services)
            spent += _spent(aws, lambda: _apply(services, items, together), profile if profiled == "applying" else None)
        (mailing,), _ = services.mailings.list(None, "", 1)
        _, counters = services.mailings._mailings.detail(mailing.mailing_id)
        if counters.by_name["delivery|delivered"] != count:
            raise RuntimeError(f"not every receipt was counted: {counters.by_name}")
    return Spent(*(1000 * seconds / count for seconds in spent))


def _calls(services: Services) -> list[bytes]:
    """The bodies of the gateway's calls. Receipts come about as messages were sent: in the order of the ledger."""
    (sent,), _ = services.mailings.list(None, "", 1)
    ledger, ids = services.receiver()._ledger, list[str]()
    for shard in SHARDS:
        after, more = "", True
        while more:
            found, after = ledger.long_page(sent.mailing_id, shard, after)
            ids += [message.message_id for message in found]
            more = bool(after)
    receipts = [{"message_id": one, "status": "delivered"} for one in ids]
    return [json.dumps({"receipts": receipts[start : start + EACH]}).encode() for start in range(0, len(ids), EACH)]


def _take(api: Api, path: str, calls: Sequence[bytes]) -> None:
    for body in calls:
        if api.post(path, raw=body).status != 200:
            raise RuntimeError("a call was refused")


def _taken(services: Services) -> list[str]:
    """Take all messages from the receipt queue without the client, because that is the event source's work."""
    name = services.settings.receipt_queue
    (queue,) = (queue for queue in emulated_sqs._queues.values() if queue["name"] == name)
    bodies = [message["body"] for message in queue["messages"]]
    queue["messages"].clear()
    return bodies


def _apply(services: Services, bodies: Sequence[str], together: int) -> None:
    for start in range(0, len(bodies), together):
        some = [ReceiptItem(str(place), body) for place, body in enumerate(bodies[start : start + together])]
        with invocation("receiver"):
            if services.receiver().receive(some, services.clock.now() + timedelta(minutes=1)):
                raise RuntimeError("not every receipt was applied")


def _spent(aws: StubbedAws, work: Callable[[], None], profile: cProfile.Profile | None) -> list[float]:
    began, answered = time.process_time(), aws.answering
    if profile:
        profile.runcall(work)
    else:
        work()
    theirs = aws.answering - answered
    return [time.process_time() - began - theirs, theirs]


def main(arguments: Sequence[str]) -> None:
    """Print the least of several runs; with `profile taking` or `profile applying` where the time of one goes."""
    cpu.silence()
    with gateway.running() as target:
        if arguments[:1] == ["profile"]:
            profile = cProfile.Profile()
            measure(MESSAGES, target.url, TOGETHER[-1], profile, arguments[1])
            pstats.Stats(profile).sort_stats(*arguments[2:] or ["tottime"]).print_stats(45)
            return
        runs = [(together, measure(MESSAGES, target.url, together)) for _ in range(RUNS) for together in TOGETHER]
    for together in TOGETHER:
        least = min((spent for calls, spent in runs if calls == together), key=lambda spent: spent.total)
        told = ", ".join(f"{name} {value:.3f}" for name, value in asdict(least).items())
        sys.stdout.write(f"{together} calls of {EACH} at once: {told}; all {least.total:.3f} ms a receipt\n")


if __name__ == "__main__":
    main(sys.argv[1:])
