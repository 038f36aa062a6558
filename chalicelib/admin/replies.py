"""/admin/replies: what people write back."""

from __future__ import annotations

from pydantic import Field, StrictStr

from ..web.paging import PageQuery
from .message_rows import number_of
from .page_request import PageRequest
from .routing import Page, Pages

pages = Pages()


class RepliesQuery(PageQuery):
    """Replies of a client, "" for all."""

    client: StrictStr = Field(default="", max_length=100)


@pages.get("/admin/replies")
def list_replies(request: PageRequest, query: RepliesQuery) -> Page:
    """Show replies, the newest first."""
    rows, after = request.services.replies().list(query.client, query.place(), query.limit)
    return Page(
        "replies/list.html",
        {
            "rows": rows,
            "total": request.services.replies().total(),
            "client": query.client,
            "who": number_of(request.services.clients, query.client) if query.client else "",
            "on": request.services.settings.gateway_receipts,
            "next": query.following(after),
            "first": not query.cursor,
        },
    )
