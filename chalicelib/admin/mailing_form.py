"""The form of a mailing: from a mailing to the values of its fields, and back, with every error beside its field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ..domain.budgets import written
from ..domain.errors import FieldError, Invalid
from ..domain.faults import Fault
from ..domain.mailings import MOST_LANGUAGES, Late, Mailing, Missing, OnUnknown
from ..domain.segments import Segment
from ..domain.templates import TemplateLink
from ..services.mailing_fields import MailingFields
from ..web.bodies import MailingBody
from . import filter_form, local_times, page_request
from .forms import Form
from .texts import _, wrong

_ONE_OF_MANY = re.compile(r"(clients\.(?:tag|operator))\.([0-9]+)")
_LASTS = timedelta(hours=12)
_SOUND: Mapping[str, Any] = {
    **{"text": "x", "clients": {}, "local_window": None, "rate_limit": None, "on_unknown": None, "late": Late.RUN},
    **{"name": None, "texts": None, "missing": Missing.SKIP, "gateway": None, "budget": None},
}


@dataclass(frozen=True, slots=True)
class Entered:
    """The entered values in the form of the API, and their errors."""

    values: Mapping[str, Any]
    errors: tuple[FieldError, ...]

    @property
    def wrong(self) -> frozenset[str]:
        """The names of wrong fields, without their paths."""
        return frozenset(error.field.partition(".")[0] for error in self.errors)

    def body(self) -> MailingBody:
        """What was entered, as the API would read it. Raises Invalid with each wrong field."""
        if self.errors:
            raise Invalid(*self.errors)
        return MailingBody.model_validate(self.values)

    def fields(self) -> MailingFields:
        """The mailing that was entered. Raises Invalid with each wrong field."""
        return self.body().fields()

    def sound(self, now: datetime) -> MailingFields:
        """The same with harmless values instead of wrong ones, to preview the rest."""
        values = {**self.values, **{name: value for name, value in _SOUND.items() if name in self.wrong}}
        if self.wrong & {"start_time", "end_time"}:
            values |= {"start_time": now.isoformat(), "end_time": (now + _LASTS).isoformat()}
        return MailingBody.model_validate(values).fields()


def shown(
    mailing: Mailing | None, zone_name: str, now: datetime, default: OnUnknown, *, again: bool = False
) -> dict[str, str]:
    """The values of the fields: of a mailing, of a new one, or (`again`) of a copy with new times."""
    start = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    end = start + _LASTS
    if mailing and not again:
        start, end = mailing.start_at, mailing.end_at
    window = mailing.local_window if mailing else None
    return {
        "name": mailing.name if mailing else "",
        "text": mailing.text if mailing else "",
        **shown_clients(mailing.segment if mailing else Segment()),
        "start_time": local_times.shown(start, zone_name),
        "start_time_fold": local_times.fold_of(start, zone_name),
        "end_time": local_times.shown(end, zone_name),
        "end_time_fold": local_times.fold_of(end, zone_name),
        "local_window.from": window.start.isoformat("minutes") if window else "",
        "local_window.until": window.until.isoformat("minutes") if window else "",
        "local_window.policy": str(window.policy) if window else "defer",
        "rate_limit": str(mailing.rate_limit) if mailing and mailing.rate_limit else "",
        "on_unknown": str(mailing.on_unknown if mailing else default),
        "late": str(mailing.late if mailing else Late.RUN),
        "include_unreachable": "on" if mailing and mailing.include_unreachable else "",
        "gateway": mailing.gateway if mailing else "",
        "template": linked(mailing.template) if mailing and mailing.template else "",
        "missing": str(mailing.missing if mailing else Missing.SKIP),
        "budget": written(mailing.budget if mailing else None) or "",
        "forget_values": "" if mailing is None or mailing.keep_values else "on",
        **shown_texts(mailing.texts if mailing else ()),
    }


def linked(link: TemplateLink) -> str:
    """A version of a template as a value in the form."""
    return f"{link.template_id} {link.version}"


def shown_clients(segment: Segment) -> dict[str, str]:
    """The values of the fields about clients."""
    return {
        "clients.tag": "\n".join(segment.tags),
        "clients.operator": " ".join(segment.operators),
        "clients.recipients": segment.recipients,
        **filter_form.shown(segment.filter),
    }


def shown_texts(texts: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The values of the fields for texts in other languages, with two empty ones."""
    places: list[tuple[str, str]] = [*texts, ("", ""), ("", "")]
    return {
        f"texts.{place}.{name}": value
        for place, pair in enumerate(places[:MOST_LANGUAGES])
        for name, value in zip(("language", "text"), pair, strict=True)
    }


def zone_of(form: Form, zone_name: str) -> str:
    """The time zone in which the form was filled in; it may have been changed in another window since."""
    return page_request.known_zone(form.text("zone")) or zone_name


def read(form: Form, zone_name: str, before: Mailing | None = None) -> Entered:
    """The entered values. For a started mailing the form only has fields that can be changed; the rest stays."""
    allowed = before.state.fields if before else None
    errors: list[FieldError] = []
    values: dict[str, Any] = {}
    for name, attribute in (("start_time", "start_at"), ("end_time", "end_at")):
        old: datetime | None = getattr(before, attribute) if before else None
        if old is not None and allowed is not None and attribute not in allowed:
            values[name] = old.isoformat()
            continue
        try:
            values[name] = local_times.entered(form, name, zone_of(form, zone_name), old).isoformat()
        except Invalid as error:
            errors += error.errors
            values[name] = "2100-01-01T00:00:00Z"
    values |= _kept(before) if before and "text" not in (allowed or ()) else _ordered(form)
    others = (("name", form.text("name") or None), ("rate_limit", _rate(form)), ("on_unknown", form.text("on_unknown")))
    for name, value in others:
        if before and allowed is not None and name not in allowed:
            value = getattr(before, name) or None
        values[name] = value
    budget = form.text("budget").replace(",", ".") or None
    if before and allowed is not None and "budget" not in allowed:
        budget = written(before.budget)
    values["budget"] = budget
    errors += _errors(form, values) + filter_form.errors(form)
    times = [datetime.fromisoformat(values[name]) for name in ("start_time", "end_time")]
    if times[1] <= times[0] and not {error.field for error in errors} & {"start_time", "end_time"}:
        errors.append(FieldError("end_time", Fault.END_BEFORE_START))
    return Entered(values, tuple(errors))


@contextmanager
def placed() -> Iterator[None]:
    """Move errors about a mailing's clients as a whole to the field where they are entered."""
    try:
        yield
    except Invalid as error:
        moved = [replace(one, field="clients.tag") if one.field == "clients" else one for one in error.errors]
        raise Invalid(*moved) from error


def _ordered(form: Form) -> dict[str, Any]:
    window = {name: form.text(f"local_window.{name}") for name in ("from", "until")}
    policy = form.text("local_window.policy") or "defer"
    return {
        "text": form.raw("text"),
        "clients": clients_in(form),
        "local_window": {**window, "policy": policy} if any(window.values()) else None,
        "late": form.text("late"),
        "include_unreachable": form.flag("include_unreachable"),
        "texts": texts_in(form) or None,
        "missing": form.text("missing") or str(Missing.SKIP),
        "keep_values": not form.flag("forget_values"),
        "gateway": form.text("gateway") or None,
    }


def clients_in(form: Form) -> dict[str, Any]:
    """The mailing's clients, in the form of the API."""
    return {
        "tag": [line.strip() for line in form.raw("clients.tag").split("\n") if line.strip()] or None,
        "operator": re.findall(r"[^\s,;]+", form.raw("clients.operator")) or None,
        "filter": filter_form.read(form),
        "recipients": form.text("clients.recipients") or None,
    }


def texts_in(form: Form) -> dict[str, str]:
    """The texts in other languages; missing languages or texts are found by the check."""
    found: dict[str, str] = {}
    for place in range(MOST_LANGUAGES):
        language, text = form.text(f"texts.{place}.language"), form.raw(f"texts.{place}.text")
        if language or text.strip():
            found[language] = text
    return found


def _kept(mailing: Mailing) -> dict[str, Any]:
    window = mailing.local_window
    hours = {"from": window.start.isoformat("minutes"), "until": window.until.isoformat("minutes")} if window else {}
    return {
        "text": mailing.text,
        "clients": {
            "tag": list(mailing.segment.tags) or None,
            "operator": list(mailing.segment.operators) or None,
            "filter": mailing.segment.filter.node if mailing.segment.filter else None,
            "recipients": mailing.segment.recipients or None,
        },
        "local_window": {**hours, "policy": str(window.policy)} if window else None,
        "late": str(mailing.late),
        "include_unreachable": mailing.include_unreachable,
        "texts": dict(mailing.texts) or None,
        "missing": str(mailing.missing),
        "keep_values": mailing.keep_values,
        "gateway": mailing.gateway or None,
    }


def _rate(form: Form) -> int | str | None:
    text = form.text("rate_limit")
    return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else text or None


def _errors(form: Form, values: Mapping[str, Any]) -> list[FieldError]:
    try:
        form.into(MailingBody, values).fields()
    except Invalid as error:
        return [filter_form.at_its_row(form, at_its_field(one, values)) for one in error.errors]
    return []


def at_its_field(error: FieldError, values: Mapping[str, Any]) -> FieldError:
    """The error at the field that a person sees; if the field has several values, it says which one is wrong."""
    if error.field.startswith("texts"):
        return replace(error, field="texts")
    if match := _ONE_OF_MANY.fullmatch(error.field):
        value = values["clients"][match[1].partition(".")[2]][int(match[2])]
        return FieldError(
            match[1], Fault.AS_TOLD, {"text": _("%(value)s: %(problem)s", value=value[:80], problem=wrong(error))}
        )
    return error
