"""The page before a mailing is sent or scheduled: how many people get it, and what, as their phones show it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from ..domain.mailings import Mailing
from ..domain.placeholders import OPENING
from ..domain.sms import sms_parts
from ..domain.statuses import Action, MailingStatus
from ..services.mailing_fields import MailingFields
from ..services.previews import Preview
from .page_request import PageRequest
from .routing import Page

SOON = timedelta(minutes=1)  # a start within this counts as at once, because nobody could stop it
_STEP, _SEND, _BACK = "step", "send", "edit"
_TOLD, _REVISION = "told", "revision"  # what the page said when the button was pressed, and the mailing's revision
_OWN = frozenset({"csrf", _STEP, _TOLD})
_TEXTS = 3  # different examples shown of a personal text


def goes_back(request: PageRequest) -> bool:
    """Whether the question was answered with no, so that the form is shown again with all its values."""
    return request.form.text(_STEP) == _BACK


def changing(request: PageRequest, fields: MailingFields, path: str, before: Mailing) -> Page | None:
    """The page that asks before a mailing is changed; None if there is nothing to ask, or the answer was yes.

    It asks if a mailing that is not a draft would start at once or go to all clients, unless its clients and its start
    stay the same. Raises Invalid if the window is over.
    """
    at_once = fields.start_at <= request.now + SOON and before.status is MailingStatus.SCHEDULED
    if before.status is MailingStatus.DRAFT or (before.segment, before.start_at) == (fields.segment, fields.start_at):
        return None
    if not fields.segment.is_everybody and not at_once:
        return None
    preview = request.services.previews.draft(fields)
    if at_once and not preview.matching:
        return None  # the change is refused, with an error at the field
    kept = [(name, one) for name, given in request.form.values.items() if name not in _OWN for one in given]
    values = {"path": path, "back": None, "kept": kept, "mailing": before, "may": True, "edited": False}
    return _page(request, fields, preview, values, at_once=at_once)


def sending(request: PageRequest, mailing: Mailing, action: Action) -> Page | None:
    """The page that asks before a mailing is scheduled or launched; None if the answer was yes."""
    if action is Action.LAUNCH:
        mailing = replace(mailing, start_at=min(mailing.start_at, request.now))
    at_once = mailing.start_at <= request.now + SOON
    here = f"/admin/mailings/{mailing.mailing_id}"
    values = {
        "path": f"{here}/{action}",
        "back": here if mailing.status is not MailingStatus.DRAFT else f"{here}/edit",
        "kept": [(_REVISION, str(mailing.revision))],
        "mailing": mailing,
        "may": mailing.may(action),
        "edited": request.form.text(_REVISION) not in ("", str(mailing.revision)),
    }
    preview = request.services.previews.ordered(mailing)
    return _page(request, MailingFields.of(mailing), preview, values, at_once=at_once)


def _page(
    request: PageRequest, fields: MailingFields, preview: Preview, values: dict[str, Any], *, at_once: bool
) -> Page | None:
    """The page, unless the same page was answered with yes.

    People are counted again with every answer: if there are many more or fewer, if the start has passed meanwhile, or
    if somebody changed the mailing, the page is shown again and says so.
    """
    matching, people = preview.matching.total(), preview.reached.total()
    counting = preview.counting
    estimated = bool(counting and not counting.is_over)
    if counting and estimated:
        matching, people = counting.about(matching), counting.about(people)
    told = _told(request)
    if told and told[0] == at_once and not changed_much(told[1], people) and not values["edited"]:
        return None
    asked = {
        "fields": fields,
        "at_once": at_once,
        "everybody": fields.segment.is_everybody,
        "people": people,
        "matching": matching,
        "estimated": estimated,
        "preview": preview,
        "sms": sms_parts(fields.text),
        "texts": _texts(fields, preview),
        "told": f"{'now' if at_once else 'later'} {people}",
        "before": told,
    }
    return Page("mailings/send.html", values | asked)


def _texts(fields: MailingFields, preview: Preview) -> list[tuple[str, str, None]]:
    """The texts as people get them: one for each language, or the first few if they contain values of clients."""
    written = (("", fields.text), *fields.texts)
    sample = preview.sample.texts if preview.sample and any(OPENING in text for _language, text in written) else ()
    sent = list(dict.fromkeys(one.text for one in sample if not one.cause))[:_TEXTS]
    return [("", text, None) for text in sent] or [(language, text, None) for language, text in written]


def changed_much(told: int, people: int) -> bool:
    """Whether a number that was shown is wrong by more than a tenth."""
    return abs(people - told) * 10 > told


def _told(request: PageRequest) -> tuple[bool, int] | None:
    """What the page said: whether the mailing starts at once, and how many get it; None if nothing was asked."""
    when, _, number = request.form.text(_TOLD).partition(" ")
    if request.form.text(_STEP) != _SEND or when not in ("now", "later") or not number.isdecimal():
        return None
    return when == "now", int(number[:12])
