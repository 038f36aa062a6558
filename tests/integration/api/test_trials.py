"""POST /api/gateway/test/: one test message, with the request and its result."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from app import sender
from chalicelib import workers
from chalicelib.domain.gateway_routes import GatewayRoutes
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer, Gateway, Outgoing
from chalicelib.gateways.http import HttpGateway
from chalicelib.services import trials
from chalicelib.services.gateways import Gateways, Line
from chalicelib.services.trials import MOST_A_MINUTE, DirectTester, LambdaTester
from chalicelib.storage.trials import TrialRepository
from infra.local.lambda_context import LambdaContext
from tests.support.api import Api, Reply, new_api

NUMBER = "+447700900123"
BODY = {"phone_number": NUMBER, "text": "Is this on?"}
ANSWER = Answer(Outcome.ACCEPTED, None, 201, reference="m-1", price="0.05", parts=1)


@pytest.fixture
def sent(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[Outgoing]:
    """What the gateway gets; it accepts everything."""
    got: list[Outgoing] = []
    monkeypatch.setattr(api.services.gateway, "send", lambda message: got.append(message) or ANSWER)
    return got


def _only(gateway: Gateway) -> Gateways:
    control: Any = None
    return Gateways([Line("", gateway, control)], GatewayRoutes())


def send(api: Api, key: str = "", **fields: str) -> Reply:
    return api.post("/api/gateway/test/", BODY | fields, headers={"Idempotency-Key": key} if key else {})


def test_a_test_message_is_sent_and_the_answer_shown(api: Api, sent: list[Outgoing]) -> None:
    """Expects the gateway's answer, and nothing in the ledger or the statistics."""
    api.aws.calls.clear()
    reply = send(api)
    assert reply.status == 200, reply.text
    (message,) = sent
    assert (message.phone_number, message.text) == (NUMBER, "Is this on?")
    assert reply.json == {
        "id": message.message_id,
        "request": "",
        "outcome": "accepted",
        "reason": "",
        "reason_code": None,
        "reason_detail": "",
        "http_status": 201,
        "words": "",
        "reference": "m-1",
        "price": "0.05",
        "parts": 1,
        "duration_ms": 0,
        "circuit": "closed",
    }
    assert [call for call in api.aws.calls if call.endswith(("UpdateItem", "PutItem"))] == ["dynamodb.UpdateItem"]


def test_the_request_is_shown_without_number_and_token() -> None:
    """For a gateway over HTTP that is not there."""
    given = {"gateway_url": "http://127.0.0.1:9", "gateway_token": "secret-token"}
    with new_api(**given) as api:
        tester = DirectTester(_only(HttpGateway(api.services.settings)), api.clock)
        told = json.dumps(tester.send("test-1", NUMBER, "Hi").stored())
    assert "POST /v1/send/" in told
    assert "no_connection" in told
    assert NUMBER[1:] not in told
    assert "secret-token" not in told


def test_the_log_has_neither_number_nor_text(api: Api) -> None:
    """Expects a record of it all the same."""
    with mock.patch.object(trials.logger, "info") as info:
        send(api, phone_number="+447700900001")
    (record,) = [call for call in info.call_args_list if call.args == ("test message",)]
    assert record.kwargs["extra"]["reason"] == "http"
    everything = str(info.call_args_list)
    assert "447700" not in everything
    assert "Is this on?" not in everything


def test_it_is_sent_even_if_sending_is_paused(api: Api, sent: list[Outgoing]) -> None:
    """Expects the answer to say so: it is for finding out whether the gateway works again."""
    api.post("/api/gateway/hold/", {})
    assert send(api).json["circuit"] == "held"
    assert len(sent) == 1
    assert api.get("/api/gateway/").json["circuit"] == "held"


def test_a_broken_gateway_does_not_change_the_circuit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects the error as for any attempt."""

    def broken(message: Outgoing) -> Answer:
        raise RuntimeError(message.text)

    monkeypatch.setattr(api.services.gateway, "send", broken)
    told = send(api).json
    assert (told["outcome"], told["reason_code"], told["reason_detail"]) == (
        "unknown",
        "adapter_failed",
        "RuntimeError",
    )
    assert api.get("/api/gateway/").json["circuit"] == "closed"


def test_the_number_per_minute_is_limited(api: Api, sent: list[Outgoing]) -> None:
    """Expects 429 with the seconds to wait, and the next minute to have its own limit."""
    assert [send(api).status for _ in range(MOST_A_MINUTE + 1)] == [200] * MOST_A_MINUTE + [429]
    refused = send(api)
    assert refused.headers["retry-after"] == "60"
    api.pass_time(seconds=60)
    assert send(api).status == 200
    assert len(sent) == MOST_A_MINUTE + 1


def test_a_repeated_request_sends_nothing(api: Api, sent: list[Outgoing]) -> None:
    """Expects the same answer for a day, and another message with the same key to be refused."""
    first, second = send(api, "a"), send(api, "a")
    assert first.text == second.text
    assert len(sent) == 1
    assert send(api, "a", text="Another").errors.keys() == {"Idempotency-Key"}
    assert send(api, "b").status == 200
    api.pass_time(hours=25)
    assert send(api, "a").status == 200
    assert len(sent) == 3


def test_a_request_whose_end_is_unknown_sends_no_second_message(api: Api, sent: list[Outgoing]) -> None:
    """It may have been sent, so a person decides."""
    with mock.patch.object(TrialRepository, "end", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        send(api, "a")
    assert send(api, "a").status == 409
    assert len(sent) == 1


@pytest.mark.parametrize("wrong", [{"phone_number": "12"}, {"text": ""}, {"more": "x"}])
def test_a_wrong_field_is_named(api: Api, wrong: dict[str, str]) -> None:
    """Expects nothing to be counted or sent."""
    api.aws.calls.clear()
    assert list(send(api, **wrong).errors) == list(wrong)
    assert "dynamodb.UpdateItem" not in api.aws.calls


# -- on AWS the sender's function sends it


class Functions:
    """Lambda, as far as the tester calls it: it runs the sender's handler."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.before: Callable[[], None] = lambda: None
        self.failed = False

    def invoke(self, **call: Any) -> dict[str, Any]:
        assert call["FunctionName"] == "message-service-local-sender"
        self.before()
        if self.failed:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorMessage": "timed out"}')}
        context = LambdaContext("sender", "r", 30, self.api.clock, "us-east-1")
        with mock.patch.object(workers, "get_services", return_value=self.api.services):
            answer = sender(json.loads(call["Payload"]), context)
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


@pytest.fixture
def functions(api: Api) -> Iterator[Functions]:
    """The API's function, which calls the sender's function."""
    made = Functions(api)
    tester = LambdaTester("message-service-local-sender", lambda: made)
    with mock.patch.object(api.services.trials(), "_tester", tester):
        yield made


def test_the_senders_function_sends_for_the_api(api: Api, functions: Functions, sent: list[Outgoing]) -> None:
    """Expects the very answer that the gateway gave there."""
    del functions
    told = send(api).json
    assert (told["outcome"], told["reference"], told["id"]) == ("accepted", "m-1", sent[0].message_id)


@pytest.mark.parametrize("failure", ["function", ReadTimeoutError(endpoint_url="x")])
def test_a_function_without_an_answer_may_have_sent_it(
    api: Api, functions: Functions, failure: str | Exception
) -> None:
    """Expects `unknown`, and never a second try."""
    functions.failed = failure == "function"
    if isinstance(failure, Exception):
        functions.before = mock.Mock(side_effect=failure)
    told = send(api, "a").json
    assert (told["outcome"], told["reason_code"]) == ("unknown", str(Reason.SENDER_STOPPED))
    assert send(api, "a").json == told


@pytest.mark.parametrize(
    "failure",
    [
        EndpointConnectionError(endpoint_url="x"),
        ClientError({"Error": {"Code": "TooManyRequestsException", "Message": ""}}, "Invoke"),
    ],
)
def test_a_function_that_could_not_be_called_has_sent_nothing(
    api: Api, functions: Functions, sent: list[Outgoing], failure: Exception
) -> None:
    """Expects 503, and the key to work for another try."""
    functions.before = mock.Mock(side_effect=failure)
    assert send(api, "a").status == 503
    functions.before = lambda: None
    assert send(api, "a").status == 200
    assert len(sent) == 1


def test_all_fields_pass_through_lambda() -> None:
    """Expects them unchanged."""
    trial = trials.Trial("t", "POST", Outcome.REFUSED, 5, Cause.http(400), 400, "no", "r", "1.0", 2)
    assert trials.Trial.of(json.loads(json.dumps(trial.stored()))) == trial
