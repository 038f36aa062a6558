"""/admin/queues: what the queues hold; failed messages (dead letters), listed, retried and discarded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from ..domain.messages import Message
from ..domain.statuses import MessageStatus
from ..queues import QueueDepth
from ..services.dead_letters import DeadLetter, Redriven
from . import formats, texts
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _, ngettext

pages = Pages()
SHOWN = 100  # dead letters; SQS gives them out in no order and has no pages
MOST = 1000  # that are put back at once


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue as it is shown. `dead` is true if it holds what failed for good."""

    title: str
    about: str
    depth: QueueDepth
    dead: bool


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A dead letter with its message, or None if its body is not a message of this service or the row is gone."""

    letter: DeadLetter
    message: Message | None

    @property
    def phone(self) -> str:
        return masked(self.message.phone_number) if self.message else ""

    @property
    def open(self) -> bool:
        """Whether retrying it would send something."""
        return self.message is not None and self.message.status in (MessageStatus.FAILED, MessageStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Meant:
    """What a retry would do, in messages: those that failed, those of unknown outcome, and those that stay."""

    failed: int
    unknown: int
    settled: int
    foreign: int

    @classmethod
    def of(cls, rows: list[LetterRow]) -> Meant:
        """The messages of these letters; one that two letters are about counts once."""
        statuses = {row.message.message_id: row.message.status for row in rows if row.message}
        count = Counter(statuses.values())
        failed, unknown = count[MessageStatus.FAILED], count[MessageStatus.UNKNOWN]
        foreign = sum(row.message is None for row in rows)
        return cls(failed, unknown, len(statuses) - failed - unknown, foreign)


class LetterQuery(BaseModel):
    """The dead letter to act on; "" means all, or all that are shown if they are discarded."""

    model_config = ConfigDict(extra="forbid")

    id: str = ""


@pages.get("/admin/queues")
def show_queues(request: PageRequest) -> Page:
    """Show the queues and the failed messages."""
    letters = _letters(request)
    total = max(request.services.queues["send-dead"].depths().visible, len(letters))
    return Page(
        "queues/page.html",
        {
            "queues": _queues(request),
            "letters": letters,
            "total": total,
            "oldest": _oldest(letters),
            "shown": SHOWN,
            "most": MOST,
        },
    )


@pages.get("/admin/queues/depths")
def show_depths(request: PageRequest) -> Page:
    """The part of the page that is looked at again and again."""
    return Page("queues/depths.html", {"queues": _queues(request)})


@pages.get("/admin/queues/redrive")
def confirm_redrive(request: PageRequest, query: LetterQuery) -> Page | Redirect:
    """Ask what to retry, and say how many messages that is."""
    letters = [row for row in _letters(request, MOST) if query.id in ("", row.letter.item)]
    if not letters:
        return Redirect("/admin/queues", flash=_gone())
    return Page("queues/redrive.html", {"meant": Meant.of(letters), "id": query.id, "most": MOST})


@pages.post("/admin/queues/redrive")
def redrive(request: PageRequest) -> Redirect:
    """Retry the named dead letters, or all. Messages that may have been sent only if the operator asked for it."""
    ids = request.form.texts("id")
    unknown = request.form.flag("unknown")
    redriven = request.services.dead_letters.redrive(frozenset(ids) if ids else None, unknown=unknown)
    return Redirect("/admin/queues", flash=_told(redriven))


@pages.get("/admin/queues/discard")
def confirm_discard(request: PageRequest, query: LetterQuery) -> Page | Redirect:
    """Ask whether to discard."""
    letters = [row for row in _letters(request) if query.id in ("", row.letter.item)]
    if not letters:
        return Redirect("/admin/queues", flash=_gone())
    return Page("queues/discard.html", {"letters": letters})


@pages.post("/admin/queues/discard")
def discard(request: PageRequest) -> Redirect:
    """Discard the named dead letters."""
    count = request.services.dead_letters.discard(frozenset(request.form.texts("id")))
    text = ngettext(
        "%(n)s failed message was discarded.", "%(n)s failed messages were discarded.", count, n=formats.number(count)
    )
    return Redirect("/admin/queues", flash=text)


def masked(phone_number: str) -> str:
    """A number of which only the beginning and the end can be read."""
    return f"{phone_number[:4]}•••{phone_number[-2:]}"


def _queues(request: PageRequest) -> list[QueueRow]:
    texts = {
        "dispatch": (_("Preparing mailings"), _("Mailings that are about to start, and their recipients.")),
        "dispatch-dead": (_("Preparing mailings, failed"), _("Steps that failed every time. The log says why.")),
        "receipts": (_("Receipts"), _("Delivery reports from the gateway, waiting to be read.")),
        "receipts-dead": (_("Receipts, failed"), _("Receipts that failed every time. The log says why.")),
        "send": (_("Sending messages"), _("Messages waiting to be sent to the gateway.")),
        "send-dead": (_("Failed messages"), _("Messages that failed every time. They are listed below.")),
    }
    return [
        QueueRow(*texts[name], queue.depths(), name.endswith("-dead"))
        for name, queue in request.services.queues.items()
    ]


def _gone() -> str:
    return _("This message is no longer there, or somebody else is working on it.")


def _letters(request: PageRequest, most: int = SHOWN) -> list[LetterRow]:
    """Up to so many, the oldest first."""
    letters = sorted(request.services.dead_letters.list(most), key=lambda letter: letter.given_up_at)
    messages = request.services.messages.of(letter.about for letter in letters if letter.about)
    return [LetterRow(letter, messages.get(letter.about) if letter.about else None) for letter in letters]


def _oldest(letters: list[LetterRow]) -> datetime | None:
    return letters[0].letter.given_up_at if letters else None


def _told(redriven: Redriven) -> str:
    back, settled = redriven.put_back, redriven.settled
    told = [
        ngettext("%(n)s message is being retried.", "%(n)s messages are being retried.", back, n=formats.number(back))
    ]
    if settled:
        told.append(
            ngettext(
                "%(n)s did not need a retry any more.",
                "%(n)s did not need a retry any more.",
                settled,
                n=formats.number(settled),
            )
        )
    for reason, n in Counter(map(texts.told, redriven.refused.values())).items():
        told.append(
            ngettext(
                "%(n)s could not be retried: %(reason)s.",
                "%(n)s could not be retried: %(reason)s.",
                n,
                n=formats.number(n),
                reason=reason,
            )
        )
    return " ".join(told)
