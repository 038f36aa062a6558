"""Receipts as gateways write them: read by the contract, by a declaration, and from events of AWS."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from chalicelib.config import Settings
from chalicelib.domain.deliveries import DeliveryStatus, Receipt
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways import eum_events
from chalicelib.gateways.base import Callback, Outgoing
from chalicelib.gateways.declared import DeclaredGateway, read_declaration, ready_made
from chalicelib.gateways.http import receipts_in
from chalicelib.gateways.receipts import moment_of, number_of, parts_of, price_of

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WITH_RECEIPTS = [name for name in ready_made() if read_declaration(name).receipts]
URL = "https://service.example/gateway/receipts/default/secret?message_id=m-1"


def gateway(name: str, **settings: Any) -> DeclaredGateway:
    known = {"gateway_url": "https://gateway.example", "gateway_token": "token", "gateway_account": "AC1"}
    return DeclaredGateway(Settings(gateway="declared", gateway_declaration=name, **{**known, **settings}))


def told(content: dict[str, Any], *, form: bool = False, query: str = "message_id=m-1", **more: str) -> Callback:
    body = urlencode(content) if form else json.dumps(content)
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    return Callback("default", query, kind, body, **more)


def signed(callback: Callback, token: str = "token") -> Callback:
    """As Twilio signs: its documentation's example is that of `test_twilios_own_example`."""
    pairs = sorted(parse_qsl(callback.body, keep_blank_values=True))
    text = URL + "".join(name + value for name, value in pairs)
    made = b64encode(hmac.new(token.encode(), text.encode(), "sha1").digest()).decode()
    return Callback(callback.gateway, callback.query, callback.media_type, callback.body, URL, made)


@pytest.mark.parametrize("name", WITH_RECEIPTS)
def test_every_example_of_a_declaration_is_read_as_it_says(name: str) -> None:
    receiving = read_declaration(name).receipts
    assert receiving is not None
    for example in receiving.examples:
        content = example.form if example.form is not None else example.json_body
        callback = told(content, form=example.form is not None)
        found = gateway(name).read_receipts(signed(callback) if receiving.signature == "twilio" else callback, NOW)
        plain = [one.status if one.status is not DeliveryStatus.UNDELIVERED else _permanence(one) for one in found]
        assert tuple(map(str, plain)) == example.words
        assert all((one.cause is not None) == (one.status is DeliveryStatus.UNDELIVERED) for one in found)


def _permanence(receipt: Receipt) -> str:
    return "permanent" if receipt.permanent else "temporary"


@pytest.mark.parametrize("name", [name for name in WITH_RECEIPTS if name != "smsc"])  # it has one address
def test_a_gateway_is_told_where_to_only_if_receipts_are_wanted(name: str) -> None:
    with_url = gateway(name).request(Outgoing.of("m-1", "+79161234567", "Hello", receipt_url=URL), "token")
    without = gateway(name).request(Outgoing.of("m-1", "+79161234567", "Hello"), "token")
    shown = with_url.body.decode()
    assert URL in shown or urlencode({"": URL})[1:] in shown
    assert b"receipts" not in without.body
    assert b"dlr" not in without.body
    assert "/secret" not in gateway(name).shown_request(Outgoing.of("m-1", "+79161234567", "Hello", receipt_url=URL))


def test_the_message_is_found_by_the_address_or_by_the_gateways_own_field() -> None:
    [sinch] = gateway("sinch").read_receipts(told({"status": "Delivered", "code": 0}, query="message_id=m-7"), NOW)
    result = {"messageId": "m-8", "status": {"groupId": 3}, "error": {"name": "NO_ERROR"}}
    [infobip] = gateway("infobip").read_receipts(told({"results": [result]}), NOW)
    assert (sinch.message_id, infobip.message_id) == ("m-7", "m-8")


def test_an_unknown_code_is_no_delivery() -> None:
    [receipt] = gateway("sinch").read_receipts(told({"status": "Teleported", "code": 0}), NOW)
    assert (receipt.status, receipt.delivery) == (DeliveryStatus.PENDING, None)


def event(kind: str, *, final: bool = True, **more: Any) -> dict[str, Any]:
    """As AWS shows one in "Example event data for SMS, MMS, and voice"."""
    return {
        "eventType": kind,
        "eventVersion": "1.0",
        "eventTimestamp": 1772442000000 - 60_000,
        "isFinal": final,
        "originationPhoneNumber": "+12065550152",
        "destinationPhoneNumber": "+14255550156",
        "isoCountryCode": "US",
        "messageId": "862a8790-60c0-4430-9b2b-658bdexample",
        "messageRequestTimestamp": 1686975103470,
        "messageEncoding": "GSM",
        "messageType": "TRANSACTIONAL",
        "messageStatus": kind.removeprefix("TEXT_"),
        "messageStatusDescription": "…",
        "context": {"message_id": "m-1"},
        "totalMessageParts": 2,
        "totalMessagePrice": 0.01292,
        "totalCarrierFee": 0.006,
        **more,
    }


@pytest.mark.parametrize(
    ("kind", "final", "status", "reason", "permanent"),
    [
        ("TEXT_DELIVERED", True, DeliveryStatus.DELIVERED, None, False),
        ("TEXT_SUCCESSFUL", True, DeliveryStatus.DELIVERED, None, False),
        ("TEXT_SUCCESSFUL", False, DeliveryStatus.PENDING, None, False),
        ("TEXT_QUEUED", False, DeliveryStatus.PENDING, None, False),
        ("TEXT_PENDING", False, DeliveryStatus.PENDING, None, False),
        ("TEXT_INVALID", True, DeliveryStatus.UNDELIVERED, Reason.NUMBER_INVALID, True),
        ("TEXT_INVALID_MESSAGE", True, DeliveryStatus.UNDELIVERED, Reason.NOT_DELIVERED, False),
        ("TEXT_UNREACHABLE", True, DeliveryStatus.UNDELIVERED, Reason.PHONE_UNREACHABLE, False),
        ("TEXT_CARRIER_UNREACHABLE", True, DeliveryStatus.UNDELIVERED, Reason.PHONE_UNREACHABLE, False),
        ("TEXT_BLOCKED", True, DeliveryStatus.UNDELIVERED, Reason.BLOCKED_BY_CARRIER, False),
        ("TEXT_CARRIER_BLOCKED", True, DeliveryStatus.UNDELIVERED, Reason.BLOCKED_BY_CARRIER, False),
        ("TEXT_PROTECT_BLOCKED", True, DeliveryStatus.UNDELIVERED, Reason.BLOCKED_BY_CARRIER, False),
        ("TEXT_SPAM", True, DeliveryStatus.UNDELIVERED, Reason.TAKEN_FOR_SPAM, False),
        ("TEXT_TTL_EXPIRED", True, DeliveryStatus.UNDELIVERED, Reason.VALIDITY_ENDED, False),
        ("TEXT_UNKNOWN", True, DeliveryStatus.UNDELIVERED, Reason.NOT_DELIVERED, False),
        ("TEXT_UNKNOWN", False, DeliveryStatus.PENDING, None, False),
        ("TEXT_SOMETHING_NEW", True, DeliveryStatus.PENDING, None, False),
    ],
)
def test_events_of_aws(kind: str, final: bool, status: DeliveryStatus, reason: Reason | None, permanent: bool) -> None:
    [receipt] = eum_events.receipts_of(event(kind, final=final), NOW)
    assert (receipt.status, receipt.cause and receipt.cause.reason, receipt.permanent) == (status, reason, permanent)
    assert (receipt.message_id, receipt.phone_number) == ("m-1", "+14255550156")
    assert (receipt.parts, receipt.price, receipt.at) == (2, "0.01892 USD", NOW - timedelta(minutes=1))


def test_other_events_are_no_receipts_and_strange_ones_are_refused() -> None:
    assert eum_events.receipts_of(event("VOICE_COMPLETED"), NOW) == []
    with pytest.raises(KeyError):
        eum_events.receipts_of({"eventType": "TEXT_DELIVERED"}, NOW)


def test_the_contract_takes_one_or_several() -> None:
    [one] = receipts_in(told({"status": "delivered"}), NOW)
    assert one == Receipt("m-1", DeliveryStatus.DELIVERED, NOW)
    several = [{"message_id": "a", "status": "pending"}, {"message_id": "b", "status": "undelivered", "reason": "x"}]
    first, second = receipts_in(told({"receipts": several}), NOW)
    assert (first.status, second.status, second.cause) == (DeliveryStatus.PENDING, DeliveryStatus.UNDELIVERED, None)
    assert second.delivery is not None
    assert second.delivery.cause == Cause(Reason.NOT_DELIVERED)


@pytest.mark.parametrize("content", [{"status": "no_receipt"}, {"status": "sent"}, {}])
def test_the_contract_refuses_other_words(content: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError)):
        receipts_in(told(content), NOW)


def test_values_that_nobody_can_believe_are_left_out() -> None:
    assert [number_of(one) for one in ("447700900001", "+1 (555) 867-5310", "12", "x", None, 0)] == [
        "+447700900001",
        "+15558675310",
        "",
        "",
        "",
        "",
    ]
    assert [parts_of(one) for one in (1, "12", 0, 100, "x", None, True)] == [1, 12, None, None, None, None, None]
    assert price_of("-0.0100", "EUR") == "0.01 EUR"
    assert price_of(0.00645, "usd") == "0.00645"
    assert price_of("much", "EUR") == ""
    hour = timedelta(hours=1)
    assert moment_of((NOW - hour).timestamp(), NOW) == NOW - hour
    assert moment_of(int((NOW - hour).timestamp() * 1000), NOW) == NOW - hour
    assert moment_of("2026-03-02T11:00:00.000+0300", NOW) == NOW - hour
    for wrong in (NOW + hour, NOW - timedelta(days=8)):
        assert moment_of(wrong.isoformat(), NOW) == NOW
    assert moment_of("2020-01-01 12:00:00", NOW) == moment_of("?", NOW) == moment_of(10**30, NOW) == NOW
