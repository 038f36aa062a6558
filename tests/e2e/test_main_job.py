"""The main job on the embedded stack, as its users meet it: real processes, real sockets, a gateway that fails."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.domain.clients import new_client
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, LocalRun, wait_until

MANY = 10_000
FEWER = 3_000  # for the test that has to wait for claims to end
_ENDED = ("finished", "cancelled", "expired")


def add_clients(run: LocalRun, count: int, tag: str = "many") -> None:
    """Put so many clients into the directory."""
    now = datetime.now(UTC)
    clients = [
        new_client(phone_number=f"+7916{number:07d}", operator=None, tag=tag, timezone="UTC", opted_out=False, now=now)
        for number in range(count)
    ]
    with run.services() as services:
        services.clients._clients.upsert(clients)


def order(api: ApiCaller, tag: str = "many", *, starts_in: float = 0, lasts: float = 3600, **fields: Any) -> str:
    """The id of a new mailing to a tag."""
    start = datetime.now(UTC) + timedelta(seconds=starts_in)
    body = {
        "text": "Hello",
        "clients": {"tag": tag},
        "start_time": start.isoformat(),
        "end_time": (start + timedelta(seconds=lasts)).isoformat(),
        **fields,
    }
    return str(api.call("POST", "/api/mailing/", body)["id"])


def mailing(api: ApiCaller, mailing_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.call("GET", f"/api/mailing/{mailing_id}/")
    return found


def wait_for_end(api: ApiCaller, mailing_id: str, bound: float = 90) -> dict[str, Any]:
    """The mailing once it has ended."""
    wait_until(lambda: mailing(api, mailing_id)["status"] in _ENDED, bound, every=0.2)
    return mailing(api, mailing_id)


def statuses(api: ApiCaller, mailing_id: str) -> Counter[str]:
    """The ledger of a mailing, counted row by row."""
    return Counter(row["status"] for row in api.rows("/api/messages/", mailing=mailing_id))


def test_a_mailing_reaches_the_gateway_as_the_contract_says(api: ApiCaller, gateway: FaultyGateway) -> None:
    """The very requests of the first version; the gateway gets id, phone and text, and the bearer token."""
    client = {"phone_number": "+79161234567", "operator": 916, "tag": "vip", "timezone": "Europe/Moscow"}
    now = datetime.now(UTC)
    body = {
        "text": "Hello",
        "clients": {"tag": "vip", "operator": 916},
        "start_time": now.isoformat(),
        "end_time": (now + timedelta(hours=1)).isoformat(),
    }
    assert api.request("POST", "/api/clients/", client).status_code == 201
    answer = api.request("POST", "/api/mailing/", body)
    assert answer.status_code == 201
    mailing_id = answer.json()["id"]
    assert wait_for_end(api, mailing_id)["status"] == "finished"
    (heard,) = gateway.heard
    assert heard.path == f"/v1/send/{heard.gateway_id}"
    assert heard.authorization == "Bearer the-token"
    assert heard.message == {"id": heard.gateway_id, "phone": 79161234567, "text": "Hello"}
    assert 0 < heard.gateway_id < 2**63
    assert heard.at - now.timestamp() < 2
    (row,) = api.rows("/api/messages/", mailing=mailing_id, status="sent")
    assert row["sending_status"] is True


def test_a_scheduled_mailing_starts_by_itself(api: ApiCaller, run: LocalRun, gateway: FaultyGateway) -> None:
    """The first message comes within two seconds of the start time, and none before it."""
    add_clients(run, 20)
    start = datetime.now(UTC).timestamp() + 5
    mailing_id = order(api, starts_in=5)
    assert mailing(api, mailing_id)["status"] == "scheduled"
    assert wait_for_end(api, mailing_id)["counts"]["sent"] == 20
    first = min(heard.at for heard in gateway.heard)
    assert start <= first + 0.01 < start + 2


def test_ten_thousand_clients_are_each_called_once(api: ApiCaller, run: LocalRun, gateway: FaultyGateway) -> None:
    """Every row says sent, the counts add up, and the order is answered before the work is done."""
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


def test_a_killed_service_goes_on_where_it_was(start: Callable[..., LocalRun], gateway: FaultyGateway) -> None:
    """Kill -9 in the middle, while the emulator lives on: everyone gets it, and nobody is called again without need.

    A second call is allowed only for a message whose first call's outcome was never recorded; its row says so.
    """
    settings = {"GATEWAY_URL": gateway.url, "GATEWAY_TOKEN": "t", "GATEWAY_READ_TIMEOUT": "3", "CLAIM_LEASE": "10"}
    settings["STALL_AFTER"] = "15"
    run = start(**settings).ready()
    add_clients(run, FEWER)
    mailing_id = order(ApiCaller(run))
    wait_until(lambda: len(gateway.heard) > FEWER // 4)
    run.process.send_signal(signal.SIGKILL)
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


def test_each_kind_of_trouble_ends_as_it_should(start: Callable[..., LocalRun], gateway: FaultyGateway) -> None:
    """What may pass is tried again, what is refused is not, and a bad message neither repeats nor blocks the others."""
    run = start(GATEWAY_URL=gateway.url, GATEWAY_TOKEN="t", GATEWAY_READ_TIMEOUT="1", MAX_ATTEMPTS="3").ready()
    api = ApiCaller(run)
    add_clients(run, 60)
    kinds = ["ok", "ok", "ok", "ok", "500", "429", "garbage", "reset", "code", "400"]
    chosen: dict[int, str] = {}

    def behave(gateway_id: int, nth: int) -> str:
        kind = chosen.setdefault(gateway_id, kinds[len(chosen) % len(kinds)])
        return kind if nth == 1 or kind == "400" or len([k for k in chosen.values() if k == kind]) <= 1 else "ok"

    gateway.behave = behave
    mailing_id = order(api)
    ended = wait_for_end(api, mailing_id)
    assert ended["status"] == "finished"
    counts = {name: count for name, count in ended["counts"].items() if count}
    assert counts["failed"] == 6
    assert counts["sent"] + counts["failed"] + counts.get("unknown", 0) == 60
    calls = gateway.calls()
    assert {calls[gateway_id] for gateway_id, kind in chosen.items() if kind == "ok"} == {1}
    assert {calls[gateway_id] for gateway_id, kind in chosen.items() if kind == "400"} == {1}
    assert all(count == 1 for count in gateway.accepted().values())
    for row in api.rows("/api/messages/", mailing=mailing_id, status="failed"):
        assert "400" in row["reason"]
    api.close()


def test_a_gateway_that_was_down_costs_nobody_a_message(api: ApiCaller, run: LocalRun, gateway: FaultyGateway) -> None:
    """Down for a while in the middle of a mailing: afterwards everyone has it, nobody twice."""
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
