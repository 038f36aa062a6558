"""/admin/replies: what people write back."""

from __future__ import annotations

from pydantic import Field, StrictStr

from ..domain.clients import masked_phone
from ..web.paging import PageQuery
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
            "rows": [(masked_phone(reply.phone_number), reply) for reply in rows],
            "client": query.client,
            "on": request.services.settings.gateway_receipts,
            "next": query.following(after),
            "first": not query.cursor,
        },
    )
