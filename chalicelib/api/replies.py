"""/api/replies/: what people write back."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, StrictStr

from ..domain.replies import Keyword, Reply
from ..web.fields import MomentOut, View
from ..web.paging import PageQuery
from ..web.request import Request
from .routing import Routes

routes = Routes("replies")


class ReplyView(View):
    """A reply. `client` had the number when the reply came, and `message` is the message that it answers if the gateway
    names it, of the `mailing` that people know by `mailing_name`; otherwise they are null. So is the name of a mailing
    that was deleted in the meantime. `to` is the number or name that it was sent to. `at` is when it was written
    according to the gateway, `received_at` when it came. `keyword` is set if the text is such a word and nothing else;
    the service does not act on it.
    """

    id: str
    gateway: str
    phone_number: str
    text: str
    to: str
    at: MomentOut
    received_at: MomentOut
    keyword: Keyword | None
    client: str | None
    message: str | None
    mailing: str | None
    mailing_name: str | None

    @classmethod
    def of(cls, reply: Reply, titles: Mapping[str, str]) -> ReplyView:
        return cls(
            id=reply.reply_id,
            gateway=reply.gateway,
            phone_number=reply.phone_number,
            text=reply.text,
            to=reply.to,
            at=reply.at,
            received_at=reply.received_at,
            keyword=reply.keyword,
            client=reply.client_id or None,
            message=reply.message_id or None,
            mailing=reply.mailing_id or None,
            mailing_name=titles.get(reply.mailing_id),
        )


class ReplyQuery(PageQuery):
    """Replies of a client, or of everybody."""

    client: StrictStr = Field(default="", max_length=100)


class ReplyPage(View):
    """A page of replies; `next` is the cursor of the next page. `total` counts all that ever came, including those that
    are no longer kept.
    """

    total: int
    rows: list[ReplyView]
    next: str | None


@routes.route("GET", "/api/replies")
def list_replies(request: Request, query: ReplyQuery) -> ReplyPage:
    """List replies, the newest first. They are kept as long as messages."""
    rows, after = request.services.replies().list(query.client, query.place(), query.limit)
    total = request.services.replies().total()
    titles = request.services.mailings.titles(one.mailing_id for one in rows)
    return ReplyPage(total=total, rows=[ReplyView.of(one, titles) for one in rows], next=query.following(after))
