"""Rows of the ledger as DynamoDB holds them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..domain.messages import Attempt, Message, Outcome, ledger_key_for
from ..domain.reasons import Cause
from ..domain.statuses import IN_TROUBLE, MessageStatus
from .dynamodb import Item
from .models import from_ms, to_ms


def values_of(message: Message) -> Item:
    """The row as DynamoDB holds it; what is empty is left out, so that sparse indexes stay sparse."""
    values: Item = {
        "ledger_key": {"S": ledger_key_for(message.mailing_id, message.client_id)},
        "client_id": {"S": message.client_id},
        "status": {"S": str(message.status)},
        "revision": {"N": str(message.revision)},
        "phone_number": {"S": message.phone_number},
        "timezone": {"S": message.timezone},
        "created_at": {"N": str(to_ms(message.created_at))},
        "updated_at": {"N": str(to_ms(message.updated_at))},
    }
    if message.forgiven:
        values["forgiven"] = {"N": str(message.forgiven)}
    if message.may_be_twice:
        values["repeated"] = {"BOOL": True}
    if message.hinted:
        values["hinted"] = {"BOOL": True}
    if message.attempts:
        values["attempts"] = {"L": [_attempt_value(attempt) for attempt in message.attempts]}
    for name, text in (("claim", message.claim), ("reason", str(message.cause or ""))):
        if text:
            values[name] = {"S": text}
    for name in ("lease_until", "retry_at", "due_at", "sent_at"):
        moment: datetime | None = getattr(message, name)
        if moment is not None:
            values[name] = {"N": str(to_ms(moment))}
    if message.due_at is not None:
        values["parked_in"] = values["ledger_key"]
    if message.status in IN_TROUBLE:
        values["trouble_of"] = {"S": message.mailing_id}
    return values


def _attempt_value(attempt: Attempt) -> dict[str, Any]:
    value: dict[str, Any] = {
        "at": {"N": str(to_ms(attempt.at))},
        "ms": {"N": str(attempt.duration_ms)},
        "outcome": {"S": str(attempt.outcome)},
    }
    if attempt.cause is not None:
        value["reason"] = {"S": str(attempt.cause)}
    if attempt.http_status is not None:
        value["http"] = {"N": str(attempt.http_status)}
    return {"M": value}


def _attempt(value: dict[str, Any]) -> Attempt:
    row = value["M"]
    return Attempt(
        from_ms(float(row["at"]["N"])),
        int(row["ms"]["N"]),
        Outcome(row["outcome"]["S"]),
        Cause.parse(row["reason"]["S"]) if "reason" in row else None,
        int(row["http"]["N"]) if "http" in row else None,
    )


def message_of(item: dict[str, Any]) -> Message:
    """The message that an item says."""

    def moment(name: str) -> datetime | None:
        return from_ms(float(item[name]["N"])) if name in item else None

    def text(name: str) -> str:
        value: str = item[name]["S"] if name in item else ""
        return value

    return Message(
        mailing_id=item["ledger_key"]["S"].partition("#")[0],
        client_id=item["client_id"]["S"],
        phone_number=item["phone_number"]["S"],
        timezone=item["timezone"]["S"],
        status=MessageStatus(item["status"]["S"]),
        revision=int(item["revision"]["N"]),
        created_at=from_ms(float(item["created_at"]["N"])),
        updated_at=from_ms(float(item["updated_at"]["N"])),
        attempts=tuple(_attempt(value) for value in item["attempts"]["L"]) if "attempts" in item else (),
        hinted="hinted" in item,
        claim=text("claim"),
        lease_until=moment("lease_until"),
        retry_at=moment("retry_at"),
        due_at=moment("due_at"),
        sent_at=moment("sent_at"),
        cause=Cause.parse(text("reason")),
        repeated="repeated" in item and "attempts" not in item,  # else the attempts say it
        forgiven=int(item["forgiven"]["N"]) if "forgiven" in item else 0,
    )
