"""/api/mailing/: creating, reading and changing mailings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import StrictBool, field_validator

from ..bootstrap import Services
from ..domain.budgets import PausedFor, written
from ..domain.errors import Conflict, NotFound
from ..domain.idempotency import MAX_KEY_LENGTH, IdempotencyKey
from ..domain.mailings import Late, Mailing, MailingState, Missing, OnUnknown
from ..domain.segments import Segment
from ..domain.statuses import MailingStatus
from ..domain.templates import Template, TemplateLink
from ..services.mailing_fields import MailingFields
from ..web.bodies import (
    EndTime,
    GatewayName,
    LocalWindowBody,
    MailingBody,
    MailingName,
    MailingText,
    Money,
    NewMailingBody,
    Rate,
    SegmentBody,
    StartTime,
    TemplateGiven,
    Texts,
    one_source,
    texts_of,
)
from ..web.fields import Body, MomentOut, View, example
from ..web.filters import FilterBody
from ..web.paging import PageQuery
from ..web.request import Request
from .routing import Created, Header, Routes
from .templates import template_of

routes = Routes("mailing")
IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "A key for this request. Repeating it within 24 hours creates no second mailing.",
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": "^[!-~]+$"},
)


class MailingPatch(Body):
    """The fields of a mailing to change. Absent fields stay as they are; `clients` is replaced as a whole."""

    model_config = example({"text": "Hello again"})

    name: MailingName | None = None
    template: TemplateGiven = None
    text: MailingText = ""
    clients: SegmentBody = SegmentBody()
    start_time: StartTime = None  # type: ignore[assignment]
    end_time: EndTime = None  # type: ignore[assignment]
    local_window: LocalWindowBody | None = None
    rate_limit: Rate | None = None
    on_unknown: OnUnknown = OnUnknown.RETRY
    late: Late = Late.RUN
    include_unreachable: StrictBool = False
    texts: Texts | None = None
    missing: Missing = Missing.SKIP
    keep_values: StrictBool = True
    budget: Money | None = None
    gateway: GatewayName | None = None

    _one_source = field_validator("text", "texts")(one_source)

    def over(self, mailing: Mailing, template: Template | None = None, saved: Segment | None = None) -> MailingFields:
        """The mailing's fields with these changes, including the texts of a template and a saved segment."""
        merged: dict[str, Any] = {
            "name": mailing.name or None,
            "text": mailing.text,
            "clients": None,
            "start_time": mailing.start_at,
            "end_time": mailing.end_at,
            "local_window": None,
            "rate_limit": mailing.rate_limit,
            "on_unknown": mailing.on_unknown,
            "late": mailing.late,
            "include_unreachable": mailing.include_unreachable,
            "texts": dict(mailing.texts),
            "missing": mailing.missing,
            "keep_values": mailing.keep_values,
            "budget": mailing.budget,
            "gateway": mailing.gateway or None,
        }
        merged |= {name: getattr(self, name) for name in self.model_fields_set}
        window = mailing.local_window
        if "local_window" in self.model_fields_set:
            window = self.local_window.window() if self.local_window else None
        return MailingFields(
            text=template.text if template else merged["text"],
            segment=self.clients.segment(saved) if "clients" in self.model_fields_set else mailing.segment,
            start_at=merged["start_time"],
            end_at=merged["end_time"],
            name=merged["name"] or "",
            on_unknown=merged["on_unknown"],
            rate_limit=merged["rate_limit"],
            local_window=window,
            late=merged["late"],
            include_unreachable=merged["include_unreachable"],
            texts=template.texts if template else texts_of(merged["texts"]),
            missing=merged["missing"],
            gateway=merged["gateway"] or "",
            template=template.link if template else None,
            keep_values=merged["keep_values"],
            budget=Decimal(merged["budget"]) if merged["budget"] else None,
        )


class TemplateLinkView(View):
    """The version of a template that a mailing's texts are copied from, and the name that it had then."""

    id: str
    version: int
    name: str

    @classmethod
    def of(cls, link: TemplateLink) -> TemplateLinkView:
        return cls(id=link.template_id, version=link.version, name=link.name)


class SegmentView(View):
    """Who gets a mailing, in an answer: a single value, a list of several, or null for all."""

    tag: str | list[str] | None
    operator: str | list[str] | None
    filter: FilterBody | None
    recipients: str | None

    @classmethod
    def of(cls, segment: Segment) -> SegmentView:
        return cls(
            tag=_echo(segment.tags),
            operator=_echo(segment.operators),
            filter=FilterBody.of(segment.filter) if segment.filter else None,
            recipients=segment.recipients or None,
        )


def _echo(values: tuple[str, ...]) -> str | list[str] | None:
    if not values:
        return None
    return values[0] if len(values) == 1 else list(values)


class CountsView(View):
    """A mailing's messages by status; they add up to `total`. Messages being sent right now count as queued."""

    total: int
    queued: int
    waiting: int
    sent: int
    failed: int
    unknown: int
    expired: int
    cancelled: int
    skipped: int


class MailingView(View):
    """A mailing in an answer; `name` is the beginning of its text if it was given none."""

    id: str
    name: str
    text: str
    clients: SegmentView
    start_time: MomentOut
    end_time: MomentOut
    local_window: LocalWindowBody | None
    rate_limit: int | None
    on_unknown: OnUnknown
    late: Late
    include_unreachable: bool
    texts: dict[str, str]
    missing: Missing
    keep_values: bool
    budget: str | None
    spent: str | None
    paused_for: PausedFor | None
    gateway: str | None
    template: TemplateLinkView | None
    status: MailingStatus
    counts: CountsView
    created_by: str
    created_at: MomentOut
    updated_at: MomentOut
    launched_at: MomentOut | None
    finished_at: MomentOut | None

    @classmethod
    def of(cls, state: MailingState) -> MailingView:
        mailing = state.mailing
        return cls(
            id=mailing.mailing_id,
            name=mailing.title,
            text=mailing.text,
            clients=SegmentView.of(mailing.segment),
            start_time=mailing.start_at,
            end_time=mailing.end_at,
            local_window=LocalWindowBody.of(mailing.local_window) if mailing.local_window else None,
            rate_limit=mailing.rate_limit,
            on_unknown=mailing.on_unknown,
            late=mailing.late,
            include_unreachable=mailing.include_unreachable,
            texts=dict(mailing.texts),
            missing=mailing.missing,
            keep_values=mailing.keep_values,
            budget=written(mailing.budget),
            spent=written(state.spent if state.spending else None),
            paused_for=mailing.paused_for,
            gateway=mailing.gateway or None,
            template=TemplateLinkView.of(mailing.template) if mailing.template else None,
            status=mailing.status,
            counts=CountsView(**state.statistics.counts()),
            created_by=mailing.created_by,
            created_at=mailing.created_at,
            updated_at=mailing.updated_at,
            launched_at=mailing.launched_at,
            finished_at=mailing.finished_at,
        )


class MailingQuery(PageQuery):
    """All mailings, the newest first, or those of one status, the latest start first."""

    status: MailingStatus | None = None


class MailingPage(View):
    """A page of mailings; `next` is the cursor of the next page."""

    total: int
    rows: list[MailingView]
    next: str | None


def view_of(services: Services, mailing: Mailing) -> MailingView:
    """The mailing with its counts, which are read only if there can be any."""
    return MailingView.of(services.mailings.with_counts(mailing))


def saved_of(services: Services, given: SegmentBody) -> Segment | None:
    """The content of the saved segment that a body names, None if it names none. Raises Invalid if there is none."""
    return None if given.saved is None else services.segments().chosen(given.saved)


def created(
    request: Request, fields: MailingFields, asked: str, *, draft: bool = False, saved: bool = False
) -> Created[MailingView]:
    """Create a mailing, or return the one that was created with the same key for the same request (`asked`)."""
    username = request.principal.username
    key = request.header("idempotency-key")
    request_key = IdempotencyKey.of(key, username, asked) if key is not None else None
    mailing = request.services.mailings.create(fields, username, request_key, draft=draft, saved=saved)
    return Created(view_of(request.services, mailing), f"/api/mailing/{mailing.mailing_id}")


@routes.route("POST", "/api/mailing", reads=(IDEMPOTENCY_KEY,))
def create_mailing(request: Request, body: NewMailingBody) -> Created[MailingView]:
    """Create a mailing. It starts automatically at its `start_time`, or right away if that has passed; a draft waits
    until it is scheduled or launched.

    Send the header `Idempotency-Key` to be able to repeat the request safely for 24 hours: you get the same answer
    and only one mailing is created. The same key with another body is refused.
    """
    saved = saved_of(request.services, body.clients)
    fields = body.fields(template_of(request.services, body.template), saved)
    return created(request, fields, body.content(), draft=body.draft, saved=saved is not None)


@routes.route("GET", "/api/mailing")
def list_mailings(request: Request, query: MailingQuery) -> MailingPage:
    """List mailings."""
    totals = request.services.mailings.totals()
    mailings, after = request.services.mailings.list(query.status, query.place(), query.limit)
    return MailingPage(
        total=totals.get(query.status, 0) if query.status else sum(totals.values()),
        rows=[view_of(request.services, mailing) for mailing in mailings],
        next=query.following(after),
    )


@routes.route("GET", "/api/mailing/{mailing_id}", errors=(NotFound,))
def read_mailing(request: Request, mailing_id: str) -> MailingView:
    """Read one mailing with its counts."""
    return MailingView.of(request.services.mailings.state(mailing_id))


@routes.route("PUT", "/api/mailing/{mailing_id}", errors=(NotFound, Conflict))
def replace_mailing(request: Request, mailing_id: str, body: MailingBody) -> MailingView:
    """Set all fields of a mailing that has not started."""
    fields = body.fields(template_of(request.services, body.template), saved_of(request.services, body.clients))
    return view_of(request.services, request.services.mailings.change(mailing_id, fields))


@routes.route("PATCH", "/api/mailing/{mailing_id}", errors=(NotFound, Conflict))
def change_mailing(request: Request, mailing_id: str, body: MailingPatch) -> MailingView:
    """Change some fields of a mailing.

    All fields can be changed until it starts. After that, `name`, `end_time`, `rate_limit` and `budget` can be changed
    while it is running, also `on_unknown` while it is paused, and `end_time` and `budget` once it has finished, so that
    it can be retried. A new `end_time` takes effect immediately. Messages that had expired are then sent automatically,
    or by a retry if the mailing has finished.
    """
    template, saved = template_of(request.services, body.template), saved_of(request.services, body.clients)
    changed = request.services.mailings.revise(mailing_id, lambda old: body.over(old, template, saved))
    return view_of(request.services, changed)


@routes.route("DELETE", "/api/mailing/{mailing_id}", errors=(NotFound, Conflict))
def delete_mailing(request: Request, mailing_id: str) -> None:
    """Delete a mailing that is not running or paused, and its messages."""
    request.services.mailing_actions.delete(mailing_id)
