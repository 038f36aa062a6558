"""Heartbeats: when each kind of worker was heard of, and mailings of which nothing is heard though they run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from .deadlines import is_over
from .gateway_control import GatewayControl
from .mailing_counters import MailingCounters
from .mailings import MailingState
from .messages import PARKED_AT_MOST
from .progress import asleep
from .statuses import MailingStatus

EVERY = timedelta(seconds=10)  # that a process writes one at most
STALLED_AFTER = timedelta(minutes=5)


class Worker(StrEnum):
    """A part of the service that works by itself."""

    SENDER = "sender"
    DISPATCHER = "dispatcher"
    TICK = "tick"


# Within which one that is there all the time has been heard of again; the tick comes every minute, and may fail once.
HEARD_WITHIN = {
    Worker.SENDER: timedelta(seconds=35),
    Worker.DISPATCHER: timedelta(seconds=35),
    Worker.TICK: timedelta(seconds=180),
}
# Lambda starts senders and dispatchers when there is work. If work waits, and none was heard of in the first span, the
# tick expects one within the second: longer than a sender may take for its batch, and one that is new to begin.
EXPECTED_AFTER, EXPECTED_WITHIN = timedelta(seconds=15), timedelta(seconds=45)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A worker was heard of at a moment, None if it never was; if it has not been again by `until`, it does not work.

    Without `until` it is waited for by nobody: it comes when there is work. `worked_at` is when it last had some.
    """

    worker: Worker
    at: datetime | None
    until: datetime | None
    worked_at: datetime | None = None


def silent(beats: Iterable[Heartbeat], now: datetime) -> list[Heartbeat]:
    """Those that should have been heard of again and were not."""
    return [beat for beat in beats if beat.until and is_over(beat.until, now, HEARD_WITHIN[beat.worker])]


def is_stalled(state: MailingState, counters: MailingCounters, control: GatewayControl, now: datetime) -> bool:
    """Whether a mailing runs and has people to send to now, and nothing came of anybody for five minutes.

    It is given these five minutes anew when it is changed, when the circuit closes, and when a gateway that asked for a
    rest has had it. Who waits for their own hours is nobody to send to now, and who is tried again later, or waits for
    the circuit or the rate, waits for minutes at most.
    """
    mailing, statistics = state.mailing, state.statistics
    if mailing.status is not MailingStatus.RUNNING or now >= mailing.end_at:
        return False
    if control.open or control.rests_until(now) > now:
        return False
    since = (state.progress_at, mailing.updated_at, control.changed_at, control.rest_until)
    quiet = now - max((moment for moment in since if moment and moment <= now), default=now)
    if not statistics.dispatched or statistics.open > statistics.by_status["waiting"]:
        return quiet >= STALLED_AFTER
    return statistics.open > asleep(state, counters) and quiet >= STALLED_AFTER + PARKED_AT_MOST
