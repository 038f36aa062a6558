"""Texts in the language of a page: English from the code, others from catalogs in locale/."""

from __future__ import annotations

import gettext as catalogs
import io
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from .. import wording
from ..domain.attributes import PREFIX
from ..domain.client_files import RowError
from ..domain.errors import FieldError, Invalid, ServiceError
from ..domain.faults import Fault
from ..domain.gateway_control import GatewayChange, GatewayControl
from ..domain.reasons import Cause, Reason
from ..domain.sent_texts import NoText
from . import formats
from .languages import DEFAULT, language

_LOCALE = Path(__file__).with_name("locale")


def gettext(message: str, **values: Any) -> str:
    """The text in the page's language, with values instead of `%(name)s`."""
    text = _catalog(language()).gettext(message) if message else ""
    return text % values if values else text


def ngettext(singular: str, plural: str, number: int, /, **values: Any) -> str:
    """The form of a text that goes with a number."""
    text = _catalog(language()).ngettext(singular, plural, number)
    return text % values if values else text


_ = gettext


def of_reasons(text: str) -> str:
    """A sentence of `wording.REASONS` or `wording.DETAILED`, translated, with its placeholders."""
    return _catalog(language()).pgettext("reason", text)


def reason(cause: Cause | None) -> str:
    """Why something is as it is, "" if there is no cause."""
    return wording.reason_text(cause, of_reasons)


def left_out(why: Reason) -> str:
    """Why a client will not get the message."""
    return reason(Cause(why))


def circuit_reason(control: GatewayControl | GatewayChange) -> str:
    """Why the circuit is, or was, as it is."""
    return wording.circuit_text(control.cause, control.reason, of_reasons)


def wrong(error: FieldError | RowError) -> str:
    """What is wrong with a field, in the page's language."""
    return _sentence(error.fault, error.values)


def told(error: ServiceError) -> str:
    """What is wrong, in the page's language; for an Invalid, with every field."""
    if isinstance(error, Invalid):
        return "; ".join(f"{field_name(one.field)}: {wrong(one)}" for one in error.errors)
    return _sentence(error.fault, error.values)


def of_problems(text: str) -> str:
    """The title or the meaning of a kind of problem."""
    return _catalog(language()).pgettext("problem", text)


def _sentence(fault: Fault, values: Mapping[str, object]) -> str:
    def translated(text: str) -> str:
        return _catalog(language()).pgettext("fault", text)

    if fault is Fault.MAILING_PARTLY_CHANGEABLE:
        labels = {name: _labels(str(values[name])) for name in ("names", "refused")}
        return fault.sentence({**values, **labels}, translated, _value)
    return fault.sentence(values, translated, _value)


def _labels(names: str) -> str:
    return ", ".join(field_name(name) for name in names.split(", "))


def _value(value: object) -> str:
    if isinstance(value, date):
        return formats.day(value)
    return formats.number(value) if isinstance(value, int) else status_name(str(value))


@cache
def _entries(language: str) -> Any:
    import polib  # imported here because only pages need it

    path = _LOCALE / f"{language}.po"
    return polib.pofile(path.read_text(encoding="utf-8")) if path.exists() else polib.POFile()


@cache
def _catalog(language: str) -> catalogs.NullTranslations:
    if language == DEFAULT:
        return catalogs.NullTranslations()
    # polib compiles in memory, and the standard library reads that, so there is no compiled file.
    return catalogs.GNUTranslations(io.BytesIO(_entries(language).to_binary()))


def status_name(name: str) -> str:
    """The name of a status, for people."""
    return {
        "draft": _("draft"),
        "scheduled": _("scheduled"),
        "running": _("running"),
        "paused": _("paused"),
        "finished": _("finished"),
        "checked": _("checked, not imported"),
        "incomplete": _("interrupted"),
        "cancelled": _("cancelled"),
        "expired": _("expired"),
        "queued": _("queued"),
        "sending": _("sending"),
        "sent": _("sent"),
        "waiting": _("waiting"),
        "failed": _("failed"),
        "unknown": _("unknown"),
        "skipped": _("skipped"),
        "open": _("paused: gateway failing"),
        "closed": _("on"),
        "held": _("paused by hand"),
        "accepted": _("accepted"),
        "refused": _("refused"),
        "throttled": _("too many at once"),
        "blocked": _("blocked"),
        "found": _("the gateway has it"),
        "missing": _("the gateway does not know it"),
        "unclear": _("no clear answer"),
        "opted-out": _("opted out"),
        "stop": _("STOP"),
        "start": _("START"),
        "help": _("HELP"),
        "unreachable": _("unreachable"),
        "delivered": _("delivered"),
        "undelivered": _("not delivered"),
        "pending": _("on its way"),
        "no_receipt": _("no receipt"),
    }.get(name, name)


def text_unknown(why: NoText) -> str:
    """Why the text that a client was sent is not known."""
    return {
        NoText.NOT_CALLED: _("The gateway was not called."),
        NoText.NOT_KEPT: _("It is not known, because the values that it was made with are not kept."),
        NoText.TOO_LARGE: _("It is not known, because the values that it was made with were too large to be kept."),
        NoText.SENDER_STOPPED: _("It is not known, because the sender stopped before it saved the result."),
    }[why]


def paused_for(name: str) -> str:
    """Why the service paused a mailing, for people."""
    return {
        "budget": _("the budget is used up"),
        "month_budget": _("the budget of the month is used up"),
        "no_prices": _("there is a budget, but there is no price list"),
    }.get(name, name)


def worker_name(name: str) -> str:
    """The name of a kind of worker, for people."""
    return {
        "sender": _("The message sender"),
        "dispatcher": _("The part that starts mailings"),
        "tick": _("The check that runs every minute"),
    }.get(name, name)


def change_name(name: str) -> str:
    """The label of a changed field in the log of actions; the form asks for some of them the other way round."""
    if name.startswith("texts."):
        return _("Text (%(language)s)", language=name.removeprefix("texts."))
    return {
        "status": _("Status"),
        "keep_values": _("Values are kept"),
        "unreachable": _("Unreachable"),
        "clients.filter": _("Conditions"),
        "clients.recipients": _("File of numbers"),
        "template": _("Template"),
        "password": _("Password"),
    }.get(name) or field_name(name)


def field_hint(name: str) -> str:
    """What to enter in a text field of a client, "" if its label says enough."""
    return {
        "external_id": _(
            "Their ID in your own system, such as crm-1042. No two clients can have the same one. Optional."
        ),
        "language": _("The code of the language that the client reads, such as ru or pt-BR. Optional."),
    }.get(name, "")


def field_name(name: str) -> str:
    """The label of a field, for the list of errors."""
    if name.startswith(PREFIX):
        return _("Attribute %(name)s") % {"name": name.removeprefix(PREFIX)}
    return {
        "phone_number": _("Phone number"),
        "operator": _("Operator"),
        "tag": _("Tag"),
        "tags": _("Tags"),
        "timezone": _("Time zone"),
        "attributes": _("Attributes"),
        "external_id": _("External ID"),
        "user_id": _("External ID that several may share"),
        "opted_out": _("Opted out"),
        "subscribed": _("Subscribed (the opposite of opted out)"),
        "channel": _("Kind of address (only SMS is imported)"),
        "file": _("File"),
        "name": _("Name"),
        "username": _("Username"),
        "role": _("Role"),
        "current_password": _("Current password"),
        "password": _("New password"),
        "repeated": _("Repeat new password"),
        "language": _("Language"),
        "zone": _("Time zone"),
        "rate": _("Messages per second"),
        "reason": _("Reason"),
        "text": _("Text"),
        "clients": _("Clients"),
        "local_window": _("Client's local hours"),
        "clients.tag": _("Tags"),
        "clients.operator": _("Operators"),
        "clients.recipients": _("File of numbers"),
        "start_time": _("Start"),
        "end_time": _("End"),
        "local_window.from": _("From"),
        "local_window.until": _("Until"),
        "local_window.policy": _("Outside these hours"),
        "rate_limit": _("Maximum messages per second"),
        "on_unknown": _("If it is unknown whether a message was sent"),
        "gateway": _("Gateway"),
        "late": _("If the start is missed by more than 5 minutes"),
        "include_unreachable": _("Also to unreachable clients"),
        "texts": _("Other languages"),
        "missing": _("If a client has no such value"),
        "keep_values": _("Keep no values"),
        "budget": _("Budget"),
        "month_budget": _("Budget of each month"),
    }.get(name, name)
