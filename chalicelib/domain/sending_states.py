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
    WAITING = "waiting"  # mailings run, but no message is due now
    IDLE = "idle"  # no mailing runs
    HELD = "held"  # an operator paused it
    TROUBLE = "trouble"  # the gateway fails
    SILENT = "silent"  # workers have stopped

    @property
    def stopped(self) -> bool:
        """Whether sending has stopped although messages may have to be sent."""
        return self in (SendingState.HELD, SendingState.TROUBLE, SendingState.SILENT)


@dataclass(frozen=True, slots=True)
class Sending:
    """The state of sending at `at`. `since` is when it began, if that is known.

    `running` is how many mailings run, `closed` the controls of gateways that nothing is sent through, by name, and
    `silent` the workers that should have been seen. `control` is that of the gateway which is the reason, if one is.
    `controls` and `beats` of all gateways and workers are what this follows from.
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
    """The state of sending, from the gateways' controls, the heartbeats and the number of running mailings."""
    gone = silent(beats, now)
    closed = {name: control for name, control in controls.items() if control.open}
    control: GatewayControl | None = None
    since: datetime | None = None
    if gone:
        state, since = SendingState.SILENT, min((beat.at for beat in gone if beat.at), default=None)
    elif len(closed) == len(controls):
        # A pause by a person ends only by a person. Of several gateways, the one that will be probed is named first.
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
