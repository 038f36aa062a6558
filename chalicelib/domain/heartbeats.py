"""Heartbeats: when each kind of worker was last seen, and running mailings that make no progress."""

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

EVERY = timedelta(seconds=10)  # between the heartbeats that a process writes
STALLED_AFTER = timedelta(minutes=5)


class Worker(StrEnum):
    """A part of the service that works by itself."""

    SENDER = "sender"
    DISPATCHER = "dispatcher"
    TICK = "tick"


# How soon a worker that always runs must be seen again. The tick comes every minute and may fail once.
HEARD_WITHIN = {
    Worker.SENDER: timedelta(seconds=35),
    Worker.DISPATCHER: timedelta(seconds=35),
    Worker.TICK: timedelta(seconds=180),
}
# Lambda starts senders and dispatchers when there is work. If work waits and none was seen in the first span, the tick
# expects one within the second span, which is longer than a sender takes for a batch and a new one to start.
EXPECTED_AFTER, EXPECTED_WITHIN = timedelta(seconds=15), timedelta(seconds=45)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """When a worker was last seen, None if never. If it is not seen again by `until`, it is not working.

    Without `until` nothing expects it, because it only runs when there is work. `worked_at` is when it last had some.
    """

    worker: Worker
    at: datetime | None
    until: datetime | None
    worked_at: datetime | None = None


def silent(beats: Iterable[Heartbeat], now: datetime) -> list[Heartbeat]:
    """The heartbeats of workers that should have been seen again and were not."""
    return [beat for beat in beats if beat.until and is_over(beat.until, now, HEARD_WITHIN[beat.worker])]


def is_stalled(state: MailingState, counters: MailingCounters, control: GatewayControl, now: datetime) -> bool:
    """Whether a mailing runs, has messages that can be sent now, and made no progress for five minutes.

    The five minutes start again when the mailing is changed, when the circuit closes, and after a rest that the gateway
    asked for. Messages that wait for local hours cannot be sent now; retries, the circuit and the rate delay a message
    only by minutes.
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
