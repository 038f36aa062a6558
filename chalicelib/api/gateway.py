"""/api/gateway/: how hard the gateway is driven, and its circuit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictInt

from ..domain.gateway_control import GatewayControl
from ..services.gateway_control import MAX_RATE
from .fields import Body, MomentOut, View
from .routing import Call, Routes

routes = Routes("gateway")


class GatewayView(View):
    """`rate` is messages a second over all mailings, null without a limit.

    `circuit` is closed while messages are sent, open while the gateway is in trouble (the next try is at `retry_at`),
    and held while an operator keeps it open. `changed_by` is empty where the service itself changed it last.
    """

    rate: int | None
    circuit: Literal["closed", "open", "held"]
    opened_at: MomentOut | None
    retry_at: MomentOut | None
    changed_by: str
    changed_at: MomentOut | None

    @classmethod
    def of(cls, control: GatewayControl) -> GatewayView:
        return cls(
            rate=control.rate,
            circuit=control.circuit,
            opened_at=control.opened_at,
            retry_at=None if control.held else control.retry_at,
            changed_by=control.changed_by,
            changed_at=control.changed_at,
        )


class GatewayPatch(Body):
    """The rate from now on, null for no limit; senders follow within seconds."""

    rate: Annotated[StrictInt, Field(ge=1, le=MAX_RATE)] | None


@routes.route("GET", "/api/gateway")
def read_gateway(call: Call) -> GatewayView:
    """Say how the gateway is driven."""
    return GatewayView.of(call.services.gateway_control.state())


@routes.route("PATCH", "/api/gateway")
def change_gateway(call: Call, body: GatewayPatch) -> GatewayView:
    """Set the rate of the gateway."""
    return GatewayView.of(call.services.gateway_control.set_rate(body.rate, call.principal.username))


@routes.route("POST", "/api/gateway/hold")
def hold_gateway(call: Call) -> GatewayView:
    """Send nothing until the circuit is closed by hand."""
    return GatewayView.of(call.services.gateway_control.hold(call.principal.username))


@routes.route("POST", "/api/gateway/close")
def close_gateway(call: Call) -> GatewayView:
    """Close the circuit by hand, and send what waits; one that is closed stays so."""
    control = call.services.gateway_control.close(call.principal.username)
    call.services.feeder.ensure_pump()
    return GatewayView.of(control)
