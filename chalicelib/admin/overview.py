"""/admin: what is going on now, what is next, and how the last day was."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from ..domain.reports import Day
from ..domain.segments import Segment
from ..services.overviews import Overview
from . import charts, formats
from .charts import FAILED, OTHER, SENT, Bucket, Series
from .page_request import PageRequest
from .routing import Page, Pages
from .texts import _

pages = Pages()
_HOURS = 24


@pages.get("/admin")
def show_overview(request: PageRequest) -> Page:
    """Show what is going on."""
    now = _now(request)
    begun = any(now.mailings.values())
    clients = None if begun else request.services.clients.count(Segment())
    values = {
        **_moving(request, now),
        "begun": begun,
        "clients": clients,
    }
    return Page("overview/page.html", values)


@pages.get("/admin/overview/now")
def show_now(request: PageRequest) -> Page:
    """Everything on the page that changes, as of one moment; the page asks for it every few seconds."""
    return Page("overview/now.html", _moving(request, _now(request)))


def _moving(request: PageRequest, now: Overview) -> dict[str, object]:
    begun = any(now.mailings.values())
    return {"now": now, "chart": _chart(request) if begun else None, "shares": charts.shares}


def _now(request: PageRequest) -> Overview:
    today = Day.of(request.local(request.now).date(), request.zone_name)
    return request.services.overviews.look(today.start)


def _chart(request: PageRequest) -> charts.Columns:
    series = (Series(SENT, _("sent")), Series(FAILED, _("failed")), Series(OTHER, _("not sent for another reason")))
    buckets = [
        Bucket(f"{local:%H:%M}", _grouped(counts), formats.clock(local)) for local, counts in _local_hours(request)
    ]
    return charts.columns("hours", _("The last 24 hours"), series, buckets)


def _local_hours(request: PageRequest) -> list[tuple[datetime, Counter[str]]]:
    return [(request.local(hour), counts) for hour, counts in request.services.overviews.last_hours(_HOURS)]


def _grouped(counts: Counter[str]) -> dict[str, int]:
    return {
        SENT: counts["sent"],
        FAILED: counts["failed"],
        OTHER: counts.total() - counts["sent"] - counts["failed"],
    }
