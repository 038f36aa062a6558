"""/api/gateway/: the gateway's rate, whether sending is paused, and who changed them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from ..domain.balances import Balance
from ..domain.budgets import written
from ..domain.errors import Conflict, Invalid, TooManyRequests
from ..domain.faults import Fault
from ..domain.gateway_control import MAX_REASON, Circuit, GatewayChange, GatewayControl, Setting, check_reason
from ..domain.gateway_routes import shown
from ..domain.idempotency import MAX_KEY_LENGTH
from ..domain.messages import Outcome
from ..domain.reasons import Cause, Reason
from ..gateways.base import Outgoing
from ..services.gateway_control import MAX_RATE
from ..services.gateways import Line
from ..services.trials import Trial
from ..web.bodies import GatewayName, Money, TrialBody
from ..web.fields import Body, MomentOut, View, by_rule, example
from ..web.paging import PageQuery
from ..web.parsing import validate
from ..web.request import Request
from ..wording import circuit_text, reason_text
from .reasons import Reasoned, reasoned
from .routing import Header, Routes

routes = Routes("gateway")
_EXAMPLE: dict[str, Any] = {
    "name": "acme",
    "request": {"path": "/messages", "json": {"to": "{phone}", "text": "{text}"}},
    "answer": {"rules": [{"status": [201], "has": "id", "outcome": "accepted"}]},
    "examples": [{"status": 201, "body": {"id": "m-1"}, "outcome": "accepted"}],
}
KEY = Header(
    "Idempotency-Key",
    "A key for this request. Repeating it within 24 hours sends no second message.",
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": "^[!-~]+$"},
)
_EXAMPLE_ID = "01KHPKQZ4W3M8V0B5N7C2D9E6F-h6jkepfvoqeacstj"


class BalanceView(View):
    """The money that is left, as the provider said at `asked_at`: at most ten minutes ago, or before if it did not
    answer since. `amount` is null if it never did, `currency` also if the provider does not say it.
    """

    amount: str | None
    currency: str | None
    asked_at: MomentOut | None

    @classmethod
    def of(cls, balance: Balance | None) -> BalanceView | None:
        if balance is None:
            return None
        return cls(amount=balance.amount or None, currency=balance.currency or None, asked_at=balance.asked_at)


class GatewayView(View):
    """The gateway's rate, and whether sending is paused.

    `gateway` is its name, `default` if there is only one; `gateways` are the names of all. `rate` is per second for all
    mailings together, or null for no limit. `rate_counts` says what it counts: `messages`, or SMS `parts` if the
    gateway counts those; then a text of three parts counts as three short ones. `pace` is set after the gateway said
    that there were too many messages (HTTP 429): so many messages per second are sent now, and it grows until it is no
    longer needed and becomes null. `circuit` is `closed` while messages are sent, `open` if sending is paused because
    the gateway is failing (the next try is at `retry_at`), and `held` if an operator paused it. `reason` says why, in
    the operator's words; if the service paused sending, there is a `reason_code`, and the text ends with the gateway's
    own words, if any. `month_budget` is what the messages of each month (UTC) may cost at this gateway, by the price
    list, null for no limit; `month_spent` is what has gone of it. `balance` is what is left of the money, null if the
    gateway does not tell. `changed_by` is empty if the service made the last change.
    """

    gateway: str
    gateways: list[str]
    rate: int | None
    rate_counts: Literal["messages", "parts"]
    pace: float | None
    month_budget: str | None
    month_spent: str | None
    balance: BalanceView | None
    circuit: Circuit
    opened_at: MomentOut | None
    retry_at: MomentOut | None
    reason: str
    reason_code: Reason | None
    reason_detail: str
    changed_by: str
    changed_at: MomentOut | None

    @classmethod
    def of(cls, line: Line, control: GatewayControl, request: Request) -> GatewayView:
        now, counts_parts = request.services.clock.now(), line.control.counts_parts
        pace = control.pace(now)
        spending = request.services.spending.of_month(line.name, control.month_budget, now)
        return cls(
            gateway=shown(line.name),
            gateways=request.services.gateways.names,
            rate=control.rate,
            rate_counts="parts" if counts_parts else "messages",
            pace=None if pace is None else round(pace, 1),
            month_budget=written(control.month_budget),
            month_spent=written(spending.spent) if spending else None,
            balance=BalanceView.of(request.services.balances().of(line)),
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
    """The rate from now on, in messages or SMS parts as `rate_counts` says, or null for no limit, and what the messages
    of each month may cost, or null. Absent fields stay as they are. It takes effect within seconds. `gateway` must be
    given if there are several.
    """

    model_config = example({"rate": 50})

    rate: Annotated[StrictInt, Field(ge=1, le=MAX_RATE, examples=[50])] | None = None
    month_budget: Money | None = None
    gateway: GatewayName | None = None


class ReasonBody(Body):
    """The reason, shown in the list of changes. Without `gateway` it is for all gateways."""

    model_config = example({"reason": "the text has a wrong number"})

    reason: Annotated[StrictStr, by_rule(check_reason), Field(max_length=MAX_REASON)] = ""
    gateway: GatewayName | None = None


class DeclarationBody(Body):
    """The declaration of a gateway, as docs/gateways.md describes it."""

    model_config = example({"declaration": _EXAMPLE})

    declaration: Annotated[dict[str, Any], Field(examples=[_EXAMPLE])]


class DeclarationView(View):
    """A declaration that can be used. `request` is what it makes of a message, without secrets."""

    name: str
    request: str


class TrialView(View):
    """The result of a test message. `request` is what was sent, with most of the number hidden and without secrets.

    `id` is the reference that the gateway got. `outcome` is as in a message's attempts. `words`, `reference`, `price`
    and `parts` are what the gateway said, if it did. `circuit` is that of mailings, which does not stop a test message.
    """

    id: str
    request: str
    outcome: Outcome
    reason: str
    reason_code: Reason | None
    reason_detail: str
    http_status: int | None
    words: str
    reference: str
    price: str
    parts: int | None
    duration_ms: int
    circuit: Circuit

    @classmethod
    def of(cls, trial: Trial, control: GatewayControl) -> TrialView:
        return cls(
            id=trial.message_id,
            request=trial.request,
            outcome=trial.outcome,
            **reasoned(trial.cause),
            http_status=trial.http_status,
            words=trial.words,
            reference=trial.reference,
            price=trial.price,
            parts=trial.parts,
            duration_ms=trial.duration_ms,
            circuit=control.circuit,
        )


class GatewayChangeView(View):
    """A changed setting. `by` is empty if the service changed it automatically; a rate or a budget of null means no
    limit.
    """

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
            old=_value(change.old),
            new=_value(change.new),
            **_why(change.cause, change.reason),
        )


def _value(value: int | Decimal | str | None) -> int | str | None:
    return written(value) if isinstance(value, Decimal) else value


class GatewayChangePage(View):
    """A page of the changes of the last year, the newest first. There is no total."""

    total: int | None = None
    rows: list[GatewayChangeView]
    next: str | None


class GatewayQuery(BaseModel):
    """The name of a gateway; without it, the first."""

    model_config = ConfigDict(extra="forbid")

    gateway: GatewayName | None = None


class ChangesQuery(PageQuery):
    """A page, and the name of a gateway."""

    gateway: GatewayName | None = None


@routes.route("GET", "/api/gateway")
def read_gateway(request: Request, query: GatewayQuery) -> GatewayView:
    """Read a gateway's rate, and whether sending is paused."""
    line = request.services.gateways.named(query.gateway)
    return GatewayView.of(line, line.control.state(), request)


@routes.route("PATCH", "/api/gateway")
def change_gateway(request: Request, body: GatewayPatch) -> GatewayView:
    """Set a gateway's rate, and what its messages of a month may cost."""
    gateways = request.services.gateways
    if body.gateway is None and gateways.several:
        raise Invalid.of("gateway", Fault.REQUIRED)
    line = gateways.named(body.gateway)
    control, by = line.control.state(), request.principal.username
    if "month_budget" in body.model_fields_set:
        budget = Decimal(body.month_budget) if body.month_budget else None
        if budget is not None:
            request.services.prices().check_there_are_some("month_budget")
        control = line.control.set_month_budget(budget, by)
    if "rate" in body.model_fields_set:
        control = line.control.set_rate(body.rate, by)
    return GatewayView.of(line, control, request)


@routes.route("POST", "/api/gateway/hold")
def hold_gateway(request: Request, body: ReasonBody) -> GatewayView:
    """Pause all sending, or that through one gateway, until it is resumed by hand."""
    lines = request.services.gateways.chosen(body.gateway)
    controls = [line.control.hold(request.principal.username, body.reason) for line in lines]
    return GatewayView.of(lines[0], controls[0], request)


@routes.route("POST", "/api/gateway/close")
def close_gateway(request: Request, body: ReasonBody) -> GatewayView:
    """Resume sending, including waiting messages. Nothing changes if sending is not paused."""
    lines = request.services.gateways.chosen(body.gateway)
    controls = [line.control.close(request.principal.username, body.reason) for line in lines]
    request.services.feeder.ensure()
    return GatewayView.of(lines[0], controls[0], request)


@routes.route("POST", "/api/gateway/check")
def check_declaration(request: Request, body: DeclarationBody) -> DeclarationView:
    """Check the declaration of a gateway, and see the request that it makes. Nothing is sent or saved."""
    from ..gateways.declaration import Declaration  # imported here because it takes 25 ms
    from ..gateways.declared import DeclaredGateway

    try:
        declaration = validate(Declaration, body.declaration)
    except Invalid as error:
        raise Invalid(*(replace(one, field=f"declaration.{one.field}") for one in error.errors)) from error
    settings = request.services.settings
    told = replace(settings, gateway_declaration=declaration.model_dump_json(by_alias=True), gateway_url="")
    if not declaration.url:
        told = replace(told, gateway_url="https://gateway.invalid", gateway_hosts="gateway.invalid")
    gateway = DeclaredGateway(told)
    if gateway.obstacle:
        raise Invalid.of("declaration.url", Fault.AS_TOLD, text=reason_text(Cause(gateway.obstacle)))
    example = Outgoing.of(_EXAMPLE_ID, "+79161234567", "Hello")
    return DeclarationView(name=declaration.name, request=gateway.shown_request(example))


@routes.route("POST", "/api/gateway/test", reads=(KEY,), errors=(Conflict, TooManyRequests))
def test_gateway(request: Request, body: TrialBody) -> TrialView:
    """Send one test message to a number of your own, and see what the gateway answers.

    It belongs to no mailing, and is sent even if sending is paused. At most 5 can be sent in a minute. Send the header
    `Idempotency-Key` to be able to repeat the request safely for 24 hours.
    """
    username = request.principal.username
    line, key = request.services.gateways.named(body.gateway), request.header("idempotency-key")
    trial = request.services.trials().send(body.phone_number, body.text, username, key, body.gateway)
    return TrialView.of(trial, line.control.state())


@routes.route("GET", "/api/gateway/changes")
def list_gateway_changes(request: Request, query: ChangesQuery) -> GatewayChangePage:
    """List who changed a gateway's rate and who paused or resumed sending."""
    control = request.services.gateways.named(query.gateway).control
    changes, after = control.changes(query.place(), query.limit)
    return GatewayChangePage(rows=[GatewayChangeView.of(change) for change in changes], next=query.following(after))
