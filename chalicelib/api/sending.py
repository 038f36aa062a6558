"""/api/sending/: whether anything is being sent, and if not, why."""

from __future__ import annotations

from ..domain.gateway_control import Circuit, GatewayControl
from ..domain.heartbeats import Heartbeat, Worker
from ..domain.reasons import Reason
from ..domain.sending_states import Sending, SendingState
from ..web.fields import MomentOut, View
from ..web.request import Request
from ..wording import circuit_text
from .reasons import Reasoned, reasoned
from .routing import Routes

routes = Routes("gateway")


class PausedGatewayView(View):
    """A gateway through which nothing is sent, and since when. `by` is empty if nobody paused it; `reason` as in
    `/api/gateway/`."""

    gateway: str
    circuit: Circuit
    since: MomentOut | None
    by: str
    reason: str
    reason_code: Reason | None
    reason_detail: str

    @classmethod
    def of(cls, name: str, control: GatewayControl) -> PausedGatewayView:
        why: Reasoned = {**reasoned(control.cause), "reason": circuit_text(control.cause, control.reason)}
        since = control.held_at or control.opened_at
        return cls(gateway=name, circuit=control.circuit, since=since, by=control.held_by, **why)


class SilentWorkerView(View):
    """A worker that should work but does not, and when it was last active: null if it never was."""

    worker: Worker
    seen_at: MomentOut | None

    @classmethod
    def of(cls, beat: Heartbeat) -> SilentWorkerView:
        return cls(worker=beat.worker, seen_at=beat.at)


class SendingView(View):
    """Whether anything is being sent.

    `state` is `sending` if senders had work within the last minute, `waiting` if mailings run and nobody is due right
    now, `idle` if no mailing runs, `held` if somebody paused sending, `trouble` if the gateway fails (sending resumes
    automatically when it works again), and `silent` if workers are gone, so that nothing may be sent. `since` is when
    that began, null if it is not known; `running` is how many mailings run. `paused` are the gateways through which
    nothing is sent; others may work. `silent` are the workers that were not seen in time.
    """

    state: SendingState
    since: MomentOut | None
    running: int
    paused: list[PausedGatewayView]
    silent: list[SilentWorkerView]

    @classmethod
    def of(cls, sending: Sending) -> SendingView:
        return cls(
            state=sending.state,
            since=sending.since,
            running=sending.running,
            paused=[PausedGatewayView.of(name, control) for name, control in sending.closed.items()],
            silent=[SilentWorkerView.of(beat) for beat in sending.silent],
        )


@routes.route("GET", "/api/sending")
def read_sending(request: Request) -> SendingView:
    """Read whether anything is being sent, and if not, why."""
    return SendingView.of(request.services.sending.look())
