"""/api/gateway/: how hard the gateway is driven, its circuit, and who changed them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StrictInt, StrictStr

from ..domain.gateway_control import MAX_REASON, Circuit, GatewayChange, GatewayControl, Setting, check_reason
from ..domain.reasons import Cause, Reason
from ..services.gateway_control import MAX_RATE
from ..web.fields import Body, MomentOut, View, by_rule, example
from ..web.paging import PageQuery
from ..web.request import Request
from ..wording import circuit_text
from .reasons import Reasoned, reasoned
from .routing import Routes

routes = Routes("gateway")


class GatewayView(View):
    """`rate` is messages a second over all mailings, null without a limit. `pace` is how many a second the gateway
    takes, after it said that there were too many (HTTP 429); it grows from then on, and is null if it did not say so
    lately.

    `circuit` is closed while messages are sent, open while the gateway is in trouble (the next try is at `retry_at`),
    and held while an operator keeps it open; `reason` says why, in the words of an operator; if the service
    opened it, there is a `reason_code`, and the text ends with the gateway's own words if it gave any. `changed_by` is
    empty if the service itself changed rate or circuit last.
    """

    rate: int | None
    pace: float | None
    circuit: Circuit
    opened_at: MomentOut | None
    retry_at: MomentOut | None
    reason: str
    reason_code: Reason | None
    reason_detail: str
    changed_by: str
    changed_at: MomentOut | None

    @classmethod
    def of(cls, control: GatewayControl, now: datetime) -> GatewayView:
        pace = control.pace(now)
        return cls(
            rate=control.rate,
            pace=None if pace is None else round(pace, 1),
            circuit=control.circuit,
            opened_at=control.opened_at,
            retry_at=None if control.held else control.retry_at,
            **_why(control.cause, control.reason),
            changed_by=control.changed_by,
            changed_at=control.changed_at,
        )


def _why(cause: Cause | None, words: str) -> Reasoned:
    return {**reasoned(cause), "reason": circuit_text(cause, words)}


class GatewayPatch(Body):
    """The rate from now on, null for no limit; senders follow within seconds."""

    model_config = example({"rate": 50})

    rate: Annotated[StrictInt, Field(ge=1, le=MAX_RATE, examples=[50])] | None


class ReasonBody(Body):
    """Why, for those who look later."""

    model_config = example({"reason": "the text has a wrong number"})

    reason: Annotated[StrictStr, by_rule(check_reason), Field(max_length=MAX_REASON)] = ""


class GatewayChangeView(View):
    """A setting that got another value. `by` is empty where the service did it itself; a rate of null is no limit."""

    at: MomentOut
    by: str
    setting: Setting
    old: int | str | None
    new: int | str | None
    reason: str
    reason_code: Reason | None
    reason_detail: str

    @classmethod
    def of(cls, change: GatewayChange) -> GatewayChangeView:
        return cls(
            at=change.at,
            by=change.by,
            setting=change.setting,
            old=change.old,
            new=change.new,
            **_why(change.cause, change.reason),
        )


class GatewayChangePage(View):
    """A page of the changes of the last year, the newest first; they are not counted."""

    total: int | None = None
    rows: list[GatewayChangeView]
    next: str | None


@routes.route("GET", "/api/gateway")
def read_gateway(request: Request) -> GatewayView:
    """Say how the gateway is driven."""
    return GatewayView.of(request.services.gateway_control.state(), request.services.clock.now())


@routes.route("PATCH", "/api/gateway")
def change_gateway(request: Request, body: GatewayPatch) -> GatewayView:
    """Set the rate of the gateway."""
    return GatewayView.of(
        request.services.gateway_control.set_rate(body.rate, request.principal.username), request.services.clock.now()
    )


@routes.route("POST", "/api/gateway/hold")
def hold_gateway(request: Request, body: ReasonBody) -> GatewayView:
    """Send nothing until the circuit is closed by hand."""
    return GatewayView.of(
        request.services.gateway_control.hold(request.principal.username, body.reason), request.services.clock.now()
    )


@routes.route("POST", "/api/gateway/close")
def close_gateway(request: Request, body: ReasonBody) -> GatewayView:
    """Close the circuit by hand, and send what waits; one that is closed stays so."""
    control = request.services.gateway_control.close(request.principal.username, body.reason)
    request.services.feeder.ensure_pump()
    return GatewayView.of(control, request.services.clock.now())


@routes.route("GET", "/api/gateway/changes")
def list_gateway_changes(request: Request, query: PageQuery) -> GatewayChangePage:
    """Say who changed rate and circuit, when, from what to what."""
    changes, after = request.services.gateway_control.changes(query.place(), query.limit)
    return GatewayChangePage(rows=[GatewayChangeView.of(change) for change in changes], next=query.following(after))
