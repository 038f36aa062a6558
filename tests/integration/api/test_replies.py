"""/api/replies/ and the webhooks that fill it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from chalicelib.services.receiving.received import ReceiptItem
from tests.support.api import Api, new_api

PHONE = "+79161234567"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def api() -> Iterator[Api]:
    with new_api(gateway_receipts=True, public_url="https://service.example") as made:
        yield made


def _path(api: Api) -> str:
    return f"/gateway/replies/default/{api.services.receipt_links.secret('default')}"


def _receive(api: Api) -> None:
    queue = api.services.queues["receipts"]
    items = [ReceiptItem(one.item, one.body) for one in queue.receive(10, hide=30)]
    assert api.services.receiver().receive(items, api.clock.now() + timedelta(minutes=1)) == []


@pytest.mark.parametrize("by", ["json", "form", "query"])
def test_a_reply_is_listed_with_its_client(api: Api, by: str) -> None:
    client = api.post("/api/clients", {"phone_number": PHONE}).json["id"]
    told = {"id": "in-1", "phone": PHONE, "text": "Стоп", "to": "+79990000000"}
    if by == "query":
        answer = api.get(_path(api), query=told, token="")
    elif by == "form":
        answer = api.post(_path(api), raw=urlencode(told).encode(), headers=FORM, token="")
    else:
        answer = api.post(_path(api), told, token="")
    assert (answer.status, answer.text) == (200, "")
    _receive(api)
    [row] = api.get("/api/replies").json["rows"]
    assert row | {"id": "", "at": "", "received_at": ""} == {
        "id": "",
        "gateway": "default",
        "phone_number": PHONE,
        "text": "Стоп",
        "to": "+79990000000",
        "at": "",
        "received_at": "",
        "keyword": "stop",
        "client": client,
        "message": None,
        "mailing": None,
        "mailing_name": None,
    }
    assert api.get("/api/replies", query={"client": client}).json["rows"] == [row]
    assert api.get("/api/replies", query={"client": "nobody"}).json == {"total": 1, "rows": [], "next": None}


def test_a_wrong_secret_and_a_huge_body_are_refused(api: Api) -> None:
    assert api.post("/gateway/replies/default/guessed", {"phone": PHONE, "text": "Hi"}).status == 404
    assert api.post(_path(api), {"phone": PHONE, "text": "x" * 70_000}).status == 413
    assert api.services.queues["receipts"].receive(10, hide=30) == []
