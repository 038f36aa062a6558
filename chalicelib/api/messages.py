"""/api/messages/: the ledger, read only."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, StrictStr

from ..domain.deliveries import DeliveryStatus, delivery_status_of
from ..domain.errors import NotFound
from ..domain.gateway_routes import shown
from ..domain.mailings import Mailing
from ..domain.messages import Attempt, Message, Outcome
from ..domain.reasons import Reason
from ..domain.sent_texts import NoText
from ..domain.statuses import MessageStatus
from ..services.messages import MessageDetail
from ..web.fields import MomentOut, View
from ..web.paging import PageQuery
from ..web.request import Request
from .reasons import reasoned
from .routing import Routes

routes = Routes("messages")


class AttemptView(View):
    """One call to the gateway and its outcome; `gateway` is which one it was, `default` if there is only one."""

    at: MomentOut
    duration_ms: int
    outcome: Outcome
    reason: str
    reason_code: Reason | None
    reason_detail: str
    http_status: int | None
    gateway: str

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptView:
        return cls(
            at=attempt.at,
            duration_ms=attempt.duration_ms,
            outcome=attempt.outcome,
            **reasoned(attempt.cause),
            http_status=attempt.http_status,
            gateway=shown(attempt.gateway),
        )


class DeliveryView(View):
    """What is known about the message's way to the phone, if the gateway sends receipts.

    `status` is `pending`, `delivered`, `undelivered`, or `no_receipt` if none came within 73 hours. `at` is when it
    happened. `permanent` says that no message will ever reach this number. `parts` is the number of SMS parts, and
    `price` what the gateway charged, if the receipt has them.
    """

    status: DeliveryStatus
    at: MomentOut | None
    reason: str
    reason_code: Reason | None
    reason_detail: str
    permanent: bool
    parts: int | None
    price: str

    @classmethod
    def of(cls, message: Message, now: datetime) -> DeliveryView | None:
        """None if the gateway has not accepted it."""
        status, told = delivery_status_of(message, now), message.delivery
        if status is None:
            return None
        return cls(
            status=status,
            at=told.at if told else None,
            **reasoned(told.cause if told else None),
            permanent=told is not None and told.permanent,
            parts=told.parts if told else None,
            price=told.price if told else "",
        )


class MessageView(View):
    """A message. `mailing_name` is what people know its mailing by: its name, or the beginning of its text; null if the
    mailing was deleted in the meantime. `start_date` is when the message was created, `sending_status` is true once it
    is sent, `due_at` is the time until which it waits, and `phone_number` is the number it goes to.
    """

    id: str
    mailing: str
    mailing_name: str | None
    client: str
    phone_number: str
    status: MessageStatus
    sending_status: bool
    start_date: MomentOut
    sent_at: MomentOut | None
    due_at: MomentOut | None
    reason: str
    reason_code: Reason | None
    reason_detail: str
    attempts: list[AttemptView]
    delivery: DeliveryView | None

    @classmethod
    def of(cls, message: Message, mailing: Mailing | None, now: datetime) -> MessageView:
        return cls(
            id=message.message_id,
            mailing=message.mailing_id,
            mailing_name=mailing.title if mailing else None,
            client=message.client_id,
            phone_number=message.phone_number,
            status=message.status,
            sending_status=message.status is MessageStatus.SENT,
            start_date=message.created_at,
            sent_at=message.sent_at,
            due_at=message.due_at,
            **reasoned(message.cause),
            attempts=[AttemptView.of(attempt) for attempt in message.attempts],
            delivery=DeliveryView.of(message, now),
        )


class MessageDetailView(MessageView):
    """One message. `text` is what the gateway was given, by the last call that it may have taken, or else by the last;
    null if that cannot be told, and then `text_unknown` says why: `not_called`, `not_kept` (the mailing keeps no
    values), `too_large` (they have more than 300 bytes), or `sender_stopped` (in the middle of that call).

    `gateway_id` is the number by which the gateway knows the message, as a string. `request` is the request to the
    gateway, without the token and with the phone number masked; it is empty for the built-in test gateway.
    """

    text: str | None
    text_unknown: NoText | None
    gateway_id: str
    request: str

    @classmethod
    def detailed(cls, detail: MessageDetail, now: datetime) -> MessageDetailView:
        text = detail.text
        return cls(
            **MessageView.of(detail.message, detail.mailing, now).__dict__,
            text=None if isinstance(text, NoText) else text,
            text_unknown=text if isinstance(text, NoText) else None,
            gateway_id=str(detail.gateway_id),
            request=detail.request,
        )


class MessageQuery(PageQuery):
    """Messages of a mailing, of a client, of a status; without a mailing those of the newest mailings first."""

    mailing: StrictStr | None = Field(default=None, max_length=100)
    client: StrictStr | None = Field(default=None, max_length=100)
    status: MessageStatus | None = None


class MessagePage(View):
    """A page of messages. A page may be short or empty; the list ends when `next` is null.

    `total` is null if counting would be too slow: for one client, and for the status sending.
    """

    total: int | None
    rows: list[MessageView]
    next: str | None


@routes.route("GET", "/api/messages", errors=(NotFound,))
def list_messages(request: Request, query: MessageQuery) -> MessagePage:
    """List messages."""
    page = request.services.messages.search(query.mailing, query.client, query.status, query.place(), query.limit)
    now = request.services.clock.now()
    return MessagePage(
        total=page.total,
        rows=[MessageView.of(message, page.mailings.get(message.mailing_id), now) for message in page.rows],
        next=query.following(page.cursor),
    )


@routes.route("GET", "/api/messages/{message_id}", errors=(NotFound,))
def read_message(request: Request, message_id: str) -> MessageDetailView:
    """Read one message with its attempts, the text as it was sent, and the request to the gateway.

    `/api/history/{message_id}/` has what happened to it, step by step.
    """
    return MessageDetailView.detailed(request.services.messages.detail(message_id), request.services.clock.now())
