"""/admin/sending: the line on every page that says whether anything is being sent."""

from __future__ import annotations

from .page_request import PageRequest
from .routing import Page, Pages

pages = Pages()


@pages.get("/admin/sending")
def show_sending(request: PageRequest) -> Page:
    """Only the line, for pages on which nothing else changes."""
    del request
    return Page("sending/now.html")
