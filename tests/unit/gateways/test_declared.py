"""Gateways that are described by a declaration: what they are sent, what their answers mean, what is refused."""

from __future__ import annotations

import json
import re
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.config import Settings
from chalicelib.domain.errors import Invalid
from chalicelib.domain.faults import Fault
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways import create_gateway
from chalicelib.gateways.base import Answer, Outgoing
from chalicelib.gateways.declaration import MAX_DECLARATION, OUTCOMES, Declaration, Example, LookUpExample
from chalicelib.gateways.declared import DeclaredGateway, read_declaration, ready_made
from chalicelib.gateways.short_ids import short_id_of
from chalicelib.gateways.transport import Reply, Request
from tests.unit.gateways.raw_server import RawServer

TOKEN = "the-token-that-nobody-may-see"
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
MESSAGE_ID = "01KHPKQZ4W3M8V0B5N7C2D9E6F-h6jkepfvoqeacstj"
EXAMPLES = [(name, one) for name in ready_made() for one in read_declaration(name).examples]

SMALLEST: dict[str, Any] = {
    "name": "smallest",
    "url": "https://gateway.example",
    "request": {"path": "/send", "json": {"to": "{phone}", "text": "{text}"}},
    "answer": {"code": "code", "rules": [{"status": [200], "code": ["ok"], "outcome": "accepted"}]},
    "examples": [{"status": 200, "body": {"code": "ok"}, "outcome": "accepted"}],
}


def changed(**parts: Any) -> dict[str, Any]:
    """The smallest declaration with other values; a dot in a name leads deeper, and None leaves it out."""
    declaration = deepcopy(SMALLEST)
    for name, value in parts.items():
        *ways, last = name.split("__")
        place = declaration
        for way in ways:
            place = place[way]
        place[last] = value
    return declaration


def gateway(told: str | dict[str, Any], **settings: Any) -> DeclaredGateway:
    named = {"gateway_account": "AC-1", "gateway_sender": "Shop", "gateway_token": TOKEN, **settings}
    text = told if isinstance(told, str) else json.dumps(told)
    return DeclaredGateway(Settings(gateway="declared", gateway_declaration=text, **named), now=lambda: NOW)


def message(text: str = "Hello", **fields: Any) -> Outgoing:
    given = {
        "gateway_id": 2**53 + 1,
        "phone_number": "+79161234567",
        "valid_until": NOW + timedelta(minutes=90),
        **fields,
    }
    return Outgoing(MESSAGE_ID, text=text, **given)


def asked(name: str, text: str = "Hello", **fields: Any) -> Request:
    return gateway(name, gateway_url="https://gateway.example").request(message(text, **fields), TOKEN)


def form(request: Request) -> Mapping[str, str]:
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    return dict(parse_qsl(request.body.decode(), strict_parsing=True))


def reply(status: int, body: Any) -> Reply:
    return Reply(status, {}, body.encode() if isinstance(body, str) else json.dumps(body).encode())


# -- the declarations that come with the service


def test_the_gateways_of_the_documentation_are_there() -> None:
    """Expects the names that docs/gateways.md tells."""
    assert ready_made() == ["exolve", "infobip", "jasmin", "sinch", "smsc", "twilio", "vonage"]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_each_answer_of_its_documentation_means_what_it_should(name: str, example: Example) -> None:
    """Expects the outcome; what is accepted has no cause, and what is not has one."""
    answer = gateway(name, gateway_url="https://gateway.example").read(reply(example.status, example.body))
    assert answer.outcome is OUTCOMES[example.outcome]
    assert (answer.cause is None) == (example.outcome == "accepted")
    assert (answer.cause == Cause(Reason.OPTED_OUT_AT_GATEWAY)) == (example.outcome == "opted_out")


NONSENSE = {
    "nothing": "",
    "null": "null",
    "true": "true",
    "list": "[]",
    "object": "{}",
    "page": "<html>OK</html>",
    "no messages": '{"messages": []}',
    "code": '{"code": {}}',
    "words": "OK",
    "zero": "0",
    "text": '"0"',
    "deep": "[" * 9999,
}


@pytest.mark.parametrize("name", ready_made())
@pytest.mark.parametrize("answered", NONSENSE.values(), ids=NONSENSE)
def test_an_answer_that_nobody_knows_is_never_taken_for_success(name: str, answered: str) -> None:
    """Expects unknown: the message may have been taken, and may not."""
    asked = gateway(name, gateway_url="https://gateway.example")
    for status in (200, 201, 202, 204, 301, 500, 502, 503, 504):
        answer = asked.read(reply(status, answered))
        assert answer.outcome is Outcome.UNKNOWN
        assert answer.cause == Cause(Reason.ANSWER_NOT_DECLARED, str(status))


@pytest.mark.parametrize("name", ready_made())
def test_an_answer_that_is_too_long_is_unknown(name: str) -> None:
    """Nothing of it was kept, so not even its status says that the message was taken."""
    for status in (200, 201):
        answer = gateway(name, gateway_url="https://gateway.example").read(Reply(status, {}, None))
        assert answer.outcome is Outcome.UNKNOWN


def test_twilio_is_asked_with_a_form_and_the_account_in_the_path() -> None:
    """https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource"""
    request = asked("twilio", "Привет & 100 %")
    assert (request.method, request.path) == ("POST", "/2010-04-01/Accounts/AC-1/Messages.json")
    assert request.headers["Authorization"] == f"Basic {b64encode(f'AC-1:{TOKEN}'.encode()).decode()}"
    assert form(request) == {"To": "+79161234567", "From": "Shop", "Body": "Привет & 100 %", "ValidityPeriod": "5400"}


@pytest.mark.parametrize(("text", "kind"), [("Hello", "text"), ("Hello €", "text"), ("Привет", "unicode")])
def test_vonage_is_told_which_letters_a_text_has(text: str, kind: str) -> None:
    """https://developer.vonage.com/en/api/sms: without `unicode` foreign letters arrive as question marks."""
    request = asked("vonage", text)
    assert request.path == "/sms/json"
    assert form(request) == {
        "api_key": "AC-1",
        "api_secret": TOKEN,
        "from": "Shop",
        "to": "79161234567",
        "text": text,
        "type": kind,
        "ttl": "5400000",
        "client-ref": MESSAGE_ID,
    }


def test_infobip_gets_our_id_and_numbers_as_numbers() -> None:
    """https://www.infobip.com/docs/api/channels/sms/outbound-sms/send-sms-messages"""
    request = asked("infobip")
    assert request.headers["Authorization"] == f"App {TOKEN}"
    [sent] = json.loads(request.body)["messages"]
    assert sent == {
        "sender": "Shop",
        "destinations": [{"to": "79161234567", "messageId": MESSAGE_ID}],
        "content": {"text": "Hello"},
        "options": {"validityPeriod": {"amount": 90, "timeUnit": "MINUTES"}},
    }


def test_sinch_is_told_until_when() -> None:
    """https://developers.sinch.com/docs/sms/api-reference/sms/batches"""
    request = asked("sinch")
    assert request.path == "/xms/v1/AC-1/batches"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert json.loads(request.body) == {
        "from": "Shop",
        "to": ["79161234567"],
        "body": "Hello",
        "client_reference": MESSAGE_ID,
        "expire_at": "2026-03-02T11:30:00Z",
    }


def test_smsc_is_told_hours_and_minutes() -> None:
    """https://smsc.ru/api/http/send/sms/"""
    sent = form(asked("smsc", "Привет"))
    assert (sent["login"], sent["psw"], sent["phones"], sent["mes"]) == ("AC-1", TOKEN, "+79161234567", "Привет")
    assert (sent["valid"], sent["id"], sent["fmt"]) == ("01:30", short_id_of(MESSAGE_ID), "3")
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,40}", sent["id"])  # what SMSC takes as an id


def test_exolve_gets_a_number_without_plus() -> None:
    """https://docs.exolve.ru/docs/ru/api-reference/sms-api/sending-sms"""
    request = asked("exolve")
    assert json.loads(request.body) == {"number": "Shop", "destination": "79161234567", "text": "Hello"}


def test_jasmin_gets_foreign_letters_as_utf_16() -> None:
    """https://docs.jasminsms.com/en/latest/apis/http/"""
    latin, foreign = form(asked("jasmin")), form(asked("jasmin", "Ж"))
    assert (latin["coding"], latin["content"], "hex-content" in latin) == ("0", "Hello", False)
    assert (foreign["coding"], foreign["hex-content"], "content" in foreign) == ("8", "0416", False)
    assert latin["validity-period"] == "90"


@pytest.mark.parametrize(
    ("left", "told"),
    [(timedelta(seconds=-5), 60), (timedelta(seconds=59), 60), (timedelta(hours=2), 7200), (timedelta(days=9), 36000)],
)
def test_the_validity_keeps_to_what_a_gateway_takes(left: timedelta, told: int) -> None:
    """Twilio refuses more than ten hours."""
    assert form(asked("twilio", valid_until=NOW + left))["ValidityPeriod"] == str(told)
    assert form(asked("twilio", valid_until=None))["ValidityPeriod"] == "36000"


# -- what is put in


@given(st.text(min_size=1, max_size=50), st.text(min_size=1, max_size=20))
def test_a_value_is_never_interpreted(text: str, sender: str) -> None:
    """Whatever a text or a name holds arrives as it is, in a form, in JSON, in a path and in a query."""
    text = text.encode("utf-8", "ignore").decode() + "{token}&to={phone}"
    sender = sender.encode("utf-8", "ignore").decode() + "/../{token}?"
    both = changed(
        request={"path": "/{sender}/send", "query": {"a": "{text}"}, "json": {"{text}": ["{phone}", "{text}!"]}}
    )
    request = gateway(both, gateway_sender=sender).request(message(text), TOKEN)
    assert json.loads(request.body) == {"{text}": ["+79161234567", f"{text}!"]}
    parts = urlsplit(request.path)
    assert parts.path.count("/") == 2
    assert dict(parse_qsl(parts.query, keep_blank_values=True)) == {"a": text}
    assert TOKEN not in request.path + request.body.decode()


def test_the_shown_request_has_neither_token_nor_number() -> None:
    """Whatever way a gateway signs in."""
    for name in ready_made():
        shown = gateway(name, gateway_url="https://gateway.example").shown_request(message())
        assert TOKEN not in shown
        assert b64encode(f"AC-1:{TOKEN}".encode()).decode() not in shown
        assert "9161234567" not in shown
        assert "Hello" in shown
    for auth in ({"kind": "query", "name": "key"}, {"kind": "header", "name": "X-Key", "value": "k {token}"}):
        assert TOKEN not in gateway(changed(auth=auth)).shown_request(message())


# -- what is heard


def heard(server: RawServer, told: str, status: str, body: str, headers: str = "") -> Answer:
    server.answer = [f"HTTP/1.1 {status}\r\nContent-Length: {len(body.encode())}\r\n{headers}\r\n{body}".encode()]
    return gateway(told, gateway_url=server.url).send(message())


@pytest.mark.enable_socket
def test_it_speaks_http_as_declared(raw: RawServer) -> None:
    """From the request to what the gateway calls the message, what it costs and how many parts it made of it."""
    body = {"messages": [{"status": "0", "message-id": "0C0", "message-price": "0.0333"}], "message-count": "2"}
    answer = heard(raw, "vonage", "200 OK", json.dumps(body))
    assert answer == Answer(Outcome.ACCEPTED, None, 200, reference="0C0", price="0.0333", parts=2)
    assert raw.requests[0].startswith(b"POST /sms/json HTTP/1.1\r\n")


@pytest.mark.enable_socket
def test_the_gateways_own_words_are_told_about_the_account_only(raw: RawServer) -> None:
    """Without what may be a number or a key, and without the text of the message."""
    body = {"code": 20003, "message": "Authenticate +7 916 123-45-67 " + "k" * 40}
    answer = heard(raw, "twilio", "401 Unauthorized", json.dumps(body), "Retry-After: 7\r\n")
    assert (answer.outcome, answer.words) == (Outcome.BLOCKED, "Authenticate +… …")
    assert (answer.cause, answer.retry_after) == (Cause(Reason.GATEWAY_ANSWER, "20003"), 7.0)
    assert heard(raw, "twilio", "401 Unauthorized", json.dumps(body | {"message": "about Hello"})).words == ""
    assert heard(raw, "twilio", "400 Bad Request", json.dumps(body | {"code": 21211})).words == ""


@pytest.mark.parametrize(
    ("value", "kept"),
    [("x" * 101, ""), ("a b", ""), ("a\nb", ""), (12345, "12345"), (True, ""), (None, ""), (["a"], "")],
)
def test_only_a_reference_that_can_be_one_is_kept(value: object, kept: str) -> None:
    """A gateway may answer anything."""
    told = changed(
        answer__reference="id",
        examples=[{"status": 200, "body": {"code": "ok", "id": "1"}, "outcome": "accepted"}],
    )
    answer = gateway(told).read(reply(200, {"code": "ok", "id": value}))
    assert (answer.outcome, answer.reference) == (Outcome.ACCEPTED, kept)


# -- what became of a message

QUESTIONS = {name: look_up for name in ready_made() if (look_up := read_declaration(name).look_up)}
LOOK_UPS = [(name, one) for name, look_up in QUESTIONS.items() for one in look_up.examples]
FOUND_200 = b'{"results": [{"messageId": "x"}]}'


def answering(body: bytes, status: bytes = b"200 OK") -> list[bytes]:
    return [b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body)), body]


@pytest.mark.enable_socket
@pytest.mark.parametrize(("name", "example"), LOOK_UPS)
def test_a_gateway_is_asked_as_its_documentation_says(raw: RawServer, name: str, example: LookUpExample) -> None:
    """Only what it says of a message in so many words counts; the rest is unclear."""
    body = example.body.encode() if isinstance(example.body, str) else json.dumps(example.body).encode()
    raw.answer = answering(body, b"%d Something" % example.status)
    answer = gateway(name, gateway_url=raw.url).look_up(message())
    assert str(answer.outcome) == example.outcome
    assert answer.http_status == example.status
    asked = raw.requests[0].decode()
    assert MESSAGE_ID in asked or short_id_of(MESSAGE_ID) in asked
    assert "Hello" not in asked


@pytest.mark.enable_socket
def test_it_is_asked_as_the_account(raw: RawServer) -> None:
    """By GET at Infobip, with the key in a header; by a form at SMSC, so that the password is in no address."""
    raw.answer = answering(FOUND_200)
    gateway("infobip", gateway_url=raw.url).look_up(message())
    gateway("smsc", gateway_url=raw.url).look_up(message())
    first, second = (request.decode() for request in raw.requests)
    assert first.startswith(f"GET /sms/3/logs?messageId={MESSAGE_ID} HTTP/1.1")
    assert f"App {TOKEN}" in first
    assert second.startswith("POST /sys/status.php HTTP/1.1")


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    "answered",
    [
        answering(b"[" * 99_999),
        answering(b'{"results": [' + b" " * 70_000 + b"]}"),
        answering(b'{"results": null}'),
        answering(b'{"results": {}}'),
        answering(b"", b"302 Found"),
        [b"nonsense\r\n\r\n"],
        [],
    ],
)
def test_an_answer_to_a_question_that_nobody_knows_is_unclear(raw: RawServer, answered: list[bytes]) -> None:
    """Neither found, nor missing, which would send the message again."""
    raw.answer = answered
    answer = gateway("infobip", gateway_url=raw.url).look_up(message())
    assert answer.outcome is Outcome.UNCLEAR
    assert answer.cause is not None


@pytest.mark.enable_socket
def test_an_answer_to_a_question_must_end_in_time(raw: RawServer) -> None:
    """However slowly its bytes come: the sender's thread is needed for others."""

    def drip() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"
        while not over.wait(0.05):
            yield b" "

    over = threading.Event()
    raw.answer = drip()
    began = time.monotonic()
    answer = gateway("infobip", gateway_url=raw.url, gateway_read_timeout=0.4).look_up(message())
    took = time.monotonic() - began
    over.set()
    assert answer.outcome is Outcome.UNCLEAR
    assert took < 5  # of the 500 s that the whole answer would take


@pytest.mark.enable_socket
def test_a_question_reaches_public_addresses_only(raw: RawServer) -> None:
    """On AWS, also if the name is on the list; and a proxy of the environment is not asked."""
    on_aws = {"function_name": "message-service-dev-sender", "gateway_hosts": "localhost"}
    asked = gateway("infobip", gateway_url=raw.url.replace("http://127.0.0.1", "https://localhost"), **on_aws)
    assert asked.look_up(message()).cause == Cause(Reason.GATEWAY_ADDRESS_PRIVATE)
    assert raw.requests == []


def test_a_gateway_that_cannot_be_asked_says_nothing() -> None:
    """Twilio cannot be asked by our id."""
    assert gateway("twilio").look_up(message()).outcome is Outcome.UNCLEAR
    can = {name: gateway(name, gateway_url="https://a.example").capabilities.can_be_asked for name in ready_made()}
    assert [name for name, it_can in can.items() if it_can] == ["infobip", "sinch", "smsc"]


def test_a_gateway_counts_what_its_declaration_says() -> None:
    """Messages or the parts of texts; by that its rate is kept."""
    counts = {name: gateway(name, gateway_url="https://a.example").capabilities.counts_parts for name in ready_made()}
    assert [name for name, parts in counts.items() if parts] == ["twilio"]


# -- what is refused

NO_EXAMPLE = {"examples": [{"status": 400, "body": {"code": "ok"}, "outcome": "unknown"}]}
UNLIKE = {"status": 200, "body": {"code": "no"}, "outcome": "accepted"}
RULE = {"status": [200], "outcome": "accepted"}


def asking(*given: dict[str, Any], path: str = "/messages/{message_id}") -> dict[str, Any]:
    found: dict[str, Any] = {"has": "id", "outcome": "found"}
    examples = [
        {"status": 200, "body": {"id": "1"}, "outcome": "found"},
        {"status": 500, "body": "", "outcome": "unclear"},
    ]
    answer = {"rules": [found, *(given or [{"status": [404], "outcome": "missing"}])]}
    return changed(look_up={"request": {"method": "GET", "path": path}, "answer": answer, "examples": examples})


def rules(*given: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return changed(answer__rules=list(given), **parts)


@pytest.mark.parametrize(
    ("told", "field", "fault"),
    [
        (rules({"code": ["no"], "outcome": "refused"}, **NO_EXAMPLE), "answer.rules", Fault.DECLARATION_NO_SUCCESS),
        (rules({"outcome": "accepted"}), "answer.rules.0", Fault.DECLARATION_ANY_SUCCESS),
        (rules(RULE | {"status": [200, 302]}), "answer.rules.0.status", Fault.DECLARATION_NOT_SUCCESS),
        (rules({"code": ["o*"], "outcome": "accepted"}), "answer.rules.0.code", Fault.DECLARATION_ANY_SUCCESS),
        (changed(answer={"rules": [RULE | {"code": ["ok"]}]}), "answer.rules.0.code", Fault.DECLARATION_NO_CODE),
        (changed(answer__reference="result.id"), "answer.reference", Fault.DECLARATION_POINTS_NOWHERE),
        (rules(RULE, {"has": "x.y", "outcome": "failed"}), "answer.rules.1.has", Fault.DECLARATION_POINTS_NOWHERE),
        (changed(examples=[UNLIKE]), "examples.0", Fault.DECLARATION_EXAMPLE),
        (changed(**NO_EXAMPLE), "examples", Fault.DECLARATION_NO_SUCCESS),
        (changed(request__json={"to": "{phone}{body}"}), "request.json.to", Fault.DECLARATION_PLACEHOLDER),
        (changed(request__headers={"X-Text": "{text}"}), "request.headers.X-Text", Fault.DECLARATION_PLACEHOLDER),
        (changed(request__json={"text": "{text}"}), "request", Fault.DECLARATION_LEAVES_OUT),
        (changed(request__json={"to": "{digits}"}), "request", Fault.DECLARATION_LEAVES_OUT),
        (changed(request__form={"a": "{text}"}), "request.json", Fault.DECLARATION_TWO_BODIES),
        (changed(auth={"kind": "header"}), "auth.name", Fault.REQUIRED),
        (changed(validity={"least": 61, "most": 60}), "validity.least", Fault.MORE_THAN_ALLOWED),
        (asking({"status": [200], "outcome": "missing"}), "look_up.answer.rules.1", Fault.DECLARATION_ANY_MISSING),
        (asking({"status": [404], "outcome": "found"}), "look_up.answer.rules.1", Fault.DECLARATION_ANY_SUCCESS),
        (asking(path="/messages"), "look_up.request", Fault.DECLARATION_LEAVES_OUT),
        (asking(path="/{who}/{message_id}"), "look_up.request.path", Fault.DECLARATION_PLACEHOLDER),
    ],
)
def test_a_declaration_that_cannot_be_right_is_refused(told: dict[str, Any], field: str, fault: Fault) -> None:
    """With the way to the fault in it; nothing is sent by it."""
    with pytest.raises(Invalid) as caught:
        Declaration.model_validate(told)
    assert (field, fault) in [(error.field, error.fault) for error in caught.value.errors]
    with pytest.raises(ValueError, match=r"^GATEWAY_DECLARATION: "):
        create_gateway(Settings(gateway="declared", gateway_declaration=json.dumps(told)))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("", "one of exolve, infobip"),
        ("acme", "one of exolve, infobip"),
        ("../declarations/twilio", "one of"),
        ("{", "line 1"),
        (json.dumps(changed(request__path="send")), "request.path: "),
        (json.dumps(changed(request__path="//{phone} HTTP/1.1\r\n")), "request.path: "),
        (json.dumps(changed(answer__rules=[])), "answer.rules: "),
        (json.dumps(changed(answer__code="code..x")), "answer.code: "),
        (json.dumps(changed(colour="red")), "colour: "),
        (json.dumps(changed(url="gateway.example")), "url: "),
    ],
)
def test_an_invalid_declaration_is_refused_at_the_start(told: str, words: str) -> None:
    """In one line that names the variable, and what is wrong."""
    with pytest.raises(ValueError, match=r"^GATEWAY_DECLARATION: ") as caught:
        create_gateway(Settings(gateway="declared", gateway_declaration=told))
    assert words in str(caught.value)


@pytest.mark.parametrize(("size", "words"), [(MAX_DECLARATION, "at most"), (MAX_DECLARATION - 100, "nested")])
def test_a_declaration_that_is_too_large_or_too_deep_is_refused(size: int, words: str) -> None:
    """Before anything is made of it."""
    with pytest.raises(ValueError, match=rf"^GATEWAY_DECLARATION: .*{words}"):
        create_gateway(Settings(gateway="declared", gateway_declaration='{"a": ' + "[" * size))


def test_a_gateway_without_an_address_needs_one() -> None:
    """Infobip gives each customer an address of their own."""
    with pytest.raises(ValueError, match=r"^GATEWAY_URL: must be set, because infobip"):
        create_gateway(Settings.from_environment({"GATEWAY": "declared", "GATEWAY_DECLARATION": "infobip"}))


def test_on_aws_only_hosts_of_the_list_are_called() -> None:
    """But for those of declarations that come with the service, if nobody has changed them."""
    on_aws = {"function_name": "message-service-dev-sender", "gateway_url": ""}
    own = gateway(SMALLEST, **on_aws)
    assert own.send(message()).cause == Cause(Reason.GATEWAY_HOST_NOT_ALLOWED)
    assert gateway(SMALLEST, **on_aws, gateway_hosts="gateway.example").obstacle is None
    assert gateway("twilio", **on_aws).obstacle is None
    elsewhere = on_aws | {"gateway_url": "https://api.example"}
    assert gateway("twilio", **elsewhere).obstacle is Reason.GATEWAY_HOST_NOT_ALLOWED
    twilio = json.loads((read_declaration("twilio")).model_dump_json(by_alias=True))
    assert gateway(twilio, **on_aws).obstacle is Reason.GATEWAY_HOST_NOT_ALLOWED
