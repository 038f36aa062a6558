"""/admin/trace/: the full history of a mailing, a message or a client."""

from __future__ import annotations

from ..domain.history import Happening, HistoryEvent
from ..domain.messages import message_id_for
from .page_request import PageRequest
from .routing import Page, Pages
from .texts import _

pages = Pages()


@pages.get("/admin/trace/{about}")
def show_history(request: PageRequest, about: str) -> Page:
    """Show the history of an id, the earliest event first."""
    history = request.services.histories.of(about)
    values = {
        "history": history,
        "about": about,
        "section": f"{history.kind}s",
        "names": _names(),
        "message_of": message_of,
    }
    return Page("history.html", values)


def message_of(event: HistoryEvent) -> str:
    """The id of the message that an event is about, "" if it is about none."""
    return message_id_for(event.mailing_id, event.client_id) if event.mailing_id and event.client_id else ""


def _names() -> dict[Happening, str]:
    return {
        Happening.CLIENT_CREATED: _("Client added"),
        Happening.CLIENT_CHANGED: _("Client changed"),
        Happening.ORDERED: _("Mailing created"),
        Happening.MAILING: _("Mailing"),
        Happening.FIRST_SENT: _("First message sent"),
        Happening.LAST_SENT: _("Last message sent"),
        Happening.WRITTEN: _("Message created"),
        Happening.ATTEMPT: _("Gateway call"),
        Happening.MESSAGE: _("Message"),
        Happening.DELIVERED: _("Delivered"),
        Happening.UNDELIVERED: _("Not delivered"),
    }
