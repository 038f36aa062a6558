"""The sandbox gateway keeps the external gateway's contract to the letter, and shows nobody's phone number."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from infra.local.sandbox_gateway import SandboxGateway

GOOD = {"id": 7, "phone": 79161234567, "text": "Hello"}


class Gateway:
    """Calls the application as an ASGI server does."""

    def __init__(self) -> None:
        self.application = SandboxGateway(latency=0)

    def __call__(
        self,
        body: object = GOOD,
        path: str = "/v1/send/7",
        method: str = "POST",
        authorization: bytes | None = b"Bearer token",
    ) -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = [] if authorization is None else [(b"authorization", authorization)]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        asyncio.run(self.application(scope, receive, send))
        return sent[0]["status"], json.loads(sent[1]["body"])


def test_a_valid_message_is_accepted() -> None:
    """Expects HTTP 200 with code 0."""
    gateway = Gateway()
    assert gateway() == (200, {"code": 0, "message": "OK"})
    assert gateway.application.summary()["accepted"] == 1


def test_a_known_id_is_not_taken_again() -> None:
    """`make run` tells the service that its sandbox recognises ids, so that it may repeat what may have been taken."""
    gateway = Gateway()
    assert [gateway() for _ in range(3)] == [(200, {"code": 0, "message": "OK"})] * 3
    other = {**GOOD, "id": 8}
    assert gateway(other, "/v1/send/8")[0] == 200
    summary = gateway.application.summary()
    assert (summary["accepted"], summary["repeated"]) == (2, 2)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        [],
        {},
        {**GOOD, "id": 8},
        {**GOOD, "id": "7"},
        {**GOOD, "id": True},
        {**GOOD, "phone": "79161234567"},
        {**GOOD, "phone": 2**63},
        {**GOOD, "phone": -1},
        {**GOOD, "text": 5},
        {**GOOD, "text": ""},
        {**GOOD, "more": 1},
        {"id": 7, "phone": 79161234567},
    ],
)
def test_a_body_beside_the_contract_is_refused(body: object) -> None:
    """Expects 400 and a code that is not 0."""
    gateway = Gateway()
    status, answer = gateway(body)
    assert status == 400
    assert answer["code"] != 0
    assert (gateway.application.summary()["accepted"], gateway.application.summary()["refused"]) == (0, 1)


@pytest.mark.parametrize("authorization", [None, b"", b"Bearer ", b"Token abc"])
def test_a_call_without_a_bearer_token_is_refused(authorization: bytes | None) -> None:
    """Expects 401."""
    assert Gateway()(authorization=authorization)[0] == 401


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/send/7", 405), ("POST", "/v2/send/7", 404)])
def test_other_calls_are_refused(method: str, path: str, status: int) -> None:
    """Expects only POST at the contract's path to be taken."""
    assert Gateway()(method=method, path=path)[0] == status


def test_the_summary_hides_phone_numbers() -> None:
    """Expects the last two digits, and the latest messages only."""
    gateway = Gateway()
    for number in range(1, 31):
        gateway({**GOOD, "id": number}, path=f"/v1/send/{number}")
    status, summary = gateway(path="/", method="GET")
    assert (status, summary["accepted"]) == (200, 30)
    assert [message["id"] for message in summary["latest"]] == list(range(11, 31))
    assert {message["phone"] for message in summary["latest"]} == {"*********67"}


@pytest.mark.parametrize(
    ("ending", "statuses"),
    [(0, [200]), (1, [400, 400]), (2, [500, 200]), (3, [500, 500, 500]), (6, [429, 429, 200]), (7, [402, 200])],
)
def test_a_number_plays_its_part(ending: int, statuses: list[int]) -> None:
    """As often as its part says."""
    gateway = Gateway()
    body = {**GOOD, "phone": 447700900000 + ending}
    assert [gateway(body)[0] for _ in statuses] == statuses
    assert gateway.application.summary()["accepted"] == statuses.count(200)


def test_a_number_may_play_that_nothing_is_answered() -> None:
    """Once, or always; what was not answered was not taken."""
    gateway = Gateway()
    with pytest.raises(IndexError):  # nothing was sent
        gateway({**GOOD, "phone": 447700900004})
    assert gateway({**GOOD, "phone": 447700900004})[0] == 200
