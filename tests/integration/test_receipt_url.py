"""The receiver's own URL: gateways call the function itself, with events of a function URL."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from chalicelib import workers
from chalicelib.api import receipts
from chalicelib.domain.deliveries import delivery_status_of
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.messages import Message
from chalicelib.web.callbacks import MAX_RECEIPT
from chalicelib.web.request import Request
from tests.support.receipts import delivered
from tests.support.simulation import Simulation, new_simulation

WORKERS = {"tick": 1, "dispatcher": 3, "sender": 2, "receiver": 1}
URL = "https://abcdefghij.lambda-url.eu-west-1.on.aws"
HOST = "abc123.execute-api.eu-west-1.amazonaws.com"


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with new_simulation(
        workers_of=WORKERS, gateway_receipts=True, public_url="https://api.example", receipt_url=f"{URL}/"
    ) as simulation:
        yield simulation


@pytest.fixture
def message(simulation: Simulation) -> Message:
    """A sent message."""
    simulation.add_clients(1)
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing)
    [row] = simulation.rows(mailing)
    return row


def called(simulation: Simulation, path: str, body: str = "", **more: Any) -> dict[str, Any]:
    """The function's answer to a call. Events: docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html."""
    method = more.pop("method", "POST")
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": URL.removeprefix("https://"),
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            "requestId": "id",
            "stage": "$default",
        },
        "body": body,
        "isBase64Encoded": False,
    } | more
    context: Any = SimpleNamespace(aws_request_id="id")
    with mock.patch.object(workers, "get_services", return_value=simulation.services):
        answer = workers.receive(event, context)
    assert set(answer) == {"statusCode", "headers", "body", "isBase64Encoded"}
    return dict(answer)


def path_of(simulation: Simulation, kind: str = "receipts", gateway: str = "default") -> str:
    return f"/gateway/{kind}/{gateway}/{simulation.services.receipt_links.secret(gateway)}"


def status_of(simulation: Simulation, message: Message) -> str:
    row = simulation.services.receiver()._ledger.read([message.key])[message.key]
    return str(delivery_status_of(row, simulation.clock.now()))


def test_gateways_get_the_url_of_the_function(simulation: Simulation) -> None:
    assert simulation.services.receipt_links.url("default") == URL + path_of(simulation)
    assert simulation.services.receipt_links.reply_url("default") == URL + path_of(simulation, "replies")


def test_a_receipt_at_that_url_is_applied(simulation: Simulation, message: Message) -> None:
    answer = called(simulation, path_of(simulation), json.dumps(delivered(message)))
    assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (200, "text/plain")
    simulation.run_for(20)
    assert status_of(simulation, message) == "delivered"


def test_forms_and_get_requests_are_read(simulation: Simulation, message: Message) -> None:
    """Expects a form, which Lambda encodes, and a GET, which has only the URL, to be read as at the API."""
    form = base64.b64encode(b"status=undelivered").decode()
    query = {"rawQueryString": f"message_id={message.message_id}"}
    headers = {"headers": {"content-type": "application/x-www-form-urlencoded"}}
    assert called(simulation, path_of(simulation), form, isBase64Encoded=True, **query, **headers)["statusCode"] == 200
    simulation.run_for(20)
    assert status_of(simulation, message) == "undelivered"
    query["rawQueryString"] += "&status=delivered"
    assert called(simulation, path_of(simulation), method="GET", **query)["statusCode"] == 200
    simulation.run_for(20)
    assert status_of(simulation, message) == "delivered"


def test_a_reply_at_that_url_is_kept(simulation: Simulation) -> None:
    body = json.dumps({"id": "in-1", "phone": "+447700900123", "text": "Thanks"})
    assert called(simulation, path_of(simulation, "replies"), body)["statusCode"] == 200
    simulation.run_for(20)
    [reply] = simulation.services.replies().list("", "", 50)[0]
    assert reply.text == "Thanks"


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/", {}, 404),
        ("/api/clients/", {}, 404),
        ("/gateway/receipts/default/" + 40 * "0", {}, 404),
        ("/gateway/receipts/another/{secret}", {}, 404),
        ("/gateway/receipts/default/{secret}/", {}, 404),
        ("/gateway/receipts/default/{secret}", {"method": "DELETE"}, 404),
        ("/gateway/receipts/default/{secret}", {"body": "x" * (MAX_RECEIPT + 1)}, 413),
        ("/gateway/receipts/default/{secret}", {"body": "//79", "isBase64Encoded": True}, 400),
        ("/gateway/receipts/default/{secret}", {"body": "%", "isBase64Encoded": True}, 400),
    ],
)
def test_anything_else_is_refused_and_reaches_no_queue(
    simulation: Simulation, path: str, more: dict[str, Any], status: int
) -> None:
    secret = simulation.services.receipt_links.secret("default")
    answer = called(simulation, path.format(secret=secret), **{"body": "{}", **more})
    assert answer["statusCode"] == status
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert secret not in answer["body"]
    assert simulation.queue(simulation.settings.receipt_queue) == []


def test_the_gateway_has_to_call_again_if_the_queue_fails(simulation: Simulation) -> None:
    path = path_of(simulation)
    with mock.patch.object(simulation.services.receipt_gate()._receipt_queue, "send", side_effect=Unavailable("busy")):
        assert called(simulation, path, "{}")["statusCode"] == 503


@pytest.mark.parametrize(
    ("settings", "host", "url"),
    [
        ({"receipt_url": URL}, HOST, f"https://{HOST}/api/gateway/receipts/default/{{secret}}"),
        ({}, HOST, f"https://{HOST}/api/gateway/receipts/default/{{secret}}"),
        ({"public_url": "https://api.example", "receipt_url": URL}, HOST, ""),
        ({"public_url": "https://api.example"}, HOST, ""),
        ({}, None, ""),
    ],
)
def test_the_api_says_where_it_was_called_unless_the_settings_do(
    settings: dict[str, str], host: str | None, url: str
) -> None:
    """Expects it on AWS, where the receiver knows no address: some gateways sign it. MiniStack names no host."""
    with new_simulation(workers_of=WORKERS, gateway_receipts=True, **settings) as simulation:
        secret = simulation.services.receipt_links.secret("default")
        raw: Any = SimpleNamespace(
            query_params=None,
            raw_body=b"{}",
            headers={"content-type": "application/json"},
            context={"path": f"/api/gateway/receipts/default/{secret}"} | ({"domainName": host} if host else {}),
        )
        answer = receipts._take(Request(raw, simulation.services), "default", secret)
        [message] = simulation.queue(simulation.settings.receipt_queue)
        assert answer.media_type == "text/plain"
        assert json.loads(message["body"])["callback"]["url"] == url.format(secret=secret)
