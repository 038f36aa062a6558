"""/api/audit/: what users did."""

from __future__ import annotations

from ..domain.audit import AuditAction, AuditEntry, AuditObject, Change, Value
from ..web.audit import AuditQuery
from ..web.exports import AuditExportQuery, audit_csv
from ..web.fields import MomentOut, View
from ..web.parsing import CSV
from ..web.request import ADMINS, Request, Text
from .exports import LINK, NAME
from .routing import Routes

routes = Routes("audit")


class ChangeView(View):
    """A field that got another value. Both are null if the values are not kept, as for passwords and a client's
    personal data; of phone numbers only the ends are kept.
    """

    field: str
    old: Value
    new: Value

    @classmethod
    def of(cls, change: Change) -> ChangeView:
        return cls(field=change.field, old=change.old, new=change.new)


class AuditEntryView(View):
    """What a user did. `object_id` is null if there is only one such object; `name` is its name for people. `count`
    is how many messages or rows it was about, or null.
    """

    id: str
    at: MomentOut
    user: str
    action: AuditAction
    object: AuditObject
    object_id: str | None
    name: str
    changes: list[ChangeView]
    count: int | None

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditEntryView:
        act = entry.act
        return cls(
            id=entry.entry_id,
            at=entry.at,
            user=entry.by,
            action=act.action,
            object=act.object,
            object_id=act.object_id or None,
            name=act.name,
            changes=[ChangeView.of(change) for change in act.changes],
            count=act.count,
        )


class AuditPage(View):
    """A page of the audit log; `next` is the cursor of the next page. A page may be short, or empty, before that."""

    rows: list[AuditEntryView]
    next: str | None


@routes.route("GET", "/api/audit", roles=ADMINS)
def list_audit_entries(request: Request, query: AuditQuery) -> AuditPage:
    """List what users did in the last two years, the newest first."""
    entries, after = request.services.audit.list(query.wanted, query.place(), query.limit)
    return AuditPage(rows=[AuditEntryView.of(entry) for entry in entries], next=query.following(after))


@routes.route("GET", "/api/audit/export", roles=ADMINS, produces=CSV, answers=(LINK, NAME))
def export_audit_entries(request: Request, query: AuditExportQuery) -> Text:
    """Get a page of what users did as CSV, in pages like the export of clients."""
    return audit_csv(request, query, "/api/audit/export")
