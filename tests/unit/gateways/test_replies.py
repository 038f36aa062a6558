"""Replies as gateways tell them: the examples of declarations, signatures, and answers that nobody gets as an SMS."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from chalicelib.config import Settings
from chalicelib.domain.errors import Invalid
from chalicelib.domain.replies import Inbound
from chalicelib.gateways.base import Callback
from chalicelib.gateways.declared import DeclaredGateway, read_declaration, ready_made

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
URL = "https://service.example/gateway/replies/default/secret"
WITH_REPLIES = [name for name in ready_made() if read_declaration(name).replies]


def gateway(name: str) -> DeclaredGateway:
    known = {"gateway_url": "https://gateway.example", "gateway_token": "token", "gateway_account": "AC1"}
    return DeclaredGateway(Settings(gateway="declared", gateway_declaration=name, **known))


def signed(callback: Callback, form: dict[str, str]) -> Callback:
    text = URL + "".join(name + form[name] for name in sorted(form))
    return replace(callback, url=URL, signature=b64encode(hmac.new(b"token", text.encode(), "sha1").digest()).decode())


def read(name: str) -> list[Inbound]:
    """All that the examples of a declaration say."""
    replying = read_declaration(name).replies
    assert replying is not None
    found: list[Inbound] = []
    for example in replying.examples:
        body = json.dumps(example.json_body) if example.form is None else urlencode(example.form)
        kind = "application/json" if example.form is None else "application/x-www-form-urlencoded"
        callback = Callback("default", "", kind, body)
        if replying.signature == "twilio":
            assert gateway(name).read_replies(callback, NOW) == []
            callback = signed(callback, example.form or {})
        told = gateway(name).read_replies(callback, NOW)
        assert tuple(one.text for one in told) == example.texts
        found += told
    return found


@pytest.mark.parametrize("name", WITH_REPLIES)
def test_every_example_has_who_wrote_and_to_whom_and_an_id(name: str) -> None:
    found = read(name)
    assert len({one.reply_id for one in found}) == len(found) > 0
    for one in found:
        assert one.phone_number.startswith("+")
        assert one.to
        assert one.reference.startswith("of:" if name == "smsc" else "id:")


def test_these_have_replies() -> None:
    assert WITH_REPLIES == ["infobip", "jasmin", "sinch", "smsc", "twilio", "vonage"]
    assert read("sinch")[0].message_id == "myReference"


def test_twilio_is_answered_with_no_text_that_it_would_send_on() -> None:
    assert gateway("twilio").reply_answer == ("<Response/>", "text/xml")
    assert gateway("jasmin").reply_answer == ("ACK/Jasmin", "text/plain")
    assert gateway("smsc").reply_answer == ("", "text/plain")


def test_the_address_for_smsc_names_the_charset() -> None:
    """Its own default is windows-1251."""
    assert gateway("smsc").capabilities.reply_query == "charset=utf-8"
    assert gateway("twilio").capabilities.reply_query == ""


@pytest.mark.parametrize(
    ("fault", "path"),
    [({"text": "nowhere"}, "replies.examples.0"), ({"to": "nowhere"}, "replies.to"), ({"id": "no.id"}, "replies.id")],
)
def test_a_way_that_leads_nowhere_is_named(fault: dict[str, str], path: str) -> None:
    told = json.loads(read_declaration("sinch").model_dump_json(by_alias=True, exclude_none=True))
    told["replies"] |= fault
    with pytest.raises(Invalid) as caught:
        read_declaration(json.dumps(told))
    assert path in [error.field for error in caught.value.errors]
