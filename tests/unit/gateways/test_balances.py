"""What is left of the money: asked as the documentation of gateways says, and not known if they say anything else."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from chalicelib.config import Settings
from chalicelib.domain.balances import Balance, amount_of, currency_of
from chalicelib.domain.errors import Invalid
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways import declared, session
from chalicelib.gateways.declaration import Declaration
from chalicelib.gateways.declared import DeclaredGateway, read_declaration, ready_made
from chalicelib.gateways.transport import Limits
from tests.unit.gateways.raw_server import RawServer

TOLD = {name: balance for name in ready_made() if (balance := read_declaration(name).balance)}
EXAMPLES = [(name, one) for name, balance in TOLD.items() for one in balance.examples]


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's server may take its time."""
    monkeypatch.setattr(declared, "_BALANCE_WITHIN", math.inf)


def gateway(name: str, url: str) -> DeclaredGateway:
    known = {"gateway_url": url, "gateway_token": "the-token", "gateway_account": "AC1"}
    return DeclaredGateway(Settings(gateway="declared", gateway_declaration=name, **known))


def answering(body: Any, status: str = "200 OK") -> list[bytes]:
    content = json.dumps(body).encode()
    return [f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode(), content]


@pytest.mark.enable_socket
@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_each_says_what_its_documentation_shows(raw: RawServer, name: str, example: Any) -> None:
    raw.answer = answering(example.body)
    told = gateway(name, raw.url).balance()
    if example.amount:
        assert told == Balance(example.amount, example.currency)
    else:
        assert told == Cause(Reason.ANSWER_NOT_DECLARED, "200")


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("infobip", "GET /account/1/balance HTTP/1.1"),
        ("smsc", "POST /sys/balance.php HTTP/1.1"),
        ("twilio", "GET /2010-04-01/Accounts/AC1/Balance.json HTTP/1.1"),
        ("vonage", "GET /account/get-balance?api_key=AC1&api_secret=the-token HTTP/1.1"),
    ],
)
def test_each_is_asked_at_its_address_with_the_account(raw: RawServer, name: str, line: str) -> None:
    raw.answer = answering({})
    gateway(name, raw.url).balance()
    assert raw.requests[0].decode().splitlines()[0] == line


@pytest.mark.enable_socket
@pytest.mark.parametrize("status", ["401 Unauthorized", "500 Oops", "302 Found"])
def test_another_status_is_no_answer(raw: RawServer, status: str) -> None:
    raw.answer = answering({"balance": "5", "currency": "USD"}, status)
    assert isinstance(gateway("twilio", raw.url).balance(), Cause)


def test_a_provider_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects three seconds at most, since a page waits, and no more than the gateway's own limits."""
    asked: list[tuple[float, float]] = []

    def exchange(address: Any, request: Any, limits: Limits) -> Cause:
        asked.append((limits.connect_timeout, limits.read_timeout))
        return Cause(Reason.NO_ANSWER)

    monkeypatch.setattr(session, "exchange", exchange)
    monkeypatch.setattr(declared, "_BALANCE_WITHIN", 1.5)
    assert gateway("twilio", "https://gateway.example").balance() == Cause(Reason.NO_ANSWER)
    known = {"gateway_url": "https://gateway.example", "gateway_token": "the-token", "gateway_account": "AC1"}
    quick = Settings(gateway="declared", gateway_declaration="twilio", gateway_read_timeout=1, **known)
    DeclaredGateway(quick).balance()
    assert asked == [(1.5, 1.5), (1.5, 1)]


def test_gateways_without_a_balance_are_not_asked() -> None:
    assert sorted(TOLD) == ["infobip", "smsc", "twilio", "vonage"]
    assert not gateway("sinch", "https://gateway.example").capabilities.tells_balance
    assert isinstance(gateway("sinch", "https://gateway.example").balance(), Cause)
    assert gateway("twilio", "https://gateway.example").capabilities.tells_balance


def test_strange_amounts_and_currencies_are_none() -> None:
    amounts = [amount_of(one) for one in ("9.9", 47.79134, 10, "-0.5", "1e9", "", None, True, "9" * 13, ["1"])]
    assert amounts == ["9.90", "47.79134", "10.00", "-0.50", "", "", "", "", "", ""]
    assert [currency_of(one) for one in ("EUR", "eur", "<b>", None, 5)] == ["EUR", "", "", "", ""]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"amount": "nowhere"}, "balance.examples.0"),
        ({"request": {"path": "/{phone}"}}, "balance.request.path"),
    ],
)
def test_wrong_settings_are_named(change: dict[str, Any], path: str) -> None:
    told = json.loads(read_declaration("twilio").model_dump_json(by_alias=True, exclude_none=True))
    told["balance"] |= change
    with pytest.raises(Invalid) as raised:
        Declaration.parse(json.dumps(told))
    assert path in [one.field for one in raised.value.errors]
