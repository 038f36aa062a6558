"""Whether a message may be sent now, and what happens to it if not: rules for feeder, senders and closing."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from .budgets import USED_UP
from .local_window import WindowPolicy
from .mailings import Mailing
from .messages import Message
from .reasons import Cause, Reason
from .statuses import MailingStatus, MessageStatus


class Obstacle(StrEnum):
    """Why a call is not made after all. The next time, the message is claimed again or its hint is dropped."""

    MAILING_GONE = "mailing_gone"
    MAILING_NOT_RUNNING = "mailing_not_running"
    WINDOW_CLOSED = "window_closed"
    OUTSIDE_LOCAL_WINDOW = "outside_local_window"
    CLIENT_UNREACHABLE = "client_unreachable"  # deleted, or opted out
    CLIENT_CHANGED = "client_changed"  # another number or time zone
    CIRCUIT_OPEN = "circuit_open"
    RATE_CHANGED = "rate_changed"
    TURN_MISSED = "turn_missed"
    CLOCK_SET_BACK = "clock_set_back"
    LOOK_TOO_SLOW = "look_too_slow"  # the first values are too old when the last ones are read
    TABLES_BUSY = "tables_busy"
    NO_TIME_LEFT = "no_time_left"  # not enough in this invocation
    FAULT = "fault"  # an error in this service; the log has it


def obstacle(mailing: Mailing, now: datetime, *, paid: bool = False) -> Obstacle | None:
    """Why the mailing may not send now, None if it may.

    A `paid` message was reserved in the budget before that was used up, and may still be sent.
    """
    if mailing.status is not MailingStatus.RUNNING and not (paid and mailing.paused_for in USED_UP):
        return Obstacle.MAILING_NOT_RUNNING
    if now >= mailing.end_at:
        return Obstacle.WINDOW_CLOSED
    return None


def valid_until(mailing: Mailing, timezone: str, now: datetime) -> datetime:
    """Until when a message to a client in this time zone may be sent, if it may be sent now."""
    window = mailing.local_window
    return min(mailing.end_at, window.closing(now, timezone)) if window else mailing.end_at


def closing_status(mailing: Mailing, now: datetime) -> MessageStatus | None:
    """The status that open rows get because the mailing sends nothing more; None if it goes on."""
    if mailing.status is MailingStatus.CANCELLED:
        return MessageStatus.CANCELLED
    if now >= mailing.end_at:
        return MessageStatus.EXPIRED
    return None


def deferral(mailing: Mailing, message: Message, now: datetime) -> dict[str, Any]:
    """The changes of a message that may not be sent at this hour of the client's day, {} if it may."""
    window = mailing.local_window
    if window is None or window.allows(now, message.timezone):
        return {}
    if window.policy is WindowPolicy.SKIP:
        return {"status": MessageStatus.SKIPPED, "cause": Cause(Reason.OUTSIDE_LOCAL_WINDOW)}
    opening = window.opening(now, message.timezone)
    if opening >= mailing.end_at:
        return {"status": MessageStatus.EXPIRED, "cause": Cause(Reason.LOCAL_WINDOW_TOO_LATE)}
    return {"status": MessageStatus.WAITING, "cause": Cause(Reason.OUTSIDE_LOCAL_WINDOW), "due_at": opening}
