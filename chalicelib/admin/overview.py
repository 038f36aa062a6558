"""/admin: what is going on now, what is next, and how the last day was."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from ..domain.mailings import Segment
from ..domain.reports import Day
from ..services.overviews import Overview
from . import charts, formats
from .charts import FAILED, OTHER, SENT, Bucket, Series
from .routing import Page, Pages
from .texts import _
from .visits import Visit

pages = Pages()
_HOURS = 24


@pages.get("/admin")
def show_overview(visit: Visit) -> Page:
    """Show what is going on."""
    now = _now(visit)
    begun = any(now.mailings.values())
    clients = None if begun else visit.services.clients.count(Segment())
    values = {
        "now": now,
        "chart": _chart(visit) if begun else None,
        "begun": begun,
        "clients": clients,
        "shares": charts.shares,
    }
    return Page("overview/page.html", values)


@pages.get("/admin/overview/now")
def show_now(visit: Visit) -> Page:
    """The part of the page that is looked at every few seconds."""
    return Page("overview/now.html", {"now": _now(visit), "shares": charts.shares})


@pages.get("/admin/overview/hours")
def show_hours(visit: Visit) -> Page:
    """The part of the page that is looked at now and then."""
    return Page("overview/hours.html", {"chart": _chart(visit)})


def _now(visit: Visit) -> Overview:
    today = Day.of(visit.local(visit.now).date(), visit.zone_name)
    return visit.services.overviews.look(today.start)


def _chart(visit: Visit) -> charts.Columns:
    series = (Series(SENT, _("sent")), Series(FAILED, _("failed")), Series(OTHER, _("not sent for another reason")))
    buckets = [
        Bucket(f"{local:%H:%M}", _grouped(counts), formats.clock(local)) for local, counts in _local_hours(visit)
    ]
    return charts.columns("hours", _("The last 24 hours"), series, buckets)


def _local_hours(visit: Visit) -> list[tuple[datetime, Counter[str]]]:
    return [(visit.local(hour), counts) for hour, counts in visit.services.overviews.last_hours(_HOURS)]


def _grouped(counts: Counter[str]) -> dict[str, int]:
    return {
        SENT: counts["sent"],
        FAILED: counts["failed"],
        OTHER: counts.total() - counts["sent"] - counts["failed"],
    }
