"""What every gateway has to keep; a kind that is added to `gateways.GATEWAYS` is tested once KINDS knows it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.config import Settings
from chalicelib.domain.messages import Outcome, gateway_id_for
from chalicelib.gateways import GATEWAYS, create_gateway
from chalicelib.gateways.base import Answer, Gateway
from tests.factories import MessageFactory, outgoing
from tests.support.faulty_gateway import FaultyGateway
from tests.unit.gateways.raw_server import RawServer

pytestmark = pytest.mark.enable_socket

TOKEN = "the-token-that-nobody-may-see"
# The contract of `http`, as somebody would declare it.
DECLARATION = {
    "name": "contract",
    "auth": {"kind": "bearer"},
    "request": {
        "path": "/v1/send/{gateway_id}",
        "json": {"id": "{gateway_id}", "phone": "{digits}", "text": "{text}"},
    },
    "answer": {"code": "code", "rules": [{"status": [200], "code": ["0"], "outcome": "accepted"}]},
    "examples": [{"status": 200, "body": {"code": 0, "message": "OK"}, "outcome": "accepted"}],
}
TAKEN_BY_AWS = b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 18\r\n\r\n{"MessageId":"m1"}'
# The settings for each kind of gateway, given a server that follows the contract of `http` and one that answers as AWS.
KINDS: dict[str, Callable[[FaultyGateway, RawServer], dict[str, str]]] = {
    "declared": lambda server, _: {"gateway_url": server.url, "gateway_declaration": json.dumps(DECLARATION)},
    "eum": lambda _, aws: {"gateway_url": aws.url},
    "http": lambda server, _: {"gateway_url": server.url},
    "sandbox": lambda *_: {"gateway_url": ""},
}
TEXTS = ["x", "Привет 👋", 'a "quoted" \\ text\r\n\twith breaks', "{}", "a" * 1600, "й" * 1600]


@pytest.fixture(params=sorted(GATEWAYS))
def gateway(
    request: pytest.FixtureRequest, server: FaultyGateway, raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> Gateway:
    """One gateway after the other."""
    raw.answer = [TAKEN_BY_AWS]
    for name in ("AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "eu-west-1")
    return create_gateway(Settings(gateway=request.param, gateway_token=TOKEN, **KINDS[request.param](server, raw)))


def send(gateway: Gateway, text: str = "Hello", **fields: Any) -> Answer:
    message = MessageFactory(**fields)
    return gateway.send(outgoing(gateway_id_for(message.message_id), message.phone_number, text))


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_that_a_mailing_may_have_is_taken(gateway: Gateway, text: str) -> None:
    """With an answer that has no reason to say more."""
    answer = send(gateway, text)
    assert (answer.outcome, answer.cause, answer.retry_after) == (Outcome.ACCEPTED, None, None)


@pytest.mark.parametrize("gateway_id", [1, 2**31, 2**53 + 1, 2**63 - 1])
def test_any_id_and_any_number_is_taken(gateway: Gateway, gateway_id: int) -> None:
    """Also if a float could not hold them, and again under the same id."""
    for number in ("+79161234567", "+2905123", "+123456789012345"):
        assert gateway.send(outgoing(gateway_id, number, "Hello")).outcome is Outcome.ACCEPTED


def test_it_is_called_from_many_threads_at_once(gateway: Gateway) -> None:
    """Each gets its own answer."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: send(gateway), range(64)))
    assert {answer.outcome for answer in answers} == {Outcome.ACCEPTED}


def test_it_says_nothing_private(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """Neither token nor number nor text is logged, at any level."""
    caplog.set_level(logging.DEBUG)
    send(gateway, "a secret text", phone_number="+79161234567")
    assert not [secret for secret in (TOKEN, "9161234567", "secret") if secret in caplog.text]


@pytest.mark.parametrize("kind", ["", "HTTP", "https", "twilio"])
def test_a_kind_that_does_not_exist_is_refused_at_the_start(kind: str) -> None:
    """The error names the variable, and the kinds that exist."""
    with pytest.raises(ValueError, match=r"^GATEWAY: .*http, sandbox"):
        create_gateway(Settings(gateway=kind))
