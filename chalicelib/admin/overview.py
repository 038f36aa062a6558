"""/admin: what is going on now."""

from __future__ import annotations

from .routing import Page, Pages
from .visits import Visit

pages = Pages()


@pages.get("/admin")
def show_overview(visit: Visit) -> Page:
    """Show what is going on."""
    return Page("overview/page.html", {"totals": visit.services.mailings.totals()})
