"""/admin/history/: the full history of a mailing, a message or a client."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from ..domain.history import Happening, History, HistoryEvent
from ..domain.messages import message_id_for, parse_message_id
from ..web.fields import Flag
from .audit import action_names
from .message_rows import number_of
from .page_request import PageRequest
from .routing import Page, Pages
from .texts import _

pages = Pages()


class HistoryQuery(BaseModel):
    """Whether the history of a mailing shows the events of its messages, too."""

    model_config = ConfigDict(extra="forbid")

    messages: Flag = False


@pages.get("/admin/history/{about}")
def show_history(request: PageRequest, query: HistoryQuery, about: str) -> Page:
    """Show the history of an id, the earliest event first."""
    history = request.services.history.of(about, messages=query.messages)
    values = {
        "history": history,
        "about": about,
        "section": f"{history.kind}s",
        "name": _name(request, history, about),
        "names": _names(),
        "actions": action_names(),
        "messages": query.messages,
        "message_of": message_of,
    }
    return Page("history.html", values)


def _name(request: PageRequest, history: History, about: str) -> str:
    """The name of a mailing, client or message for people; for client and message the phone number."""
    if history.kind == "mailing":
        return request.services.mailings.get(about).title
    client_id = parse_message_id(about)[1] if history.kind == "message" else about
    return number_of(request.services.clients, client_id)


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
