"""/admin/messages: the messages of all mailings, and everything known about one message."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, StrictStr

from ..domain.errors import Invalid, NotFound
from ..domain.faults import Fault
from ..domain.sent_texts import NoText
from ..domain.statuses import MessageStatus
from ..web.paging import PageQuery
from . import search
from .message_rows import Row, named_statuses, number_of
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _, text_unknown

pages = Pages()


class MessagesQuery(PageQuery):
    """Messages of a mailing, a client, a status; "" means any, because forms send empty fields too."""

    mailing: StrictStr = Field(default="", max_length=100)
    client: StrictStr = Field(default="", max_length=100)
    status: MessageStatus | Literal[""] = ""

    @property
    def filters(self) -> dict[str, str]:
        """The filters of the list, as in its address."""
        given = {"mailing": self.mailing, "client": self.client, "status": str(self.status)}
        return {name: value for name, value in given.items() if value}


@pages.get("/admin/messages")
def list_messages(request: PageRequest, query: MessagesQuery) -> Page:
    """Show messages, those of the newest mailings first."""
    found = request.services.messages.search(
        query.mailing or None, query.client or None, query.status or None, query.place(), query.limit
    )
    rows = [Row(message, found.mailings.get(message.mailing_id)) for message in found.rows]
    values = {"rows": rows, "total": found.total, "next": query.following(found.cursor), "first": not query.cursor}
    who = number_of(request.services.clients, query.client) if query.client else ""
    return Page(
        "messages/list.html",
        {**values, "query": query, "who": who, "only": found.mailings.get(query.mailing), "statuses": named_statuses()},
    )


@pages.post("/admin/messages/find", shows=list_messages)
def find(request: PageRequest) -> Redirect:
    """Go to a phone number, or the id of a message, mailing or client. What was typed is in no address."""
    sought = request.form.text(search.FIELD)
    place = search.place_of(request.services.clients, sought)
    if search.is_message_id(sought):
        try:
            request.services.messages.get(sought)
        except NotFound as error:
            raise Invalid.of(search.FIELD, Fault.AS_TOLD, text=_("is not the ID of a message")) from error
    return Redirect(place)


@pages.get("/admin/messages/{message_id}")
def show_message(request: PageRequest, message_id: str) -> Page:
    """Show the history of one message, with the request to the gateway and its answers."""
    detail = request.services.messages.detail(message_id)
    calls = sum(step.attempt is not None for step in detail.steps)
    values = {"detail": detail, "message": detail.message, "phone": detail.message.phone_number}
    no_text = text_unknown(detail.text) if isinstance(detail.text, NoText) else ""
    # People in a file for one mailing need not be clients.
    known = not detail.mailing.segment.recipients or values["phone"] == number_of(
        request.services.clients, detail.message.client_id
    )
    return Page("messages/message.html", {**values, "no_text": no_text, "calls": calls, "known": known})
