"""The metrics that a message's status changes."""

from __future__ import annotations

from ..domain.messages import Message
from ..domain.statuses import MessageStatus
from ..observability import (
    MESSAGES_CANCELLED,
    MESSAGES_EXPIRED,
    MESSAGES_FAILED,
    MESSAGES_PARKED,
    MESSAGES_SENT,
    MESSAGES_SKIPPED,
    MESSAGES_UNKNOWN,
    RETRY,
    measure,
)

_ENDS = {
    MessageStatus.SENT: MESSAGES_SENT,
    MessageStatus.FAILED: MESSAGES_FAILED,
    MessageStatus.UNKNOWN: MESSAGES_UNKNOWN,
    MessageStatus.EXPIRED: MESSAGES_EXPIRED,
    MessageStatus.CANCELLED: MESSAGES_CANCELLED,
    MessageStatus.SKIPPED: MESSAGES_SKIPPED,
}


def measure_status(message: Message) -> None:
    """Count a message that just got its status, if that is final or it waits."""
    if message.status is MessageStatus.WAITING:
        reason = str(message.cause.reason) if message.cause else ""
        measure(MESSAGES_PARKED, of=reason if reason in MESSAGES_PARKED.values else RETRY)
    elif metric := _ENDS.get(message.status):
        measure(metric)
