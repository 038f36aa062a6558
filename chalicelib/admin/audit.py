"""/admin/audit: what users did, for admins."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from urllib.parse import urlencode

from pydantic import Field, StrictStr

from ..domain.audit import AuditAction, AuditFilter, AuditObject
from ..domain.users import MAX_USERNAME_LENGTH
from ..web.exports import AuditExportQuery, audit_csv
from ..web.paging import PageQuery
from ..web.request import ADMINS, Text
from .page_request import PageRequest
from .routing import Page, Pages
from .texts import _

pages = Pages()
# The pages of objects, before their ids.
PATHS: Mapping[AuditObject, str] = {
    AuditObject.MAILING: "/admin/mailings/",
    AuditObject.CLIENT: "/admin/clients/",
    AuditObject.TEMPLATE: "/admin/templates/",
    AuditObject.USER: "/admin/users/",
}


class AuditPageQuery(PageQuery):
    """The query of the filter form: "" means any; dates are whole days in the user's own zone."""

    user: StrictStr = Field(default="", max_length=MAX_USERNAME_LENGTH)
    action: AuditAction | Literal[""] = ""
    object: AuditObject | Literal[""] = ""
    id: StrictStr = Field(default="", max_length=200)
    first: date | Literal[""] = ""
    last: date | Literal[""] = ""

    def wanted(self, request: PageRequest) -> AuditFilter:
        """The filter. Dates are limited to 1970 to 2200."""
        since = _midnight(self.first, request) if self.first else None
        until = _midnight(self.last + timedelta(days=1), request) if self.last and self.last < date.max else None
        return AuditFilter(
            by=self.user.strip(),
            action=self.action or None,
            object=self.object or None,
            object_id=self.id.strip(),
            since=since,
            until=until,
        )

    @property
    def filters(self) -> dict[str, str]:
        """The filters of the list, as in its address."""
        given = self.model_dump(mode="json", exclude={"limit", "cursor"})
        return {name: str(value) for name, value in given.items() if value}


def _midnight(day: date, request: PageRequest) -> datetime:
    known = min(max(day, date(1970, 1, 2)), date(2200, 1, 1))
    return datetime.combine(known, time(), request.zone).astimezone(UTC)


@pages.get("/admin/audit", roles=ADMINS)
def list_audit_entries(request: PageRequest, query: AuditPageQuery) -> Page:
    """Show what users did, the newest first."""
    wanted = query.wanted(request)
    entries, after = request.services.audit.list(wanted, query.place(), query.limit)
    given = {"user": wanted.by, "action": wanted.action, "object": wanted.object, "id": wanted.object_id}
    span = {"since": wanted.since, "until": wanted.until}
    given |= {name: moment.isoformat() for name, moment in span.items() if moment}
    return Page(
        "audit/list.html",
        {
            "entries": entries,
            "query": query,
            "next": query.following(after),
            "first": not query.cursor,
            "actions": action_names(),
            "objects": object_names(),
            "paths": PATHS,
            "exported": urlencode({name: value for name, value in given.items() if value}),
        },
    )


@pages.get("/admin/audit/export", roles=ADMINS)
def export_audit_entries(request: PageRequest, query: AuditExportQuery) -> Text:
    """What users did as CSV, page by page, as the API gives it."""
    return audit_csv(request, query, "/admin/audit/export")


def action_names() -> dict[AuditAction, str]:
    """Names of actions, for people."""
    return {
        AuditAction.CREATED: _("created"),
        AuditAction.CHANGED: _("changed"),
        AuditAction.DELETED: _("deleted"),
        AuditAction.SCHEDULED: _("scheduled"),
        AuditAction.LAUNCHED: _("started now"),
        AuditAction.PAUSED: _("paused"),
        AuditAction.RESUMED: _("resumed"),
        AuditAction.CANCELLED: _("cancelled"),
        AuditAction.RETRIED: _("retried"),
        AuditAction.DISCARDED: _("discarded"),
        AuditAction.OPTED_OUT: _("opted out"),
        AuditAction.OPTED_IN: _("opted in again"),
        AuditAction.IMPORTED: _("imported"),
        AuditAction.EXPORTED: _("exported"),
        AuditAction.SENT: _("sent"),
        AuditAction.SIGNED_IN: _("signed in"),
        AuditAction.SIGNED_OUT: _("signed out"),
    }


def object_names() -> dict[AuditObject, str]:
    """Names of objects, for people."""
    return {
        AuditObject.MAILING: _("Mailing"),
        AuditObject.CLIENT: _("Client"),
        AuditObject.CLIENTS: _("Clients"),
        AuditObject.TEMPLATE: _("Template"),
        AuditObject.SEGMENT: _("Saved group"),
        AuditObject.PRICES: _("Prices"),
        AuditObject.GATEWAY: _("Gateway"),
        AuditObject.FAILED_MESSAGES: _("Failed messages"),
        AuditObject.REPORT: _("Daily report"),
        AuditObject.USER: _("User"),
        AuditObject.AUDIT: _("Log of actions"),
    }
