"""Receipts of AWS End User Messaging SMS: events that a configuration set sends to an SNS topic.

https://docs.aws.amazon.com/sms-voice/latest/userguide/configuration-sets-event-types.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..domain.deliveries import DeliveryStatus, Receipt
from ..domain.reasons import Cause, Reason
from .receipts import moment_of, number_of, parts_of, price_of

# For each type of event: the status of the message if the event is final, why, and whether nothing will ever reach this
# number. For some numbers TEXT_SUCCESSFUL is final, which the event says.
_LAST: Mapping[str, tuple[DeliveryStatus, Reason | None, bool]] = {
    "TEXT_DELIVERED": (DeliveryStatus.DELIVERED, None, False),
    "TEXT_SUCCESSFUL": (DeliveryStatus.DELIVERED, None, False),
    "TEXT_INVALID": (DeliveryStatus.UNDELIVERED, Reason.NUMBER_INVALID, True),
    "TEXT_INVALID_MESSAGE": (DeliveryStatus.UNDELIVERED, Reason.NOT_DELIVERED, False),
    "TEXT_UNREACHABLE": (DeliveryStatus.UNDELIVERED, Reason.PHONE_UNREACHABLE, False),
    "TEXT_CARRIER_UNREACHABLE": (DeliveryStatus.UNDELIVERED, Reason.PHONE_UNREACHABLE, False),
    "TEXT_BLOCKED": (DeliveryStatus.UNDELIVERED, Reason.BLOCKED_BY_CARRIER, False),
    "TEXT_CARRIER_BLOCKED": (DeliveryStatus.UNDELIVERED, Reason.BLOCKED_BY_CARRIER, False),
    "TEXT_PROTECT_BLOCKED": (DeliveryStatus.UNDELIVERED, Reason.BLOCKED_BY_CARRIER, False),
    "TEXT_SPAM": (DeliveryStatus.UNDELIVERED, Reason.TAKEN_FOR_SPAM, False),
    "TEXT_TTL_EXPIRED": (DeliveryStatus.UNDELIVERED, Reason.VALIDITY_ENDED, False),
    "TEXT_UNKNOWN": (DeliveryStatus.UNDELIVERED, Reason.NOT_DELIVERED, False),
}


def receipts_of(event: Mapping[str, Any], now: datetime) -> list[Receipt]:
    """The receipts in an event; none if it is of another kind. Raises KeyError if it names no message of ours."""
    kind = str(event["eventType"])
    if not kind.startswith("TEXT_"):
        return []
    status, reason, permanent = _LAST.get(kind, (DeliveryStatus.PENDING, None, False))
    if not event.get("isFinal", kind == "TEXT_DELIVERED"):
        status, reason, permanent = DeliveryStatus.PENDING, None, False
    receipt = Receipt(
        message_id=str(event["context"]["message_id"]),
        status=status,
        at=moment_of(event.get("eventTimestamp"), now),
        cause=Cause(reason, kind.removeprefix("TEXT_")) if reason else None,
        permanent=permanent,
        phone_number=number_of(event.get("destinationPhoneNumber")),
        parts=parts_of(event.get("totalMessageParts")),
        price=price_of(_sum(event.get("totalMessagePrice"), event.get("totalCarrierFee")), "USD"),
    )
    return [receipt]


def _sum(*amounts: object) -> float | None:
    known = [one for one in amounts if isinstance(one, int | float) and not isinstance(one, bool)]
    return sum(known) if known else None
