"""`balance` of /api/gateway/: the money left at the provider, requested by the sender's function on AWS."""

from __future__ import annotations

import io
import json
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ReadTimeoutError

from chalicelib import workers
from chalicelib.config import Settings
from chalicelib.domain.balances import Balance
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Capabilities
from chalicelib.services import balances
from infra.local.lambda_context import LambdaContext
from tests.support.api import Api

AWS = Settings(gateway="sandbox", function_name="stack-api", resource_prefix="stack")


@pytest.fixture
def asked(api: Api, monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """The gateway's answer, which a test may change."""
    answer = mock.Mock(return_value=Balance("10.28", "EUR"))
    monkeypatch.setattr(api.services.gateway, "capabilities", Capabilities(tells_balance=True))
    monkeypatch.setattr(api.services.gateway, "balance", answer)
    return answer


def balance(api: Api) -> Any:
    return api.get("/api/gateway/").json["balance"]


def test_it_is_requested_at_most_every_ten_minutes(api: Api, asked: mock.Mock) -> None:
    told = balance(api)
    assert (told["amount"], told["currency"]) == ("10.28", "EUR")
    api.pass_time(minutes=9)
    asked.return_value = Balance("9.00", "EUR")
    assert balance(api) == told
    assert asked.call_count == 1
    api.pass_time(minutes=2)
    assert (balance(api)["amount"], asked.call_count) == ("9.00", 2)


@pytest.mark.parametrize("failure", [Cause(Reason.NO_ANSWER), ValueError("broken adapter")])
def test_without_an_answer_it_is_unknown(api: Api, asked: mock.Mock, failure: Any) -> None:
    asked.side_effect = [failure]
    assert balance(api) | {"asked_at": ""} == {"amount": None, "currency": None, "asked_at": ""}
    assert balance(api)["amount"] is None
    assert asked.call_count == 1  # nor is a gateway asked again that does not answer


def test_the_last_balance_is_kept_while_the_provider_does_not_answer(api: Api, asked: mock.Mock) -> None:
    """Expects it with its time, no more requests than usual, and the provider's next answer to count."""
    told = balance(api)
    asked.return_value = Cause(Reason.NO_ANSWER)
    api.pass_time(minutes=11)
    assert balance(api) == told
    api.pass_time(minutes=9)
    assert balance(api) == told
    assert asked.call_count == 2
    asked.return_value = Balance("9.00", "EUR")
    api.pass_time(minutes=2)
    assert (balance(api)["amount"], asked.call_count) == ("9.00", 3)


def test_a_gateway_without_a_balance_has_none(api: Api) -> None:
    assert balance(api) is None


def test_the_senders_function_requests_it_for_the_api(api: Api, asked: mock.Mock) -> None:
    del asked
    client = mock.Mock()

    def invoke(**request: Any) -> dict[str, Any]:
        assert request["FunctionName"] == "stack-sender"
        context = LambdaContext("stack-sender", "request", 30, api.clock, "us-east-1")
        with mock.patch.object(workers, "get_services", return_value=api.services):
            content = workers.send(json.loads(request["Payload"]), context)
        return {"Payload": io.BytesIO(json.dumps(content).encode())}

    client.invoke = invoke
    with mock.patch.object(balances, "_lambda_client", return_value=client):
        assert balances.ask_the_sender(AWS, "default") == Balance("10.28", "EUR")


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b"null"])
def test_an_answer_that_cannot_be_read_is_ignored(answer: bytes) -> None:
    client = mock.Mock()
    client.invoke.return_value = {"Payload": io.BytesIO(answer)}
    with mock.patch.object(balances, "_lambda_client", return_value=client):
        assert balances.ask_the_sender(AWS, "default") == Balance()
        client.invoke.side_effect = ReadTimeoutError(endpoint_url="x")
        assert balances.ask_the_sender(AWS, "default") == Balance()
