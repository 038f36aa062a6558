"""/api/queues/ and /api/dead-letters/: what the queues hold, and messages that failed for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StrictBool, StrictStr

from ..domain.messages import message_id_for
from ..domain.reasons import Reason
from ..services.dead_letters import DeadLetter
from ..web.fields import Body, MomentOut, View, example
from ..web.paging import LimitQuery
from ..web.request import Request
from .reasons import reasoned
from .routing import Routes

routes = Routes("queues")
_AT_ONCE = 1000
_LETTER = "0f6c5a2e-6a5b-4a3c-9a55-3d1f5c9d2b11"

Items = Annotated[
    list[Annotated[StrictStr, Field(min_length=1, max_length=100)]], Field(max_length=_AT_ONCE, examples=[[_LETTER]])
]


class QueueView(View):
    """About how many messages a queue holds: waiting, delayed, and in progress."""

    name: str
    visible: int
    delayed: int
    in_flight: int


class QueueList(View):
    """All queues. Those whose names end in `-dead` hold what failed for good."""

    rows: list[QueueView]


class DeadLetterView(View):
    """An entry of the list of failed messages. `message` is the message's id, or null if the body is not a message of
    this service. `mailing_name` is what people know its mailing by, null if that was deleted in the meantime.

    An entry for several messages is listed once for each of them, with the same id: they are retried together.
    """

    id: str
    message: str | None
    mailing: str | None
    mailing_name: str | None
    client: str | None
    reason: str
    reason_code: Reason | None
    reason_detail: str
    body: str
    given_up_at: MomentOut

    @classmethod
    def of(cls, letter: DeadLetter, titles: Mapping[str, str]) -> DeadLetterView:
        mailing_id, client_id = letter.about or (None, None)
        return cls(
            id=letter.item,
            message=message_id_for(*letter.about) if letter.about else None,
            mailing=mailing_id,
            mailing_name=titles.get(mailing_id) if mailing_id else None,
            client=client_id,
            **reasoned(letter.cause),
            body=letter.body,
            given_up_at=letter.given_up_at,
        )


class DeadLetterList(View):
    """Failed messages; `total` is approximate."""

    total: int
    rows: list[DeadLetterView]


class RedriveBody(Body):
    """Which failed messages to retry: those with these ids, or all if null. With `unknown`, also those with an
    unknown outcome.
    """

    model_config = example({"ids": [_LETTER]})

    ids: Items | None = None
    unknown: StrictBool = False


class RedriveView(View):
    """The result. `settled` counts messages that no longer need a retry; those in `refused` stay in the list, or were
    not found there.
    """

    put_back: int
    settled: int
    refused: dict[str, str]


class DiscardBody(Body):
    """Which failed messages."""

    model_config = example({"ids": [_LETTER]})

    ids: Items


class DiscardView(View):
    """How many failed messages were discarded. `missing` ids were not found: they are gone, or others work on them."""

    discarded: int
    missing: int


@routes.route("GET", "/api/queues")
def list_queues(request: Request) -> QueueList:
    """Read about how many messages each queue holds."""
    rows = []
    for name, queue in request.services.queues.items():
        depths = queue.depths()
        rows.append(QueueView(name=name, visible=depths.visible, delayed=depths.delayed, in_flight=depths.in_flight))
    return QueueList(rows=rows)


@routes.route("GET", "/api/dead-letters")
def list_dead_letters(request: Request, query: LimitQuery) -> DeadLetterList:
    """List messages that failed for good, with the reason. SQS returns them in no order and without pages."""
    letters = request.services.dead_letters.list(query.limit)
    total = request.services.queues["send-dead"].depths().visible
    titles = request.services.mailings.titles(letter.about[0] for letter in letters if letter.about)
    rows = [DeadLetterView.of(letter, titles) for letter in letters]
    return DeadLetterList(total=max(total, len(letters)), rows=rows)


@routes.route("POST", "/api/dead-letters/redrive")
def redrive_dead_letters(request: Request, body: RedriveBody) -> RedriveView:
    """Retry failed messages, up to 1000 at a time. End, pause, opt-out and local hours are checked again.

    A message whose outcome is unknown is retried only if `unknown` is true: the gateway may have sent it already, so
    the client may get it twice.
    """
    ids = None if body.ids is None else frozenset(body.ids)
    redriven = request.services.dead_letters.redrive(ids, unknown=body.unknown)
    return RedriveView(
        put_back=redriven.put_back,
        settled=redriven.settled,
        refused={item: str(error) for item, error in redriven.refused.items()},
    )


@routes.route("POST", "/api/dead-letters/discard")
def discard_dead_letters(request: Request, body: DiscardBody) -> DiscardView:
    """Discard failed messages: they leave this list for good. The history of each message is kept."""
    discarded = request.services.dead_letters.discard(frozenset(body.ids))
    return DiscardView(discarded=discarded.messages, missing=discarded.missing)
