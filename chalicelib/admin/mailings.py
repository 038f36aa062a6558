"""/admin/mailings: the list, creating a mailing with a live preview, and changing one."""

from __future__ import annotations

import secrets
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ..domain.errors import Conflict, Invalid, Malformed
from ..domain.faults import Fault
from ..domain.idempotency import KEY_FIELD, IdempotencyKey
from ..domain.mailing_counters import MailingCounters
from ..domain.mailings import MAX_RATE, MAX_TEXT_LENGTH, MOST_LANGUAGES, Mailing
from ..domain.recipient_files import RecipientFile
from ..domain.results import result_of
from ..domain.segments import Segment
from ..domain.sms import simpler, sms_parts
from ..domain.statuses import Action, MailingStatus
from ..domain.templates import MAX_NAME_LENGTH
from ..services.mailing_fields import MailingFields, missed_by
from ..services.previews import Preview
from ..web import headcounts
from ..web.fields import query_integer
from ..web.paging import MAX_LIMIT, PageQuery
from . import charts, filter_form, formats, local_times, mailing_form, sending_question
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _, status_name

pages = Pages()
_MAILINGS = 20  # the newest ones, which a condition can name
_TAGS = 20  # tags that are suggested
_SAMPLED = 10  # texts shown as people will get them
_TEMPLATES = 100  # that can be chosen in the form; others on their own pages


class ListQuery(PageQuery):
    """A status; "" means any, because forms send empty fields too. Each running mailing on the page costs a read."""

    status: Annotated[MailingStatus | None, BeforeValidator(lambda value: value or None)] = None

    limit: Annotated[int, BeforeValidator(query_integer), Field(ge=1, le=MAX_LIMIT)] = 25


class NewQuery(BaseModel):
    """What a new mailing starts from: another mailing, the people whom one `missed`, a saved segment, a template, a
    file.
    """

    model_config = ConfigDict(extra="forbid")

    like: str = ""
    missed: str = ""
    segment: str = ""
    template: str = ""
    recipients: str = ""


@pages.get("/admin/mailings")
def list_mailings(request: PageRequest, query: ListQuery) -> Page:
    """Show the mailings: the newest first; of one status the latest start first."""
    service = request.services.mailings
    totals = service.totals()
    mailings, after = service.list(query.status, query.place(), query.limit)
    values = {
        "listed": [
            (state, told, result_of(state, MailingCounters(), request.now, told))
            for state, told in (
                request.services.statistics.with_deliveries(one) or (service.with_counts(one), None) for one in mailings
            )
        ],
        "total": totals.get(query.status, 0) if query.status else sum(totals.values()),
        "statuses": [
            (str(one), f"{status_name(str(one))} ({formats.number(totals.get(one, 0))})") for one in MailingStatus
        ],
        "status": query.status,
        "next": query.following(after),
        "first": not query.cursor,
        "shares": charts.shares,
    }
    return Page("mailings/list.html", values)


@pages.get("/admin/mailings/new")
def new_mailing(request: PageRequest, query: NewQuery) -> Page:
    """Show the form for a new mailing, which may start as a copy of another one."""
    return _new_form(request, query)


def _new_form(request: PageRequest, query: NewQuery) -> Page:
    model = request.services.mailings.get(query.like) if query.like else None
    if query.missed:
        missed = request.services.mailings.get(query.missed)
        model = replace(missed, segment=missed_by(missed))
    shown = mailing_form.shown(
        model, request.zone_name, request.now, request.services.mailings.on_unknown(), again=True
    )
    if query.template:
        template = request.services.templates().listed(query.template)
        shown |= {"text": template.text, **mailing_form.shown_texts(template.texts)}
        shown["template"] = mailing_form.linked(template.link)
    if query.segment:
        shown |= mailing_form.shown_clients(request.services.segments().get(query.segment).segment)
    if query.recipients:
        shown |= mailing_form.shown_clients(Segment(recipients=query.recipients))
    page = _form(request, None, {**shown, "key": secrets.token_urlsafe(16)})
    # Choosing another one would lose what was entered.
    chosen: dict[str, Any] = {
        "template": query.template,
        "segment": query.segment,
        "templates": ([], ""),
        "segments": [],
    }
    if not request.form.submitted:
        chosen |= {"templates": request.services.templates().list("", _TEMPLATES)}
        chosen |= {"segments": request.services.segments().all()}
    return replace(page, values={**page.values, **chosen})


@pages.post("/admin/mailings/new", shows=new_mailing)
def create_mailing(request: PageRequest, query: NewQuery) -> Page | Redirect:
    """Save the mailing as a draft, and go to the page that asks whether to send it.

    Sending a form again creates no second mailing; a form that was changed meanwhile gets a new key.
    """
    body = mailing_form.read(request.form, request.zone_name).body()
    fields = _linked(request, body.fields())
    username = request.principal.username
    key = request.form.text("key")
    try:
        request_key = IdempotencyKey.of(key, username, body.content()) if key else None
        with mailing_form.placed():
            mailing = request.services.mailings.create(fields, username, request_key, draft=True)
    except Invalid as error:
        if all(one.field != KEY_FIELD for one in error.errors):
            raise
        return _with_new_key(request, query)
    return _asked(request.services.mailings.get(mailing.mailing_id))


def _asked(mailing: Mailing) -> Redirect:
    """Go to the question whether to send a draft, or to the mailing itself if it was sent meanwhile."""
    path = f"/admin/mailings/{mailing.mailing_id}"
    if not mailing.may(Action.SCHEDULE):
        return Redirect(path, flash=_("The mailing was created."))
    return Redirect(f"{path}/{Action.SCHEDULE}", flash=_("Saved as a draft. Nothing has been sent yet."))


def _linked(request: PageRequest, fields: MailingFields) -> MailingFields:
    """The fields with the template of the form, if the texts are still the template's."""
    template_id, _space, version = request.form.text("template").partition(" ")
    if not template_id:
        return fields
    link = request.services.templates().behind(template_id, version, fields.text, fields.texts)
    return replace(fields, template=link)


def _with_new_key(request: PageRequest, query: NewQuery) -> Page:
    """The form as it was sent, with a new key: a person went back and changed it, so it creates another mailing."""
    told = _("A mailing was already created from this form. To create another one, press the button again.")
    values = {name: value for name, value in request.form.values.items() if name != "key"}
    form = replace(request.form, values=values, problem=told)
    page = _new_form(request.with_form(form), query)
    return replace(page, status=HTTPStatus.CONFLICT, values={**page.values, "form": form})


@pages.post("/admin/mailings/preview")
def preview_mailing(request: PageRequest) -> Page:
    """Preview the mailing in the form; this changes nothing."""
    entered = mailing_form.read(request.form, request.zone_name)
    wrong = set(entered.wrong)
    try:
        preview = _counted_on(request, entered.sound(request.now))
    except Invalid as error:  # the window is over, which depends on the clock
        wrong |= {one.field for one in error.errors}
        entered = mailing_form.Entered(entered.values, (*entered.errors, *error.errors))
        preview = request.services.previews.draft(entered.sound(request.now))
    values = {"wrong": wrong, **previewed(request, preview), "count_on": None}
    if preview.counting:
        segment = entered.sound(request.now).segment
        values["count_on"] = headcounts.written(preview.counting.headcount, segment)
    return Page("mailings/preview.html", values)


def _counted_on(request: PageRequest, fields: MailingFields) -> Preview:
    """The preview of a draft, continuing the page's count of clients if it is for the same segment."""
    so_far = None
    with suppress(Malformed):
        so_far = headcounts.read(request.form.text("counted"), fields.segment)
    return request.services.previews.draft(fields, so_far)


@pages.get("/admin/mailings/{mailing_id}/edit")
def edit_mailing(request: PageRequest, mailing_id: str) -> Page | Redirect:
    """Show the form with the fields of a mailing that can still be changed."""
    return _edit_form(request, mailing_id)


def _edit_form(request: PageRequest, mailing_id: str) -> Page | Redirect:
    mailing = request.services.mailings.get(mailing_id)
    if not mailing.state.fields:
        return Redirect(
            f"/admin/mailings/{mailing_id}", flash=_("This mailing has ended and can no longer be changed.")
        )
    shown = mailing_form.shown(mailing, request.zone_name, request.now, request.services.mailings.on_unknown())
    return _form(request, mailing, {**shown, "revision": str(mailing.revision)})


@pages.post("/admin/mailings/{mailing_id}/edit", shows=edit_mailing)
def change_mailing(request: PageRequest, mailing_id: str) -> Page | Redirect:
    """Change the mailing, unless somebody else did meanwhile.

    Asks first if the change would send it, or send it to all.

    After changing a draft, the page that asks whether to send it follows.
    """

    def changed(before: Mailing) -> MailingFields:
        if str(before.revision) != request.form.text("revision"):
            raise Conflict(
                Fault.AS_TOLD,
                text=_("The mailing was changed or has started in the meantime. Check it and make your changes again."),
            )
        return _linked(request, mailing_form.read(request.form, request.zone_name, before).fields())

    if sending_question.goes_back(request):
        return _filled_in(request, _edit_form(request, mailing_id))
    before = request.services.mailings.get(mailing_id)
    if asked := sending_question.changing(request, changed(before), f"/admin/mailings/{mailing_id}/edit", before):
        return asked
    with mailing_form.placed():
        after = request.services.mailings.revise(mailing_id, changed)
    if after.status is MailingStatus.DRAFT:
        return _asked(after)
    return Redirect(f"/admin/mailings/{mailing_id}", flash=_("Changes saved."))


def _filled_in(request: PageRequest, page: Page | Redirect) -> Page | Redirect:
    """The form with the entered values."""
    return replace(page, values={**page.values, "form": request.form}) if isinstance(page, Page) else page


def _form(request: PageRequest, mailing: Mailing | None, shown: dict[str, str]) -> Page:
    zone_name = mailing_form.zone_of(request.form, request.zone_name)
    values: dict[str, Any] = {
        "mailing": mailing,
        "shown": shown,
        "zone": zone_name,
        "allowed": mailing.state.fields if mailing else None,
        "choices": lambda text: local_times.choices(text, zone_name),
        "tags": request.services.clients.tags(_TAGS),
        **_conditions(request),
        "file": _file(request, shown["clients.recipients"]),
        "max_rate": MAX_RATE,
        "max_name": MAX_NAME_LENGTH,
        "max_text": MAX_TEXT_LENGTH,
        "max_languages": MOST_LANGUAGES,
        "currency": request.services.prices().get().currency,
        "test_key": secrets.token_urlsafe(16),
    }
    return Page("mailings/form.html", values)


def _file(request: PageRequest, file_id: str) -> RecipientFile | None:
    """The file of recipients of the mailing in the form."""
    file_id = request.form.text("clients.recipients") or file_id
    with suppress(Invalid):
        return request.services.recipients.get(file_id) if file_id else None
    return None


def _conditions(request: PageRequest) -> dict[str, Any]:
    """The choices in rows of conditions."""
    mailings, _after = request.services.mailings.list(None, "", _MAILINGS)
    choices = filter_form.choices(request.services.clients.attribute_names(), mailings)
    return {
        "condition_choices": choices,
        "condition_hows": filter_form.hows(),
        "condition_rows": filter_form.rows_shown,
        "known_conditions": {value for _title, options in choices for value, _text in options},
    }


def previewed(request: PageRequest, preview: Preview) -> dict[str, Any]:
    """The values for the preview of a form."""
    zones: Counter[str] = Counter()
    for (zone_name, _operator), count in preview.reached.items():
        zones[zone_name] += count
    text = request.form.raw("text")
    recipients = preview.reached.total()
    sms = sms_parts(text)
    sample = preview.sample.texts[:_SAMPLED] if preview.sample else ()
    return {
        "preview": preview,
        "recipients": recipients,
        "matching": preview.matching.total(),
        "sms": sms,
        "simpler": simpler(text),
        "left": MAX_TEXT_LENGTH - len(text),
        "zones": charts.bars(_("Recipients by time zone"), _("Time zone"), zones, most=8),
        "room": max(0, sms.units_per_part * sms.parts - sms.units),
        "sampled": [("", one.text, one.cause) for one in sample] or [("", text, None)],
        "spare": preview.ends_at - preview.forecast.finishes_at if preview.forecast.finishes_at else None,
    }
