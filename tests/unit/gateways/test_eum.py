"""AWS End User Messaging SMS, held against botocore's own model of it: requests, signatures, and every error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from chalicelib import aws_calls
from chalicelib.config import Settings
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways import create_gateway
from chalicelib.gateways.base import Capabilities, Outgoing
from chalicelib.gateways.eum import EumGateway
from chalicelib.gateways.transport import Reply, Request
from tests.unit.gateways.raw_server import RawServer

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
MESSAGE_ID = "01KHPKQZ4W3M8V0B5N7C2D9E6F-h6jkepfvoqeacstj"
MODEL = botocore.session.get_session().get_service_model("pinpoint-sms-voice-v2")
OPERATION = MODEL.operation_model("SendTextMessage")
WHO = Credentials("AKIDEXAMPLE", "the-secret-that-nobody-may-see", "the-session")

# What is done about each reason that SendTextMessage can give; all others are about the account.
REFUSED = {
    "ConflictException": {
        "DESTINATION_PHONE_NUMBER_NOT_VERIFIED",
        "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION",
        "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE",
    },
    "ValidationException": {
        "PRICE_OVER_THRESHOLD",
        "DESTINATION_COUNTRY_BLOCKED",
        "COUNTRY_NOT_ENABLED",
        "COUNTRY_CODE_MISMATCH",
        "INTERNATIONAL_SENDING_NOT_SUPPORTED",
        "INVALID_IDENTITY_FOR_DESTINATION_COUNTRY",
        "FIELD_VALIDATION_FAILED",
        "INVALID_PARAMETER",
    },
}
BY_NAME = {"ThrottlingException": Outcome.THROTTLED, "InternalServerException": Outcome.UNKNOWN}


class Session:
    """Botocore's session, signed in or not."""

    def __init__(self, credentials: Credentials | None = WHO, region: str | None = "eu-west-1") -> None:
        self._credentials = credentials
        self._region = region

    def get_credentials(self) -> Credentials | None:
        return self._credentials

    def get_config_variable(self, name: str) -> str | None:
        assert name == "region"
        return self._region


def gateway(session: Session | None = None, **settings: Any) -> EumGateway:
    known = {"gateway_sender": "+12065550100", **settings}
    told = Settings(gateway="eum", **({"gateway_url": ""} | known))
    return EumGateway(told, session=session or Session(), now=lambda: NOW)


def message(**fields: Any) -> Outgoing:
    given = {"phone_number": "+79161234567", "text": "Привет", "valid_until": NOW + timedelta(minutes=90)}
    return Outgoing(MESSAGE_ID, 7, **(given | fields))


def reply(status: int, said: object, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, headers or {}, json.dumps(said).encode())


def error(name: str, reason: str = "", status: int = 400) -> Reply:
    said = {"__type": f"com.amazonaws.pinpointsmsvoicev2#{name}", "Message": "in words"}
    return reply(status, said | ({"Reason": reason} if reason else {}))


# -- what AWS is asked


def asked(**settings: Any) -> Request:
    return gateway(**settings).request(message(), "")


def test_the_request_is_what_botocore_would_send() -> None:
    """Expects botocore's serializer, with its checks of every parameter, to make the same call of it."""
    request = asked(gateway_message_type="PROMOTIONAL", gateway_configuration_set="campaigns", gateway_max_price="0.05")
    parameters = json.loads(request.body)
    made = create_serializer("json", include_validation=True).serialize_to_request(parameters, OPERATION)
    assert json.loads(made["body"]) == parameters
    sent = {name: value for name, value in request.headers.items() if name in made["headers"]}
    assert (request.method, request.path, sent) == (made["method"], made["url_path"], made["headers"])
    assert parameters == {
        "DestinationPhoneNumber": "+79161234567",
        "OriginationIdentity": "+12065550100",
        "MessageBody": "Привет",
        "MessageType": "PROMOTIONAL",
        "ConfigurationSetName": "campaigns",
        "MaxPrice": "0.05",
        "TimeToLive": 5400,
        "Context": {"message_id": MESSAGE_ID},
    }


def test_the_call_has_no_token_that_would_let_it_be_repeated() -> None:
    """The day that AWS offers one, this gateway can say that it recognises ids."""
    assert not [name for name in OPERATION.input_shape.members if "token" in name.lower()]
    assert not OPERATION.idempotent_members


def test_aws_counts_parts_and_recognises_nothing() -> None:
    """So the rate is kept in parts, and what may have been taken is not sent again by itself."""
    assert gateway().capabilities == Capabilities(counts_parts=True)


def test_the_request_is_signed_as_botocore_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the session's token, for the service by its signing name."""
    monkeypatch.setattr(aws_calls, "get_current_datetime", lambda: NOW)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: NOW)
    request = asked()
    plain = {name: request.headers[name] for name in ("Content-Type", "X-Amz-Target")}
    theirs = AWSRequest("POST", "https://sms-voice.eu-west-1.amazonaws.com/", plain, request.body)
    SigV4Auth(WHO, MODEL.signing_name, "eu-west-1").add_auth(theirs)
    for name in ("Authorization", "X-Amz-Date", "X-Amz-Security-Token"):
        assert request.headers[name] == theirs.headers[name]


@pytest.mark.parametrize(
    ("left", "told"),
    [(timedelta(seconds=1), 5), (timedelta(seconds=59, milliseconds=900), 59), (timedelta(days=9), 259_200)],
)
def test_the_validity_keeps_to_what_aws_takes(left: timedelta, told: int) -> None:
    """From five seconds to 72 hours, in whole seconds and never longer than the window."""
    parameters = json.loads(gateway().request(message(valid_until=NOW + left), "").body)
    assert parameters["TimeToLive"] == told
    shape = OPERATION.input_shape.members["TimeToLive"].metadata
    assert shape["min"] <= told <= shape["max"]


def test_the_shown_request_has_no_number() -> None:
    """Nor anything that it is signed with."""
    shown = gateway().shown_request(message())
    assert "9161234567" not in shown
    assert "AKIDEXAMPLE" not in shown
    assert shown.startswith("SendTextMessage\n")


# -- what AWS answers


def test_an_id_of_the_message_means_accepted_and_nothing_else_does() -> None:
    """Expects unknown of a 200 that does not say what AWS calls the message."""
    answer = gateway().read(reply(200, {"MessageId": "0a1b2c"}))
    assert (answer.outcome, answer.cause, answer.reference) == (Outcome.ACCEPTED, None, "0a1b2c")
    for nothing in ({}, {"MessageId": ""}, {"MessageId": None}, [], "0a1b2c", {"messageId": "0a1b2c"}):
        assert gateway().read(reply(200, nothing)).outcome is Outcome.UNKNOWN
    assert gateway().read(Reply(200, {}, None)).outcome is Outcome.UNKNOWN


def every_error() -> list[tuple[str, str]]:
    """Each error of the operation with each reason that it can give, as the model of botocore has them."""
    found: list[tuple[str, str]] = []
    for shape in OPERATION.error_shapes:
        reasons = shape.members["Reason"].enum if "Reason" in shape.members else [""]
        found += [(shape.name, reason) for reason in reasons]
    return found


@pytest.mark.parametrize("name", sorted({name for name, _ in every_error()}))
def test_every_error_that_aws_knows_is_understood(name: str) -> None:
    """Expects what is about this number to be refused, what is about the account to hold, and the rest as it is."""
    for known, reason in every_error():
        if known != name:
            continue
        status = 500 if name == "InternalServerException" else 400
        heard = error(name, reason, status)
        # That is how AWS says it: botocore reads the same.
        theirs = create_parser("json").parse(
            {"status_code": status, "headers": {}, "body": heard.body}, OPERATION.output_shape
        )
        assert theirs["Error"]["Code"] == name
        answer = gateway().read(heard)
        if reason == "DESTINATION_PHONE_NUMBER_OPTED_OUT":
            assert (answer.outcome, answer.cause) == (Outcome.REFUSED, Cause(Reason.OPTED_OUT_AT_GATEWAY))
            continue
        expected = Outcome.REFUSED if reason in REFUSED.get(name, ()) else Outcome.BLOCKED
        expected = {"ThrottlingException": Outcome.THROTTLED, "InternalServerException": Outcome.UNKNOWN}.get(
            name, expected
        )
        assert (answer.outcome, answer.http_status) == (expected, status)
        if expected is not Outcome.UNKNOWN:
            assert answer.cause == Cause(Reason.GATEWAY_ANSWER, reason or name)
        assert answer.words == ("in words" if expected is Outcome.BLOCKED else "")


@pytest.mark.parametrize("name", ["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"])
def test_a_caller_who_is_not_authorised_has_sent_nothing(name: str) -> None:
    """Errors that every service of AWS has; the header names them as well."""
    assert gateway().read(error(name)).outcome is Outcome.BLOCKED
    by_header = reply(403, {"message": "no"}, {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/"})
    answer = gateway().read(by_header)
    assert (answer.outcome, answer.cause, answer.words) == (Outcome.BLOCKED, Cause(Reason.GATEWAY_ANSWER, name), "no")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_trouble_at_aws_leaves_it_open_whether_the_message_was_taken(status: int) -> None:
    """The call has no token, so nobody may simply repeat it."""
    assert gateway().read(error("ServiceUnavailable", status=status)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"__type": 7}', b'{"__type": "x#a b\\u0000c", "Reason": {}}'])
def test_an_error_that_says_nothing_is_told_by_its_status(body: bytes) -> None:
    """Nothing of a strange answer gets into the ledger."""
    answer = gateway().read(Reply(403, {}, body))
    assert (answer.outcome, answer.cause) == (Outcome.BLOCKED, Cause.http(403))


# -- the whole way


@pytest.mark.enable_socket
def test_a_message_is_sent_once(raw: RawServer) -> None:
    """Over HTTP, after the last look, and not a second time when the answer says to try again."""
    said = b'{"__type": "InternalServerException", "Message": "try again"}'
    raw.answer = [b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\n\r\n" % len(said), said]
    looked: list[int] = []
    answer = gateway(gateway_url=raw.url).send(message(), lambda: looked.append(len(raw.requests)))
    assert (answer.outcome, looked, len(raw.requests)) == (Outcome.UNKNOWN, [0], 1)
    assert b"X-Amz-Target: PinpointSMSVoiceV2.SendTextMessage" in raw.requests[0]


def test_without_credentials_nothing_is_sent() -> None:
    """Expects the circuit to be told why."""
    answer = gateway(Session(credentials=None)).send(message())
    assert (answer.outcome, answer.cause) == (Outcome.BLOCKED, Cause(Reason.NO_AWS_CREDENTIALS))


def test_without_a_region_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects the name of the variable."""
    with pytest.raises(ValueError, match=r"^AWS_REGION: must be set"):
        gateway(Session(region=None))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert isinstance(create_gateway(Settings.from_environment({"GATEWAY": "eum"})), EumGateway)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWAY_MESSAGE_TYPE", "BULK"),
        ("GATEWAY_MAX_PRICE", "5"),
        ("GATEWAY_MAX_PRICE", "0,05"),
        ("GATEWAY_SENDER", "Ж"),
    ],
)
def test_what_aws_would_refuse_is_refused_at_the_start(variable: str, value: str) -> None:
    """In one line that names the variable."""
    with pytest.raises(ValueError, match=f"^{variable}: "):
        Settings.from_environment({"GATEWAY": "eum", variable: value})
