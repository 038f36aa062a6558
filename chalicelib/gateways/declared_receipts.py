"""Receipts of a declared gateway, read by its declaration."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..domain.deliveries import DeliveryStatus, Receipt
from ..domain.reasons import Cause, Reason
from .answers import CODE, first_at
from .receipts import moment_of, number_of, parts_of, price_of
from .short_ids import long_id_of

if TYPE_CHECKING:
    from .declaration_callbacks import ReceiptRule, Receiving, Replying

_STATUSES = {
    "pending": DeliveryStatus.PENDING,
    "delivered": DeliveryStatus.DELIVERED,
    "temporary": DeliveryStatus.UNDELIVERED,
    "permanent": DeliveryStatus.UNDELIVERED,
}
_MOST = 1000  # receipts in one callback


def singles_of(receiving: Receiving | Replying, content: Any) -> list[Any]:
    """The receipts or replies in a callback, each with the fields of the address too."""
    if receiving.each is None:
        return [content]
    found = content
    for step in receiving.each.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return [one for one in found if isinstance(one, dict)][:_MOST] if isinstance(found, list) else []


def rule_of(receiving: Receiving, single: Any) -> ReceiptRule | None:
    """The first rule that matches a receipt; None for an unknown code, which never means delivered."""
    code, detail = str(first_at(single, receiving.code)), str(first_at(single, receiving.detail))
    return next((rule for rule in receiving.rules if rule.fits(code, detail)), None)


def receipts_of(receiving: Receiving, content: Any, now: datetime) -> list[Receipt]:
    """The receipts in a callback that name a message."""
    receipts = []
    for single in singles_of(receiving, content):
        told = single
        if receiving.each and isinstance(content, dict) and "message_id" in content:
            told = {"message_id": content["message_id"], **single}
        if message_id := str(first_at(told, receiving.message_id)):
            receipts.append(_receipt(receiving, told, long_id_of(message_id), now))
    return receipts


def _receipt(receiving: Receiving, told: Any, message_id: str, now: datetime) -> Receipt:
    rule = rule_of(receiving, told)
    status = _STATUSES[rule.word] if rule else DeliveryStatus.PENDING
    code = str(first_at(told, receiving.detail)) or str(first_at(told, receiving.code))
    cause = (
        Cause(Reason(rule.reason), code if CODE.fullmatch(code) else "")
        if rule and status is DeliveryStatus.UNDELIVERED
        else None
    )
    return Receipt(
        message_id=message_id,
        status=status,
        at=moment_of(first_at(told, receiving.at), now),
        cause=cause,
        permanent=rule is not None and rule.word == "permanent",
        phone_number=number_of(first_at(told, receiving.phone)),
        parts=parts_of(first_at(told, receiving.parts)),
        price=price_of(first_at(told, receiving.price), first_at(told, receiving.currency)),
    )
