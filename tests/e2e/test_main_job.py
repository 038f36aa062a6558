"""The main job on the embedded stack, as its users see it: real processes, real sockets, a gateway that fails."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import psutil
import pytest

from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, LocalRun, wait_until
from tests.support.orders import add_clients, mailing, order, statuses, wait_for_end

MANY = 10_000
FEWER = 3_000  # for the test that has to wait for claims to end


def test_a_scheduled_mailing_starts_by_itself(api: ApiCaller, run: LocalRun, gateway: FaultyGateway) -> None:
    """Expects the first message within two seconds of the start time, and none before it."""
    add_clients(run, 20)
    start = datetime.now(UTC).timestamp() + 5
    mailing_id = order(api, starts_in=5)
    assert mailing(api, mailing_id)["status"] == "scheduled"
    assert wait_for_end(api, mailing_id)["counts"]["sent"] == 20
    first = min(heard.at for heard in gateway.heard)
    assert start <= first + 0.01 < start + 2


def test_ten_thousand_clients_are_each_called_once(api: ApiCaller, run: LocalRun, gateway: FaultyGateway) -> None:
    """Expects every row to be `sent`, the counts to add up, and the order to be answered before the work is done."""
    add_clients(run, MANY)
    began = datetime.now(UTC).timestamp()
    mailing_id = order(api)
    assert datetime.now(UTC).timestamp() - began < 1
    ended = wait_for_end(api, mailing_id)
    assert ended["status"] == "finished"
    assert {name: count for name, count in ended["counts"].items() if count} == {"total": MANY, "sent": MANY}
    assert statuses(api, mailing_id) == {"sent": MANY}
    calls = gateway.calls()
    assert len(calls) == MANY
    assert set(calls.values()) == {1}
    assert min(heard.at for heard in gateway.heard) - began < 2


@pytest.mark.long
def test_a_killed_service_continues_where_it_was(start: Callable[..., LocalRun], gateway: FaultyGateway) -> None:
    """Kill -9 in the middle, while the emulator lives on: everyone gets the message, and nobody is called again
    without need.

    First the senders alone, which come back by themselves; then the whole service with them. A second call is allowed
    only for a message whose first call's outcome was never recorded; its row says so.
    """
    settings = {"GATEWAY_URL": gateway.url, "GATEWAY_TOKEN": "t", "GATEWAY_READ_TIMEOUT": "3", "CLAIM_LEASE": "15"}
    settings |= {"STALL_AFTER": "15", "GATEWAY_RECOGNISES_IDS": "true", "SENDER_PROCESSES": "2"}
    run = start(**settings).ready()
    add_clients(run, FEWER)
    mailing_id = order(ApiCaller(run))
    wait_until(lambda: len(gateway.heard) > FEWER // 5)
    for sender in _senders_of(run):
        sender.kill()
    heard = len(gateway.heard)
    wait_until(lambda: len(gateway.heard) > heard + FEWER // 5)
    senders = _senders_of(run)
    run.process.send_signal(signal.SIGKILL)
    for sender in senders:
        sender.kill()
    run.process.wait()
    assert len(gateway.heard) < FEWER
    again = ApiCaller(start(**settings).ready())
    # The claims of the killed sender end, and the tick finds what has stopped.
    ended = wait_for_end(again, mailing_id, bound=240)
    assert ended["counts"]["sent"] == FEWER
    rows = again.rows("/api/messages/", mailing=mailing_id)
    assert Counter(row["status"] for row in rows) == {"sent": FEWER}
    lost = {row["id"]: row["attempts"] for row in rows if len(row["attempts"]) > 1}
    assert all([attempt["outcome"] for attempt in attempts] == ["unknown", "accepted"] for attempts in lost.values())
    repeated = [gateway_id for gateway_id, count in gateway.calls().items() if count > 1]
    assert len(gateway.calls()) == FEWER
    assert len(repeated) <= len(lost)
    assert set(gateway.calls().values()) <= {1, 2}


def _senders_of(run: LocalRun) -> list[psutil.Process]:
    """All processes that send; there is at least one."""
    children = psutil.Process(run.process.pid).children()
    found = [child for child in children if "infra.local.senders" in child.cmdline()]
    assert found
    return found


def test_a_gateway_that_was_down_costs_nobody_a_message(api: ApiCaller, run: LocalRun, gateway: FaultyGateway) -> None:
    """The gateway is down for a while during a mailing: afterwards everyone has the message, nobody twice."""
    add_clients(run, 2000)
    mailing_id = order(api)
    wait_until(lambda: len(gateway.heard) > 500)
    gateway.stop()
    wait_until(lambda: mailing(api, mailing_id)["counts"]["waiting"] > 0)
    assert api.request("GET", "/health").status_code == 200
    gateway.start()
    ended = wait_for_end(api, mailing_id, bound=150)
    assert ended["counts"]["sent"] == 2000
    assert set(gateway.accepted().values()) <= {1, 2}
    twice = sum(count > 1 for count in gateway.accepted().values())
    broken = sum(
        "unknown" in [attempt["outcome"] for attempt in row["attempts"]]
        for row in api.rows("/api/messages/", mailing=mailing_id)
    )
    assert twice <= broken  # only whose answer was lost with its connection
