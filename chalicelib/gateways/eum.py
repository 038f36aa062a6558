"""The kind `eum`: SendTextMessage of AWS End User Messaging SMS, API version 2022-03-31.

https://docs.aws.amazon.com/pinpoint/latest/apireference_smsvoicev2/API_SendTextMessage.html

AWS does not recognise repeated messages, because the call has no idempotency token. So it is made once, over the same
connections and with the same time limits as for other gateways, and never repeated by an AWS client.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session

from ..aws_calls import signature
from ..config import Settings
from ..domain.messages import Outcome
from ..domain.reasons import Cause, Reason
from .answers import json_of
from .base import Answer, Capabilities, Outgoing
from .http_adapter import HttpAdapter, retry_after_of, shown
from .tokens import NoToken
from .transport import Reply, Request

_SERVICE = "sms-voice"
_TARGET = "PinpointSMSVoiceV2.SendTextMessage"
_CONTENT_TYPE = "application/x-amz-json-1.0"
_LEAST_VALIDITY, _MOST_VALIDITY = timedelta(seconds=5), timedelta(hours=72)  # of TimeToLive

# Reasons in errors that are about this number, country or text. All other reasons are about the account, its numbers or
# its money.
_OPTED_OUT = "DESTINATION_PHONE_NUMBER_OPTED_OUT"
_REFUSED = frozenset(
    {
        "DESTINATION_PHONE_NUMBER_NOT_VERIFIED",
        "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION",
        "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE",
        "DESTINATION_COUNTRY_BLOCKED",
        "COUNTRY_CODE_MISMATCH",
        "COUNTRY_NOT_ENABLED",
        "INTERNATIONAL_SENDING_NOT_SUPPORTED",
        "INVALID_IDENTITY_FOR_DESTINATION_COUNTRY",
        "PRICE_OVER_THRESHOLD",
        # Either may be about the text or the number. Otherwise the same answer to many messages opens the circuit.
        "FIELD_VALIDATION_FAILED",
        "INVALID_PARAMETER",
    }
)
_KINDS = frozenset({"ConflictException", "ValidationException"})


class EumGateway(HttpAdapter):
    """AWS End User Messaging SMS of the region that the service runs in. Raises ValueError if it has no region."""

    def __init__(
        self,
        settings: Settings,
        certificates: str | None = None,
        *,
        session: Any = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._session = session or botocore.session.get_session()
        self._region = str(self._session.get_config_variable("region") or "")
        if not self._region:
            raise ValueError("AWS_REGION: must be set, because GATEWAY=eum calls AWS in this region")
        self._now = now
        self._given = {
            "OriginationIdentity": settings.gateway_sender,
            "MessageType": settings.gateway_message_type,
            "ConfigurationSetName": settings.gateway_configuration_set,
            "MaxPrice": settings.gateway_max_price,
        }
        own = f"https://{_SERVICE}.{self._region}.amazonaws.com"
        self._url = (settings.gateway_url or own).rstrip("/") + "/"
        # An AWS endpoint in a VPC has a private address.
        super().__init__(settings, certificates=certificates, address=self._url, trusted=not settings.gateway_url)

    @property
    def capabilities(self) -> Capabilities:
        """AWS counts parts and does not recognise ids. Its events come through an SNS topic."""
        return Capabilities(counts_parts=True, gives_receipts=self._receipts)

    def request(self, message: Outgoing, token: str) -> Request:
        """The signed call. Raises NoToken if there are no AWS credentials."""
        del token
        body = json.dumps(self._parameters(message)).encode()
        headers = {"Content-Type": _CONTENT_TYPE, "X-Amz-Target": _TARGET}
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoToken(Cause(Reason.NO_AWS_CREDENTIALS))
        who = credentials.get_frozen_credentials()
        return Request("/", body, headers | signature(who, self._region, _SERVICE, self._url, headers, body))

    def _parameters(self, message: Outgoing) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "DestinationPhoneNumber": message.phone_number,
            "MessageBody": message.text,
            "Context": {"message_id": message.message_id},  # comes back with every event about the message
        }
        if message.valid_until:
            left = min(max(message.valid_until - self._now(), _LEAST_VALIDITY), _MOST_VALIDITY)
            parameters["TimeToLive"] = left // timedelta(seconds=1)
        return parameters | {name: value for name, value in self._given.items() if value}

    def read(self, reply: Reply) -> Answer:
        """The answer of AWS; only an answer with a message id means accepted."""
        said = json_of(reply.body)
        said = said if isinstance(said, dict) else {}
        retry_after = retry_after_of(reply)
        if reply.status == 200 and isinstance(said.get("MessageId"), str) and said["MessageId"]:
            return Answer(Outcome.ACCEPTED, None, 200, reference=said["MessageId"][:100])
        if not 400 <= reply.status < 500:
            return Answer(
                Outcome.UNKNOWN, Cause(Reason.ANSWER_NOT_DECLARED, str(reply.status)), reply.status, retry_after
            )
        error = str(said.get("__type") or reply.headers.get("x-amzn-errortype") or "")
        error = error.partition(":")[0].rpartition("#")[2]
        reason = str(said.get("Reason") or "")
        if reason == _OPTED_OUT:
            return Answer(Outcome.REFUSED, Cause(Reason.OPTED_OUT_AT_GATEWAY), reply.status)
        cause = Cause(Reason.GATEWAY_ANSWER, reason or error) if _is_name(reason or error) else Cause.http(reply.status)
        if error == "ThrottlingException" or reply.status == 429:
            return Answer(Outcome.THROTTLED, cause, reply.status, retry_after)
        if error in _KINDS and reason in _REFUSED:
            return Answer(Outcome.REFUSED, cause, reply.status)
        words = said.get("Message") or said.get("message")
        return Answer(
            outcome=Outcome.BLOCKED,
            cause=cause,
            http_status=reply.status,
            retry_after=retry_after,
            words=words if isinstance(words, str) else "",
        )

    def shown_request(self, message: Outgoing) -> str:
        """The operation and its parameters."""
        return shown("SendTextMessage", {"Content-Type": _CONTENT_TYPE}, self._parameters(message.masked()))


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 60 and text[0].isalpha() and text.isascii() and text.replace("_", "").isalnum()
