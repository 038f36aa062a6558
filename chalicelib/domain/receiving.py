"""Receiving: what a receipt changes in a row of the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from .deliveries import DeliveryStatus, Receipt, later
from .messages import Message, Outcome, taken
from .statuses import MessageStatus


class ReceiptResult(StrEnum):
    """What was done with a receipt.

    applied: the row was changed. known: the row said so already. early: a sender is still working on the message, so
    the receipt must be read again when the outcome of its call is recorded. The rest are dropped: there is no such
    message, the receipt is for another number than the row's, or the gateway was never called.
    """

    APPLIED = "applied"
    KNOWN = "known"
    EARLY = "early"
    NO_MESSAGE = "no_message"
    WRONG_NUMBER = "wrong_number"
    NEVER_SENT = "never_sent"
    UNREADABLE = "unreadable"


DROPPED = frozenset(
    {ReceiptResult.NO_MESSAGE, ReceiptResult.WRONG_NUMBER, ReceiptResult.NEVER_SENT, ReceiptResult.UNREADABLE}
)


def apply_receipt(message: Message, receipt: Receipt, now: datetime) -> tuple[ReceiptResult, Message]:
    """What to do with a receipt, and the row after it.

    A receipt shows that the gateway accepted the message, which settles an unknown outcome. A message that was
    certainly refused does not become sent by a receipt, unless that says that it was delivered.
    """
    if receipt.phone_number and receipt.phone_number != message.phone_number:
        return ReceiptResult.WRONG_NUMBER, message
    if message.status is MessageStatus.SENDING:
        return ReceiptResult.EARLY, message
    if not message.attempts:
        return ReceiptResult.NEVER_SENT, message
    delivery = later(message.delivery, receipt.delivery)
    told = message if delivery is message.delivery else replace(message, delivery=delivery)
    if message.status is not MessageStatus.SENT:
        if not taken(message.attempts) and receipt.status is not DeliveryStatus.DELIVERED:
            return ReceiptResult.KNOWN, message
        told = _sent(told, now)
    return (ReceiptResult.KNOWN if told is message else ReceiptResult.APPLIED), told


def _sent(message: Message, now: datetime) -> Message:
    """The message as sent, by its last attempt that the gateway may have accepted."""
    attempts = message.attempts
    may_be = [attempt for attempt in attempts if attempt.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)]
    ends = {"cause": None, "lease_until": None, "retry_at": None, "due_at": None, "ask": False}
    sent_at = (may_be or attempts)[-1].at
    return message.revised(now, status=MessageStatus.SENT, sent_at=sent_at, **ends)
