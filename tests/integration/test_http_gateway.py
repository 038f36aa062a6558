"""The HTTP gateway with a real server that misbehaves in every possible way."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator

import pytest

from chalicelib.config import Settings
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from chalicelib.gateways.http import HttpGateway
from tests.factories import outgoing
from tests.support.faulty_gateway import FaultyGateway

GATEWAY_ID = 2**63 - 1
PHONE = "+79161234567"
TOKEN = "the-token-that-nobody-may-see"
TIMEOUT = 0.5  # seconds


@pytest.fixture
def server() -> Iterator[FaultyGateway]:
    """The gateway's server."""
    server = FaultyGateway()
    yield server
    server.stop()


@pytest.fixture
def gateway(server: FaultyGateway) -> HttpGateway:
    """The adapter, with short time limits."""
    timeouts = {"gateway_connect_timeout": TIMEOUT, "gateway_read_timeout": TIMEOUT}
    return HttpGateway(Settings(gateway_url=server.url, gateway_token=TOKEN, **timeouts))


def send(gateway: HttpGateway, server: FaultyGateway, what: str) -> Answer:
    server.behave = lambda gateway_id, nth: what
    return gateway.send(outgoing(GATEWAY_ID, PHONE, "Hello, мир"))


def test_the_request_is_what_the_contract_says(gateway: HttpGateway, server: FaultyGateway) -> None:
    """Path, token and body, the phone number as an integer; code 0 is success."""
    assert send(gateway, server, "ok").outcome is Outcome.ACCEPTED
    (heard,) = server.heard
    assert heard.path == f"/v1/send/{GATEWAY_ID}"
    assert heard.authorization == f"Bearer {TOKEN}"
    assert heard.message == {"id": GATEWAY_ID, "phone": 79161234567, "text": "Hello, мир"}


def test_the_request_is_shown_without_token_address_and_number(gateway: HttpGateway, server: FaultyGateway) -> None:
    """Expects the request as HTTP has it, with only as much of the number as is needed to recognise it."""
    shown = gateway.shown_request(outgoing(GATEWAY_ID, PHONE, "Hello, мир"))
    head, _, body = shown.partition("\n\n")
    assert head.splitlines()[0] == f"POST /v1/send/{GATEWAY_ID}"
    assert json.loads(body) == {"id": GATEWAY_ID, "phone": "7********67", "text": "Hello, мир"}
    assert TOKEN not in shown
    assert server.url.partition("//")[2] not in shown


@pytest.mark.parametrize("status", ["408", "425", "500", "502", "503", "599"])
def test_temporary_errors_are_failures(gateway: HttpGateway, server: FaultyGateway, status: str) -> None:
    """The gateway did not accept it, but may the next time."""
    answer = send(gateway, server, status)
    assert (answer.outcome, answer.http_status) == (Outcome.FAILED, int(status))


@pytest.mark.parametrize("status", ["400", "409", "410", "422", "451"])
def test_permanent_errors_are_refusals(gateway: HttpGateway, server: FaultyGateway, status: str) -> None:
    """Another try would have the same result."""
    answer = send(gateway, server, status)
    assert (answer.outcome, answer.cause) == (Outcome.REFUSED, Cause.http(status))


@pytest.mark.parametrize("status", ["401", "402", "403", "404", "405", "407", "421", "511"])
def test_errors_about_the_account_say_nothing_about_the_message(
    gateway: HttpGateway, server: FaultyGateway, status: str
) -> None:
    """Key, money, address: any message would have been answered in this way."""
    answer = send(gateway, server, status)
    assert (answer.outcome, answer.cause) == (Outcome.BLOCKED, Cause.http(status))


def test_the_gateways_own_words_are_kept(gateway: HttpGateway, server: FaultyGateway) -> None:
    """Unless they contain the number, the text, or the key."""
    for said, heard in (
        ("Insufficient balance", "Insufficient balance"),
        ("key " + "x" * 40, "key …"),
        ("not to +79161234567 today", "not to +… today"),
        (f"token {TOKEN} is wrong", ""),
        ("cannot send: Hello, мир", ""),
        ("two\nlines", "two lines"),
        ("y" * 20 + " " + "z z" * 100, ("y" * 20 + " " + "z z" * 100)[:100]),
    ):
        server.said = said
        assert send(gateway, server, "says 402").words == heard


def test_too_many_requests_is_no_failure(gateway: HttpGateway, server: FaultyGateway) -> None:
    """The gateway works, but wants fewer messages a second."""
    server.headers = {"Retry-After": "7"}
    answer = send(gateway, server, "429")
    assert (answer.outcome, answer.retry_after) == (Outcome.THROTTLED, 7)


@pytest.mark.parametrize("what", ["504", "garbage", "reset", "endless"])
def test_an_answer_that_cannot_be_read_is_unknown(gateway: HttpGateway, server: FaultyGateway, what: str) -> None:
    """The message may have been accepted. An endless body is read up to 64 KB."""
    assert send(gateway, server, what).outcome is Outcome.UNKNOWN


def test_another_code_is_a_failure(gateway: HttpGateway, server: FaultyGateway) -> None:
    """The gateway says with HTTP 200 that it did not accept the message."""
    answer = send(gateway, server, "code")
    assert (answer.outcome, answer.cause) == (Outcome.FAILED, Cause(Reason.GATEWAY_CODE, "7"))


@pytest.mark.parametrize(("latency", "outcome"), [(0.5, Outcome.ACCEPTED), (1.7, Outcome.UNKNOWN)])
def test_the_answer_has_a_time_limit_of_its_own(server: FaultyGateway, latency: float, outcome: Outcome) -> None:
    """It may take longer than connecting, but not longer than its own limit."""
    timeouts = {"gateway_connect_timeout": 0.1, "gateway_read_timeout": 1.0}
    server.latency = latency
    answer = HttpGateway(Settings(gateway_url=server.url, **timeouts)).send(outgoing(GATEWAY_ID, PHONE, "Hello"))
    assert (answer.outcome, len(server.heard)) == (outcome, 1)


@pytest.mark.parametrize("what", ["hang", "drip-headers", "drip-body"])
def test_a_call_ends_in_time(gateway: HttpGateway, server: FaultyGateway, what: str) -> None:
    """Even if bytes keep coming: the limit is for the whole answer, and the outcome is unknown."""
    began = time.monotonic()
    assert send(gateway, server, what).outcome is Outcome.UNKNOWN
    assert time.monotonic() - began < 2  # the dripped answers would take ten seconds and three


def test_a_refused_connection_is_a_failure(gateway: HttpGateway, server: FaultyGateway) -> None:
    """Nothing was sent, so nothing can have been accepted."""
    server.stop()
    assert gateway.send(outgoing(GATEWAY_ID, PHONE, "Hello")).outcome is Outcome.FAILED
    server.start()
    assert send(gateway, server, "ok").outcome is Outcome.ACCEPTED


def test_a_redirect_is_not_followed(gateway: HttpGateway, server: FaultyGateway) -> None:
    """Neither message nor token goes anywhere else."""
    assert send(gateway, server, "redirect").outcome is Outcome.BLOCKED
    assert [heard.path for heard in server.heard] == [f"/v1/send/{GATEWAY_ID}"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("9" * 400, 1e9), ("soon", None), ("-5", None)],
)
def test_retry_after_is_read(gateway: HttpGateway, server: FaultyGateway, header: str, seconds: float | None) -> None:
    """Seconds or a date; an absurd value is a large one, and nonsense is ignored."""
    server.headers = {"Retry-After": header}
    assert send(gateway, server, "503").retry_after == seconds


def test_nothing_private_is_logged(
    gateway: HttpGateway, server: FaultyGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither token nor phone number nor text, at any level, in any outcome."""
    caplog.set_level(logging.DEBUG)
    answers = [send(gateway, server, what) for what in ("ok", "500", "reset", "garbage")]
    server.stop()
    answers.append(gateway.send(outgoing(GATEWAY_ID, PHONE, "Hello, мир")))
    server.start()
    said = caplog.text + "".join(str(answer.cause) for answer in answers)
    assert not [secret for secret in (TOKEN, "9161234567", "мир") if secret in said]
