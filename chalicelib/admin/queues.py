"""/admin/queues: failed messages (dead letters), listed, retried and discarded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..domain.messages import Message
from ..domain.statuses import MessageStatus
from ..services.dead_letters import DeadLetter, Redriven
from . import formats, texts
from .dead_letter_groups import DeadLetterQuery, groups_of
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _, ngettext

pages = Pages()
SHOWN = 100  # dead letters; SQS returns them in no order and without pages
MOST = 1000  # dead letters that are read, retried or discarded at once


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """A dead letter with its message; None if it is not a message of this service, or does not exist any more."""

    letter: DeadLetter
    message: Message | None

    @property
    def phone(self) -> str:
        return self.message.phone_number if self.message else ""

    @property
    def open(self) -> bool:
        """Whether retrying it would send something."""
        return self.message is not None and self.message.status in (MessageStatus.FAILED, MessageStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Meant:
    """How many messages a retry is about: failed ones, those with an unknown outcome, and those that stay."""

    failed: int
    unknown: int
    settled: int
    foreign: int

    @classmethod
    def of(cls, rows: list[DeadLetterRow]) -> Meant:
        """The counts for these letters; a message in two letters counts once."""
        statuses = {row.message.message_id: row.message.status for row in rows if row.message}
        count = Counter(statuses.values())
        failed, unknown = count[MessageStatus.FAILED], count[MessageStatus.UNKNOWN]
        foreign = sum(row.message is None for row in rows)
        return cls(failed, unknown, len(statuses) - failed - unknown, foreign)


@pages.get("/admin/queues")
def show_queues(request: PageRequest, query: DeadLetterQuery) -> Page:
    """Show the failed messages in groups, and those that match the query one by one."""
    found = _letters(request)
    meant = [letter for letter in found if query.takes(letter)]
    groups = groups_of(found, request.services.mailings)
    titles = {one.query.mailing: one.title or one.query.mailing for one in groups}
    return Page(
        "queues/page.html",
        {
            "query": query,
            "groups": [group for group in groups if _within(group.query, query)],
            "titles": titles,
            "reasons": {one.query.reason: texts.reason(one.cause) or one.query.reason for one in groups},
            "letters": _rows(request, meant[:SHOWN]),
            "meant": len(meant),
            "total": max(request.services.queues["send-dead"].depths().visible, len(found)),
            "oldest": found[0].given_up_at if found else None,
            "shown": SHOWN,
            "looked": len(found),
            "partial": len(found) >= MOST,
        },
    )


def _within(group: DeadLetterQuery, query: DeadLetterQuery) -> bool:
    return query.mailing in ("", group.mailing) and query.reason in ("", group.reason)


@pages.get("/admin/queues/redrive")
def confirm_redrive(request: PageRequest, query: DeadLetterQuery) -> Page | Redirect:
    """Ask what to retry, and say how many messages that is."""
    found = _letters(request)
    letters = [letter for letter in found if query.takes(letter)]
    if not letters:
        return Redirect("/admin/queues", flash=_gone())
    ids = _ids(letters) if query.address else []
    values = {"meant": Meant.of(_rows(request, letters)), "ids": ids, "most": MOST}
    return Page("queues/redrive.html", {**values, "partial": len(found) >= MOST})


@pages.post("/admin/queues/redrive")
def redrive(request: PageRequest) -> Redirect:
    """Retry the named dead letters, or all. Messages that may have been sent only if the operator asked for it."""
    ids = request.form.texts("id")
    unknown = request.form.flag("unknown")
    redriven = request.services.dead_letters.redrive(frozenset(ids) if ids else None, unknown=unknown)
    return Redirect("/admin/queues", flash=_told(redriven))


@pages.get("/admin/queues/discard")
def confirm_discard(request: PageRequest, query: DeadLetterQuery) -> Page | Redirect:
    """Ask whether to discard."""
    found = _letters(request)
    letters = [letter for letter in found if query.takes(letter)]
    if not letters:
        return Redirect("/admin/queues", flash=_gone())
    values = {"ids": _ids(letters), "count": len(letters), "first": _rows(request, letters[:1])[0]}
    return Page("queues/discard.html", {**values, "most": MOST, "partial": len(found) >= MOST})


@pages.post("/admin/queues/discard")
def discard(request: PageRequest) -> Redirect:
    """Discard the named dead letters."""
    discarded = request.services.dead_letters.discard(frozenset(request.form.texts("id")))
    n, missing = discarded.messages, discarded.missing
    told = [
        ngettext("%(n)s failed message was discarded.", "%(n)s failed messages were discarded.", n, n=formats.number(n))
    ]
    if missing:
        told.append(
            ngettext(
                "%(n)s is no longer there, or somebody else is working on it.",
                "%(n)s are no longer there, or somebody else is working on them.",
                missing,
                n=formats.number(missing),
            )
        )
    return Redirect("/admin/queues", flash=" ".join(told))


def _gone() -> str:
    return _("This message is no longer there, or somebody else is working on it.")


def _letters(request: PageRequest) -> list[DeadLetter]:
    """Up to MOST, the oldest first."""
    return sorted(request.services.dead_letters.list(MOST), key=lambda letter: letter.given_up_at)


def _rows(request: PageRequest, letters: Sequence[DeadLetter]) -> list[DeadLetterRow]:
    messages = request.services.messages.of(letter.about for letter in letters if letter.about)
    return [DeadLetterRow(letter, messages.get(letter.about) if letter.about else None) for letter in letters]


def _ids(letters: Iterable[DeadLetter]) -> list[str]:
    """The ids of letters, each once, because a letter may have several messages."""
    return list(dict.fromkeys(letter.item for letter in letters))


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
