"""The gateway's token out of a secret: read once, kept, and read again where the gateway refuses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.session
import pytest
from aws_lambda_powertools.utilities.parameters.secrets import SecretsProvider
from botocore.stub import Stubber

from chalicelib.config import Settings
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from chalicelib.gateways.http import HttpGateway
from chalicelib.gateways.tokens import REST, GatewayToken, NoToken
from tests.factories import outgoing
from tests.support.faulty_gateway import FaultyGateway

SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:stack/gateway-token-AbCdEf"


class Secrets:
    """Secrets Manager, which answers what a test has given it, once each; `now` is the clock of who reads."""

    def __init__(self) -> None:
        client = botocore.session.get_session().create_client("secretsmanager", region_name="us-east-1")
        self.provider = SecretsProvider(boto3_client=client)
        self.stubber = Stubber(client)
        self.now = 1000.0
        self.opened = 0

    def holds(self, **answer: Any) -> None:
        """The next read finds this, such as SecretString."""
        self.stubber.add_response("get_secret_value", answer, {"SecretId": SECRET})

    def breaks(self, code: str) -> None:
        self.stubber.add_client_error("get_secret_value", code, "no", expected_params={"SecretId": SECRET})

    def open(self) -> SecretsProvider:
        self.opened += 1
        return self.provider

    def token(self, **settings: Any) -> GatewayToken:
        return GatewayToken(Settings(gateway_token_secret=SECRET, **settings), self.open, lambda: self.now)

    def all_read(self) -> bool:
        """Whether every given answer was asked for; more than these is an error by itself."""
        return not self.stubber._queue


@pytest.fixture
def secrets() -> Iterator[Secrets]:
    """With nothing in it."""
    made = Secrets()
    with made.stubber:
        yield made


def test_without_a_secret_the_setting_counts(secrets: Secrets) -> None:
    """And AWS is asked nothing."""
    assert GatewayToken(Settings(gateway_token="set"), secrets.open).get() == "set"
    assert secrets.opened == 0


def test_the_secret_is_read_once_for_all_threads(secrets: Secrets) -> None:
    """Fifty calls begin at the same moment when a sender starts."""
    secrets.holds(SecretString="from-the-secret\n")
    token = secrets.token(gateway_token="set")
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: token.get(), range(50)))
    assert set(found) == {"from-the-secret"}
    assert secrets.all_read()


def test_a_refused_token_is_read_again_once(secrets: Secrets) -> None:
    """The new one is used from then on; refusals of the old one that come late change nothing."""
    for text in ("old", "new"):
        secrets.holds(SecretString=text)
    token = secrets.token()
    assert token.get() == "old"
    token.refuse("old")
    token.refuse("old")
    assert [token.get() for _ in range(5)] == ["new"] * 5
    token.refuse("old")
    assert token.get() == "new"
    assert secrets.all_read()


def test_a_token_that_stays_wrong_is_not_asked_for_at_every_call(secrets: Secrets) -> None:
    """Once for the refusal, and then from time to time."""
    for _ in range(2):
        secrets.holds(SecretString="wrong")
    token = secrets.token()
    for _ in range(20):
        token.refuse(token.get())
    assert secrets.all_read()
    secrets.now += REST
    secrets.holds(SecretString="right")
    assert token.get() == "right"


@pytest.mark.parametrize("content", [{"SecretString": " "}, {"SecretString": "se cret"}, {"SecretBinary": b"x"}])
def test_a_secret_that_is_no_token_is_never_shown(secrets: Secrets, content: dict[str, Any]) -> None:
    """The reason says what is wrong, and nothing of what it holds."""
    secrets.holds(**content)
    with pytest.raises(NoToken) as raised:
        secrets.token().get()
    assert raised.value.cause == Cause(Reason.TOKEN_SECRET_INVALID)


def test_a_secret_that_cannot_be_read_is_tried_again_later(secrets: Secrets) -> None:
    """Not by each of fifty calls: after a while."""
    secrets.breaks("ResourceNotFoundException")
    token = secrets.token()
    for _ in range(5):
        with pytest.raises(NoToken, match="token_secret_unreadable"):
            token.get()
    assert secrets.all_read()
    secrets.now += REST
    secrets.holds(SecretString="there")
    assert token.get() == "there"


@pytest.fixture
def send(secrets: Secrets, server: FaultyGateway) -> Callable[[], Answer]:
    """Sends one message more, to a gateway that takes no other token than that of the second call."""
    server.behave = lambda gateway_id, nth: "401" if nth == 1 else "ok"
    settings = Settings(gateway_url=server.url, gateway_token_secret=SECRET)
    gateway = HttpGateway(settings, secrets.token())
    return lambda: gateway.send(outgoing(7, "+79161234567", "Hello"))


@pytest.mark.enable_socket
def test_the_attempt_after_a_401_goes_out_with_the_new_token(
    secrets: Secrets, server: FaultyGateway, send: Callable[[], Answer]
) -> None:
    """One call for each attempt; the refused one can be tried again."""
    for text in ("old", "new"):
        secrets.holds(SecretString=text)
    assert (send().outcome, send().outcome) == (Outcome.BLOCKED, Outcome.ACCEPTED)
    assert [heard.authorization for heard in server.heard] == ["Bearer old", "Bearer new"]


@pytest.mark.enable_socket
def test_without_a_token_nothing_is_called(secrets: Secrets, server: FaultyGateway, send: Callable[[], Answer]) -> None:
    """The message is tried again, and the reason names the secret's trouble."""
    secrets.breaks("AccessDeniedException")
    answer = send()
    assert (answer.outcome, answer.cause) == (Outcome.BLOCKED, Cause(Reason.TOKEN_SECRET_UNREADABLE))
    assert server.heard == []


def test_a_token_may_have_a_key_of_signatures_beside_it(secrets: Secrets) -> None:
    secrets.holds(SecretString='{"token": "abc", "signature": "key"}')
    token = secrets.token()
    assert (token.get(), token.signature()) == ("abc", "key")
    several = GatewayToken(
        Settings(gateway_token='{"a": {"token": "x", "signature": "y"}, "b": "z"}', gateway_name="a", gateway="sandbox")
    )
    assert (several.get(), several.signature()) == ("x", "y")
    plain = GatewayToken(Settings(gateway_token="abc", gateway="sandbox"))
    assert (plain.get(), plain.signature()) == ("abc", "")


@pytest.mark.parametrize("content", ['{"token": 1, "signature": 2}', "{}", "{", '{"token": null}'])
def test_a_token_that_is_no_text_is_none(content: str) -> None:
    token = GatewayToken(Settings(gateway_token=content, gateway="sandbox"))
    assert (token.get(), token.signature()) == ("", "")


def test_a_key_of_signatures_that_cannot_be_read_is_told(secrets: Secrets) -> None:
    secrets.breaks("AccessDeniedException")
    with pytest.raises(NoToken):
        secrets.token().signature()
