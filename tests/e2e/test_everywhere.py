"""What must hold wherever the service runs: on the embedded stack, and as functions deployed from the package."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, Run, wait_until
from tests.support.orders import add_clients, order, statuses, wait_for_end

pytestmark = pytest.mark.everywhere
BOUND = 300.0  # seconds; functions start slowly in an emulator


def test_a_mailing_reaches_the_gateway_as_the_contract_says(api: ApiCaller, gateway: FaultyGateway) -> None:
    """The requests of the first version; expects the gateway to get id, phone and text, and the bearer token."""
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
    assert wait_for_end(api, mailing_id, BOUND)["status"] == "finished"
    (heard,) = gateway.heard
    assert heard.path == f"/v1/send/{heard.gateway_id}"
    assert heard.authorization == "Bearer the-token"
    assert heard.message == {"id": heard.gateway_id, "phone": 79161234567, "text": "Hello"}
    assert 0 < heard.gateway_id < 2**63
    assert heard.at - now.timestamp() < 30  # functions start slowly in an emulator
    (row,) = api.rows("/api/messages/", mailing=mailing_id, status="sent")
    assert row["sending_status"] is True


def test_only_requests_with_a_valid_token_are_answered(api: ApiCaller, run: Run) -> None:
    """Expects no, wrong and revoked tokens to be refused, and the users of others to be known."""
    assert api.call("GET", "/api/users/me/")["username"] == "admin"
    for headers in ({"Authorization": ""}, {"Authorization": "Token wrong"}):
        assert api.request("GET", "/api/clients/", headers=headers).status_code == 401
    assert api.request("GET", "/health", headers={"Authorization": ""}).status_code == 200
    issued = api.call("POST", "/auth-token/", {"username": "admin", "password": run.password})
    given_back = {"Authorization": f"Bearer {issued['token']}"}
    assert api.request("GET", "/api/users/me/", headers=given_back).status_code == 200
    assert api.request("DELETE", "/auth-token/", headers=given_back).status_code == 204
    assert api.request("GET", "/api/users/me/", headers=given_back).status_code == 401


def test_a_bad_message_neither_repeats_nor_blocks_the_others(api: ApiCaller, run: Run, gateway: FaultyGateway) -> None:
    """In one batch: what is accepted or refused is called once, what may pass is tried again until it is accepted.

    It comes after what is timed: senders stay slow after a 429. One call in four fails, and never two in a row: with
    more the circuit may open, which is for another test.
    """
    kinds = ["ok"] * 20
    kinds[1::3] = ["500", "429", "garbage", "reset", "code", "400", "ok"]
    chosen: dict[int, str] = {}

    def behave(gateway_id: int, nth: int) -> str:
        kind = chosen.setdefault(gateway_id, kinds[len(chosen) % len(kinds)])
        return kind if nth == 1 or kind == "400" else "ok"

    gateway.behave = behave
    add_clients(run, 60, tag="trouble")
    mailing_id = order(api, "trouble", on_unknown="retry")
    ended = wait_for_end(api, mailing_id, BOUND)
    assert {name: count for name, count in ended["counts"].items() if count} == {"total": 60, "sent": 57, "failed": 3}
    expected = {gateway_id: 1 if kind in ("ok", "400") else 2 for gateway_id, kind in chosen.items()}
    assert gateway.calls() == expected
    assert set(gateway.accepted().values()) == {1}
    refused = api.rows("/api/messages/", mailing=mailing_id, status="failed")
    assert ["400" in row["reason"] for row in refused] == [True] * 3


def test_a_dead_letter_can_be_put_back(api: ApiCaller, run: Run, gateway: FaultyGateway) -> None:
    """A message whose attempts are used up is a dead letter with its reason; put back, it is sent, and no other."""
    gateway.behave = lambda gateway_id, nth: "503" if nth <= 3 else "ok"
    add_clients(run, 1, tag="dead")
    mailing_id = order(api, "dead")
    ended = wait_for_end(api, mailing_id, BOUND)
    assert Counter(gateway.calls().values()) == {3: 1}
    assert ended["counts"]["failed"] == 1
    (letter,) = (row for row in api.call("GET", "/api/dead-letters/")["rows"] if row["mailing"] == mailing_id)
    assert "503" in letter["reason"]
    assert api.call("POST", "/api/dead-letters/redrive/", {"ids": [letter["id"]]})["put_back"] == 1
    wait_until(lambda: statuses(api, mailing_id) == {"sent": 1}, BOUND, every=0.2)
    assert Counter(gateway.calls().values()) == {4: 1}
