"""/api/queues/ and /api/dead-letters/: what the queues hold, and what was given up."""

from __future__ import annotations

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
    """About how much a queue holds: what can be had now, what is delayed, and what a worker has in hand."""

    name: str
    visible: int
    delayed: int
    in_flight: int


class QueueList(View):
    """All queues. Those ending in `-dead` hold what was given up."""

    rows: list[QueueView]


class DeadLetterView(View):
    """A dead letter. `message` is the id of the message that it is about, null where its body is none of ours.

    One that is about several messages is listed once for each, under the same id: they are put back together.
    """

    id: str
    message: str | None
    mailing: str | None
    client: str | None
    reason: str
    reason_code: Reason | None
    reason_detail: str
    body: str
    given_up_at: MomentOut

    @classmethod
    def of(cls, letter: DeadLetter) -> DeadLetterView:
        mailing_id, client_id = letter.about or (None, None)
        return cls(
            id=letter.item,
            message=message_id_for(*letter.about) if letter.about else None,
            mailing=mailing_id,
            client=client_id,
            **reasoned(letter.cause),
            body=letter.body,
            given_up_at=letter.given_up_at,
        )


class DeadLetterList(View):
    """Dead letters; `total` is about how many there are."""

    total: int
    rows: list[DeadLetterView]


class RedriveBody(Body):
    """Which dead letters: those of these ids, or all if it is null; with `unknown` those of unknown outcome too."""

    model_config = example({"ids": [_LETTER]})

    ids: Items | None = None
    unknown: StrictBool = False


class RedriveView(View):
    """What came of it. `settled` counts letters whose message needs nothing any more; `refused` ones stay."""

    put_back: int
    settled: int
    refused: dict[str, str]


class DiscardBody(Body):
    """Which dead letters."""

    model_config = example({"ids": [_LETTER]})

    ids: Items


class DiscardView(View):
    """How many dead letters were removed."""

    discarded: int


@routes.route("GET", "/api/queues")
def list_queues(request: Request) -> QueueList:
    """Say how much each queue holds, about."""
    rows = []
    for name, queue in request.services.queues.items():
        depths = queue.depths()
        rows.append(QueueView(name=name, visible=depths.visible, delayed=depths.delayed, in_flight=depths.in_flight))
    return QueueList(rows=rows)


@routes.route("GET", "/api/dead-letters")
def list_dead_letters(request: Request, query: LimitQuery) -> DeadLetterList:
    """List messages that were given up, with the reason. SQS gives them out in no order, and has no pages."""
    letters = request.services.dead_letters.list(query.limit)
    total = request.services.queues["send-dead"].depths().visible
    return DeadLetterList(total=max(total, len(letters)), rows=[DeadLetterView.of(letter) for letter in letters])


@routes.route("POST", "/api/dead-letters/redrive")
def redrive_dead_letters(request: Request, body: RedriveBody) -> RedriveView:
    """Put given-up messages back, up to 1000 at once; window, pause, opt-out and local window are checked again.

    A message whose outcome is unknown stays unless `unknown` is true: the gateway may have taken it, and who got it
    would get it twice.
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
    """Remove dead letters for good; the ledger keeps saying what became of their messages."""
    return DiscardView(discarded=request.services.dead_letters.discard(frozenset(body.ids)))
