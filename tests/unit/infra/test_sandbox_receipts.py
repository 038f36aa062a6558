"""The sandbox gateway tells what became of messages and what people wrote back, as the contract of http has it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from infra.local import sandbox_receipts

URL = "http://127.0.0.1:8000/gateway/receipts/default/secret?message_id=m-1"
REPLIES_URL = "http://127.0.0.1:8000/gateway/replies/default/secret"


class Told:
    """A session that notes what is posted."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, list[dict[str, Any]]]]] = []

    def post(self, url: str, json: dict[str, list[dict[str, Any]]], timeout: float) -> None:
        assert timeout
        self.posts.append((url, json))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_receipts, "_AFTER", (0.0, 0.0))
    monkeypatch.setattr(sandbox_receipts, "_EVERY", 0.0)


def _told(phone: int, url: str = URL) -> list[tuple[str, dict[str, list[dict[str, Any]]]]]:
    session = Told()

    async def promise() -> None:
        receipts = sandbox_receipts.Receipts()
        receipts._session = session  # type: ignore[assignment]
        receipts.promise(url, phone)
        if receipts._teller:
            await receipts._teller

    asyncio.run(promise())
    return session.posts


@pytest.mark.parametrize(("phone", "text"), [(447700900011, "STOP"), (447700900012, "Thanks")])
def test_some_numbers_write_back(phone: int, text: str) -> None:
    (_, receipt), (url, reply) = _told(phone)
    assert receipt["receipts"][0]["status"] == "delivered"
    assert url == REPLIES_URL
    [told] = reply["replies"]
    assert told["text"].startswith(text)
    assert (told["phone"], told["message_id"]) == (phone, "m-1")


def test_all_others_only_get_their_receipt() -> None:
    assert [list(told) for _, told in _told(79161234567)] == [["receipts"]]
    assert _told(447700900010) == []


def test_nobody_elsewhere_is_told_anything() -> None:
    assert _told(447700900011, "https://elsewhere.example/gateway/receipts/default/s?message_id=m-1") == []
