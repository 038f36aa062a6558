"""The result of a mailing: how many people it reached, how many not and why, and what would help."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .deliveries import Deliveries, DeliveryStatus
from .mailing_counters import MailingCounters
from .mailings import MailingState
from .reasons import Cause, Reason
from .statuses import Action, MailingStatus

_MISSED = ("failed", "expired", "cancelled", "skipped")


class Standing(StrEnum):
    """How far a mailing has come, in terms of its people."""

    AHEAD = "ahead"  # it has not begun
    RUNNING = "running"
    PAUSED = "paused"
    REACHED = "reached"  # it is over, and there is nobody else whom it could reach
    PARTLY = "partly"  # it is over, and some did not get it
    NOBODY = "nobody"  # it is over, and nobody got it
    STOPPED = "stopped"  # it was cancelled, or its end passed before it could start


class Help(StrEnum):
    """The next thing that a person may want to do."""

    RESUME = "resume"
    RETRY = "retry"
    MISSED = "missed"  # a mailing to those who got nothing


@dataclass(frozen=True, slots=True)
class Result:
    """Counts of people: they `got` it, they `missed` it for good, it is `unknown`, or it is still `open`.

    They add up to `total`. `cause` is why most of them missed it, None if that is not known, and `because_of_it` is how
    many people that was.
    """

    standing: Standing
    total: int
    got: int
    missed: int
    unknown: int
    open: int
    cause: Cause | None
    because_of_it: int
    help: Help | None


def result_of(state: MailingState, counters: MailingCounters, now: datetime, told: Deliveries | None = None) -> Result:
    """The result of a mailing, from its counters. Without them the causes are not known.

    People whose message was sent got it, unless receipts (`told`) say that it did not reach their phone.
    """
    counts = state.statistics.counts()
    undelivered = min(told.by_status[DeliveryStatus.UNDELIVERED], counts["sent"]) if told else 0
    missed = sum(counts[name] for name in _MISSED) + undelivered
    cause, because_of_it = _cause(counters)
    if undelivered > because_of_it:
        cause, because_of_it = Cause(Reason.NOT_DELIVERED), undelivered
    return Result(
        standing=_standing(state, counts, undelivered),
        total=counts["total"],
        got=counts["sent"] - undelivered,
        missed=missed,
        unknown=counts["unknown"],
        open=counts["queued"] + counts["waiting"],
        cause=cause if missed else None,
        because_of_it=min(because_of_it, missed),
        help=_help(state, counts, now),
    )


def _standing(state: MailingState, counts: dict[str, int], undelivered: int) -> Standing:
    mailing = state.mailing
    if mailing.status in (MailingStatus.CANCELLED, MailingStatus.EXPIRED):
        return Standing.STOPPED
    if mailing.launched_at is None:
        return Standing.AHEAD
    if not mailing.status.ended:
        return Standing.PAUSED if mailing.status is MailingStatus.PAUSED else Standing.RUNNING
    got = counts["sent"] - undelivered
    if counts["total"] and not got:
        return Standing.NOBODY
    # People who were skipped did not want it or could not get it, so nothing can be done for them.
    left = counts["total"] - got - counts["skipped"]
    return Standing.PARTLY if left else Standing.REACHED


def _help(state: MailingState, counts: dict[str, int], now: datetime) -> Help | None:
    mailing = state.mailing
    if mailing.may(Action.RESUME):
        return Help.RESUME
    if may_be_retried(state, now):
        return Help.RETRY
    if mailing.status.ended and mailing.final and counts["failed"] + counts["expired"] + counts["cancelled"]:
        return Help.MISSED
    return None


def may_be_retried(state: MailingState, now: datetime) -> bool:
    """Whether an ended mailing has messages that can be retried."""
    mailing, counts = state.mailing, state.statistics.counts()
    troubled = counts["failed"] + counts["unknown"] + (counts["expired"] if mailing.widened_at else 0)
    return mailing.may(Action.RETRY) and mailing.end_at > now and bool(troubled)


def _cause(counters: MailingCounters) -> tuple[Cause | None, int]:
    """Why most people missed it, and how many these are."""
    causes: Counter[Cause] = Counter()
    for (status, cause), count in counters.by_cause.items():
        if status in _MISSED:
            causes[cause] += count
    if not causes:
        return None, 0
    cause, count = min(causes.items(), key=lambda one: (-one[1], str(one[0])))
    return (None, 0) if cause.reason is Reason.OTHER else (cause, count)
