"""/api/history/: the full history of a mailing, a message or a client."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..domain.audit import AuditAction
from ..domain.budgets import PausedFor
from ..domain.errors import NotFound
from ..domain.history import Happening, HistoryEvent
from ..domain.messages import Outcome, message_id_for
from ..domain.reasons import Reason
from ..web.fields import Flag, MomentOut, View
from ..web.request import Request
from ..wording import reason_text
from .audit import ChangeView
from .routing import Routes

routes = Routes("history")


class HistoryEventView(View):
    """An event; fields that do not apply are null. `status` is the status of the message, or else of the mailing, and
    `paused_for` says why the service paused the mailing by itself.

    `until` is when a waiting message is due, `number` counts the attempts of a message, and `by` is the user. What
    a user did has its `action`, the `changes` of fields, and the `count` of messages, as the audit log has them.
    """

    at: MomentOut
    what: Happening
    mailing: str | None
    client: str | None
    message: str | None
    status: str | None
    paused_for: PausedFor | None
    outcome: Outcome | None
    number: int | None
    duration_ms: int | None
    http_status: int | None
    reason: str | None
    reason_code: Reason | None
    reason_detail: str | None
    until: MomentOut | None
    by: str | None
    action: AuditAction | None
    changes: list[ChangeView]
    count: int | None

    @classmethod
    def of(cls, event: HistoryEvent) -> HistoryEventView:
        mailing, client, act = event.mailing_id, event.client_id, event.act
        return cls(
            at=event.at,
            what=event.what,
            mailing=mailing,
            client=client,
            message=message_id_for(mailing, client) if mailing and client else None,
            status=event.status,
            paused_for=event.paused_for,
            outcome=event.outcome,
            number=event.number,
            duration_ms=event.duration_ms,
            http_status=event.http_status,
            reason=reason_text(event.cause) or None,
            reason_code=event.cause.reason if event.cause else None,
            reason_detail=event.cause.detail or None if event.cause else None,
            until=event.until,
            by=event.by or None,
            action=act.action if act else None,
            changes=[ChangeView.of(change) for change in act.changes] if act else [],
            count=act.count if act else None,
        )


class HistoryQuery(BaseModel):
    """Whether the history of a mailing has the events of its messages, too."""

    model_config = ConfigDict(extra="forbid")

    messages: Flag = True


class HistoryView(View):
    """The history of a mailing, a message or a client, the earliest event first.

    `complete` is false if not everything is shown: for a mailing, up to 50 messages, failed ones first; for a client,
    up to 50 of the newest mailings. What users did is kept for two years. The log has what the tables do not keep.
    """

    id: str
    kind: Literal["mailing", "message", "client"]
    complete: bool
    events: list[HistoryEventView]


@routes.route("GET", "/api/history/{about}", errors=(NotFound,))
def read_history(request: Request, query: HistoryQuery, about: str) -> HistoryView:
    """Read the full history of a mailing, a message or a client, by its id."""
    history = request.services.history.of(about, messages=query.messages)
    return HistoryView.model_validate(
        {
            "id": about,
            "kind": history.kind,
            "complete": history.complete,
            "events": [HistoryEventView.of(event) for event in history.events],
        }
    )
