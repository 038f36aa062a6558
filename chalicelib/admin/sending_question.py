"""The question before a mailing that starts at once or goes to all: how many people get it, and what."""

from __future__ import annotations

from datetime import timedelta

from ..domain.mailings import Mailing
from ..domain.sms import sms_parts
from ..domain.statuses import MailingStatus
from ..services.mailing_fields import MailingFields
from .page_request import PageRequest
from .routing import Page

SOON = timedelta(minutes=1)  # what starts within it starts at once: nobody could stop it any more
_STEP, _SEND, _BACK = "step", "send", "edit"
_TOLD = "told"  # what the page said when the button was pressed
_OWN = frozenset({"csrf", _STEP, _TOLD})


def goes_back(request: PageRequest) -> bool:
    """Whether the question was answered with no: the form is wanted again, with all that was entered."""
    return request.form.text(_STEP) == _BACK


def question(request: PageRequest, fields: MailingFields, path: str, before: Mailing | None = None) -> Page | None:
    """The page that has to be answered first; None if nothing is to be asked, or the answer was yes.

    The people are counted anew with every answer: if they have become many more or fewer, or the start has come
    meanwhile, the page is shown again and says so. Of a mailing that is changed `before` is how it was; if whom it goes
    to and when it starts stay, nothing is asked. Raises Invalid if the window is over.
    """
    everybody = fields.segment.is_everybody
    at_once = fields.start_at <= request.now + SOON and (before is None or before.status is MailingStatus.SCHEDULED)
    if before and (before.segment, before.start_at) == (fields.segment, fields.start_at):
        return None
    if not everybody and not at_once:
        return None
    preview = request.services.previews.draft(fields)
    matching, people = preview.matching.total(), preview.reached.total()
    counting = preview.counting
    if counting and not counting.is_over:
        matching, people = counting.about(matching), counting.about(people)
    if at_once and not matching:
        return None  # it is refused, beside the field
    told = _told(request)
    if told is not None and told[0] == at_once and not changed_much(told[1], people):
        return None
    values = {
        "path": path,
        "fields": fields,
        "at_once": at_once,
        "everybody": everybody,
        "people": people,
        "estimated": bool(counting and not counting.is_over),
        "preview": preview,
        "sms": sms_parts(fields.text),
        "kept": [(name, one) for name, given in request.form.values.items() if name not in _OWN for one in given],
        "told": f"{'now' if at_once else 'later'} {people}",
        "before": told,
        "mailing": before,
    }
    return Page("mailings/send.html", values)


def changed_much(told: int, people: int) -> bool:
    """Whether a number that somebody was told is off by more than a tenth."""
    return abs(people - told) * 10 > told


def _told(request: PageRequest) -> tuple[bool, int] | None:
    """Whether it was to start at once, and how many were to get it, when it was asked; None if nothing was."""
    when, _, number = request.form.text(_TOLD).partition(" ")
    if request.form.text(_STEP) != _SEND or when not in ("now", "later") or not number.isdecimal():
        return None
    return when == "now", int(number[:12])
