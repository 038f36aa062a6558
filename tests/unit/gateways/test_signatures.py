"""Signatures of callbacks: what the gateway itself made is read, and nothing forged, changed or old."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from chalicelib.config import Settings
from chalicelib.gateways.base import Callback
from chalicelib.gateways.declared import DeclaredGateway, read_declaration
from chalicelib.gateways.short_ids import long_id_of, short_id_of
from chalicelib.gateways.signatures import is_signed
from chalicelib.services.receiving.links import ReceiptLinks
from chalicelib.services.receiving.reader import Reader
from chalicelib.services.receiving.received import ReceiptItem
from tests.support.clocks import FrozenClock

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEY = "a-signature-secret"  # pragma: allowlist secret
MESSAGE_ID = "01J8Z3ABCDEFGHJKMNPQRSTVWX-abcdefghijklmnop"
RECEIPT = {"msisdn": "447700900000", "status": "delivered", "err-code": "0", "message-timestamp": "2026-03-02 09:00:00"}
FORM = "application/x-www-form-urlencoded"


def gateway(name: str, *, signature: str = KEY) -> DeclaredGateway:
    token = json.dumps({"token": "token", "signature": signature}, separators=(",", ":"))
    settings = Settings(gateway="declared", gateway_declaration=name, gateway_token=token, gateway_account="AC1")
    return DeclaredGateway(settings)


def part(content: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def jwt(body: str, *, key: str = KEY, head: Mapping[str, Any] | None = None, **claims: Any) -> str:
    """As Vonage makes one of a webhook."""
    said = {"iat": int(NOW.timestamp()), "jti": "c5ba8f24", "iss": "Vonage", "api_key": "abcd1234"}
    said |= {"payload_hash": hashlib.sha256(body.encode()).hexdigest()} | claims
    signed = f"{part({'alg': 'HS256'} if head is None else head)}.{part(said)}"
    digest = hmac.new(key.encode(), signed.encode(), "sha256").digest()
    return f"Bearer {signed}.{urlsafe_b64encode(digest).decode().rstrip('=')}"


def told(signature: str = "", **more: Any) -> Callback:
    body = json.dumps(RECEIPT | more)
    return Callback(
        "default", f"message_id={MESSAGE_ID}", "application/json", body, "", signature, received_at=NOW.timestamp()
    )


BODY = told().body


def read(callback: Callback, now: datetime = NOW, **options: str) -> list[str]:
    return [one.message_id for one in gateway("vonage", **options).read_receipts(callback, now)]


def test_what_vonage_signed_is_read() -> None:
    assert read(told(jwt(BODY))) == [MESSAGE_ID]
    assert read(told(jwt(BODY, exp=int(NOW.timestamp()) + 60))) == [MESSAGE_ID]


@pytest.mark.parametrize(
    "forged",
    [
        told(),
        told("Bearer"),
        told("Bearer a.b.c"),
        told(jwt(BODY, key="another")),
        told(jwt(BODY), status="failed"),  # another body
        told(jwt(BODY, payload_hash=None)),
        told(jwt(BODY, payload_hash="")),
        told(jwt(BODY, head={"alg": "none"})),
        told(jwt(BODY, head={"alg": "HS512"})),
        told(jwt(BODY, head={"alg": "RS256"})),
        told(jwt(BODY, head={})),
        told(jwt(BODY).rsplit(".", 1)[0] + "."),  # without a signature
        told(jwt(BODY, iat=int(NOW.timestamp()) - 301)),
        told(jwt(BODY, iat=int(NOW.timestamp()) + 301)),
        told(jwt(BODY, iat="now")),
        told(jwt(BODY, iat=None)),
        told(jwt(BODY, exp=int(NOW.timestamp()) - 301)),
        replace(told(jwt(BODY)), received_at=(NOW + timedelta(hours=1)).timestamp()),  # replayed
    ],
)
def test_what_vonage_did_not_sign_is_dropped(forged: Callback) -> None:
    assert read(forged) == []


def test_a_signature_may_be_read_long_after_it_came() -> None:
    assert read(told(jwt(BODY)), NOW + timedelta(days=3)) == [MESSAGE_ID]


def test_without_a_signature_secret_the_secret_in_the_address_counts() -> None:
    assert read(told(), signature="") == [MESSAGE_ID]


def sig(fields: Mapping[str, str], method: str = "sha256", key: str = KEY) -> str:
    """As Vonage's SDKs make the field `sig`."""
    values = {name: value.replace("&", "_").replace("=", "_") for name, value in fields.items()}
    text = "".join(f"&{name}={values[name]}" for name in sorted(values))
    return hmac.new(key.encode(), text.encode(), method).hexdigest().upper()


def by_form(fields: Mapping[str, str]) -> Callback:
    return Callback("default", "", FORM, urlencode(fields), received_at=NOW.timestamp())


def test_vonages_sig_among_the_fields_is_read_too() -> None:
    fields = {"msisdn": "447700900001", "to": "447700900000", "text": "a=b & c", "messageId": "0A1", "nonce": "n"}
    fields["timestamp"] = str(int(NOW.timestamp()))
    for method in ("sha256", "sha512"):
        [reply] = gateway("vonage").read_replies(by_form(fields | {"sig": sig(fields, method)}), NOW)
        assert reply.text == "a=b & c"
    in_address = Callback("default", urlencode(fields | {"sig": sig(fields)}), "", "", received_at=NOW.timestamp())
    assert len(gateway("vonage").read_replies(in_address, NOW)) == 1
    old = fields | {"timestamp": str(int(NOW.timestamp()) - 301)}
    for forged in (
        fields,
        fields | {"sig": ""},
        fields | {"sig": sig(fields, "md5")},
        fields | {"sig": sig(fields, "sha1")},
        fields | {"sig": sig(fields, key="another")},
        fields | {"sig": sig(fields), "text": "STOP"},
        old | {"sig": sig(old)},
    ):
        assert gateway("vonage").read_replies(by_form(forged), NOW) == []


def test_a_receipt_with_a_sig_is_read_whether_or_not_our_own_address_is_signed() -> None:
    fields = {name: str(value) for name, value in RECEIPT.items()} | {"timestamp": str(int(NOW.timestamp()))}
    for signed in (fields, fields | {"message_id": MESSAGE_ID}):
        callback = replace(by_form(fields | {"sig": sig(signed)}), query=f"message_id={MESSAGE_ID}")
        assert read(callback) == [MESSAGE_ID]


def by_smsc(fields: dict[str, str], *names: str, key: str = KEY) -> Callback:
    """As https://smsc.ru/api/http/miscellaneous/callback/ says, and C0deWiser/laravel-smscenter-mailer checks it."""
    text = ":".join([*(fields[name] for name in names), key])
    return by_form(fields | {"md5": hashlib.md5(text.encode()).hexdigest()})  # noqa: S324


STATUS = {"id": short_id_of(MESSAGE_ID), "phone": "79161234567", "status": "1", "time": "02.03.2026 12:00:00"}
SAID = {"phone": "79161234567", "mes": "Стоп", "to": "79160000000", "time": "1772442000"}


@pytest.mark.parametrize("address", ["callback", "reply"])
def test_smsc_tells_receipts_and_replies_at_one_address(address: str) -> None:
    links = ReceiptLinks(Settings(gateway="sandbox", gateway_receipts=True), lambda: b"key")
    reader = Reader({"default": gateway("smsc")}, links, FrozenClock(NOW))

    def item(callback: Callback) -> ReceiptItem:
        fields = {name: getattr(callback, name) for name in Callback.__slots__}
        return ReceiptItem("1", json.dumps({address: fields}))

    status = reader.read(item(by_smsc(STATUS, "id", "phone", "status")))
    [(receipt, _)] = status.receipts
    assert (receipt.message_id, receipt.phone_number, receipt.status) == (MESSAGE_ID, "+79161234567", "delivered")
    assert status.replies == ()
    said = reader.read(item(by_smsc(SAID, "phone", "mes", "to")))
    assert [one.text for one in said.replies] == ["Стоп"]
    assert said.receipts == ()


def test_what_stands_in_smscs_address_is_no_part_of_what_it_signs() -> None:
    """Its letters and its method stand there (https://smsc.ru/api/http/miscellaneous/callback/)."""
    callback = replace(by_smsc(SAID, "phone", "mes", "to"), query="charset=utf-8&md5=1")
    assert [one.text for one in gateway("smsc").read_replies(callback, NOW)] == ["Стоп"]


def test_what_smsc_did_not_sign_is_dropped() -> None:
    for forged in (
        by_form(STATUS),
        by_smsc(STATUS, "id", "phone", "status", key="another"),
        by_form(STATUS | {"md5": "0" * 32}),
        by_smsc(STATUS, "phone", "status"),
    ):
        assert gateway("smsc").read_receipts(forged, NOW) == []
    assert gateway("smsc").read_replies(by_smsc(SAID, "phone", "mes"), NOW) == []
    assert len(gateway("smsc", signature="").read_receipts(by_form(STATUS), NOW)) == 1


def test_a_short_id_leads_back_to_the_message() -> None:
    assert (len(short_id_of(MESSAGE_ID)), long_id_of(short_id_of(MESSAGE_ID))) == (35, MESSAGE_ID)
    for strange in ("m-1", "", "x" * 35 + "!", MESSAGE_ID.lower()):
        assert long_id_of(short_id_of(strange)) == strange


def test_twilios_own_example() -> None:
    """https://www.twilio.com/docs/usage/security: this address and form have this signature."""
    form = {
        "Digits": "1234",
        "To": "+18005551212",
        "From": "+14158675310",
        "Caller": "+14158675310",
        "CallSid": "CA1234567890ABCDE",  # pragma: allowlist secret
    }
    url, signature = "https://example.com/myapp.php?foo=1&bar=2", "L/OH5YylLD5NRKLltdqwSvS0BnU="
    callback = Callback("default", "foo=1&bar=2", "", urlencode(form), url, signature)
    assert is_signed("twilio", callback, "12345", NOW)
    assert not is_signed("twilio", callback, "12346", NOW)


def test_what_twilio_did_not_sign_is_dropped_even_without_a_key() -> None:
    form = {"MessageStatus": "delivered", "To": "+15558675310"}
    url = "https://service.example/gateway/receipts/default/secret?message_id=m-1"
    text = url + "".join(name + form[name] for name in sorted(form))

    def signed(key: str) -> Callback:
        made = b64encode(hmac.new(key.encode(), text.encode(), "sha1").digest()).decode()
        return Callback("default", "message_id=m-1", FORM, urlencode(form), url, made)

    twilio = gateway("twilio")
    assert twilio.read_receipts(replace(signed("token"), signature=""), NOW) == []
    assert twilio.read_receipts(signed("another"), NOW) == []
    assert len(twilio.read_receipts(signed("token"), NOW)) == 1
    nothing = DeclaredGateway(Settings(gateway="declared", gateway_declaration="twilio", gateway_account="AC1"))
    assert nothing.read_receipts(signed(""), NOW) == []


def test_these_sign() -> None:
    kinds = {name: read_declaration(name).receipts for name in ("smsc", "twilio", "vonage")}
    assert {name: one and one.signature for name, one in kinds.items()} == {name: name for name in kinds}
