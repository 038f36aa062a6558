"""Whether anything is being sent, and if not, why: one answer for the whole service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from .gateway_control import GatewayControl
from .heartbeats import Heartbeat, Worker, silent

SENT_LATELY = timedelta(seconds=60)


class SendingState(StrEnum):
    """What the service does with messages."""

    SENDING = "sending"
    WAITING = "waiting"  # mailings run, and nobody is to get anything right now
    IDLE = "idle"  # no mailing runs
    HELD = "held"  # somebody paused it
    TROUBLE = "trouble"  # the gateway fails
    SILENT = "silent"  # workers are gone

    @property
    def stopped(self) -> bool:
        """Whether nothing is sent though it may be meant to be."""
        return self in (SendingState.HELD, SendingState.TROUBLE, SendingState.SILENT)


@dataclass(frozen=True, slots=True)
class Sending:
    """One look at it, at `at`. `since` is when that began, if it is known.

    `running` is how many mailings run, `closed` the controls of gateways through which nothing is sent, by name, and
    `silent` the workers that should have been heard of. `control` is that of the state, if a gateway is the reason.
    `controls` and `beats` are those of all gateways and workers, which all this follows from.
    """

    state: SendingState
    at: datetime
    since: datetime | None
    running: int
    closed: Mapping[str, GatewayControl]
    silent: Sequence[Heartbeat]
    control: GatewayControl | None = None
    controls: Mapping[str, GatewayControl] = field(default_factory=dict)
    beats: Sequence[Heartbeat] = ()

    @property
    def by(self) -> str:
        """Who paused sending, "" if nobody did."""
        return self.control.held_by or self.control.changed_by if self.control and self.control.held else ""


def sending_of(
    controls: Mapping[str, GatewayControl], beats: Sequence[Heartbeat], running: int, now: datetime
) -> Sending:
    """What follows from the gateways' controls, the heartbeats and the number of mailings that run."""
    gone = silent(beats, now)
    closed = {name: control for name, control in controls.items() if control.open}
    control: GatewayControl | None = None
    since: datetime | None = None
    if gone:
        state, since = SendingState.SILENT, min((beat.at for beat in gone if beat.at), default=None)
    elif len(closed) == len(controls):
        # What a person paused waits for a person; of several the one that may be tried is told first.
        control = min(closed.values(), key=lambda one: one.held)
        state = SendingState.HELD if control.held else SendingState.TROUBLE
        since = control.held_at or control.opened_at
    elif not running:
        state = SendingState.IDLE
    else:
        worked = max(
            (beat.worked_at for beat in beats if beat.worker is Worker.SENDER and beat.worked_at), default=None
        )
        state = SendingState.SENDING if worked and now - worked <= SENT_LATELY else SendingState.WAITING
    return Sending(
        state=state,
        at=now,
        since=since,
        running=running,
        closed=closed,
        silent=gone,
        control=control,
        controls=controls,
        beats=beats,
    )
