"""The text that one client gets: in their language, with their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .attributes import Value
from .clients import Contact
from .mailings import Mailing, Missing
from .placeholders import parsed_text
from .reasons import Cause, Reason
from .sent_texts import values_kept
from .sms import part_count
from .statuses import MessageStatus

# Phones put ten parts together reliably; nothing is ever cut.
MOST_PARTS_EACH = 10


@dataclass(frozen=True, slots=True)
class PersonalText:
    """The text for a client, or the `cause` why they get none, with the status that the message gets.

    `missing` names the values that the client lacks, whatever the mailing's `missing` says. `kept` is stored with the
    message, so that its text can be made again. `parts` are its SMS parts.
    """

    text: str
    missing: tuple[str, ...] = ()
    status: MessageStatus | None = None
    cause: Cause | None = None
    kept: tuple[str, ...] | None = None
    parts: int = 0


def text_for(mailing: Mailing, contact: Contact) -> PersonalText:
    """The text of a mailing for a client. `contact` must have language and attributes."""
    template = parsed_text(mailing.text_in(contact.language))
    values = values_of(contact, template.names)
    text, missing = template.fill(values)
    if missing and mailing.missing is not Missing.SEND_EMPTY:
        status = MessageStatus.FAILED if mailing.missing is Missing.REFUSE else MessageStatus.SKIPPED
        return PersonalText(text, missing, status, Cause(Reason.VALUE_MISSING, missing[0]))
    parts = part_count(text)
    if parts > MOST_PARTS_EACH:
        return PersonalText(text, missing, MessageStatus.FAILED, Cause(Reason.TEXT_TOO_LONG, str(parts)))
    if not text.strip():
        return PersonalText(text, missing, MessageStatus.FAILED, Cause(Reason.TEXT_EMPTY))
    return PersonalText(text, missing, kept=values_kept(mailing, contact.language, values), parts=parts)


def values_of(contact: Contact, names: Iterable[str]) -> Mapping[str, str]:
    """The values that a text can use: the attributes, `phone_number`, `timezone` and `language`."""
    own = {"phone_number": contact.phone_number, "timezone": contact.timezone, "language": contact.language}
    known = contact.attributes
    return {name: own[name] if name in own else word_of(known.get(name, "")) for name in names}


def word_of(value: Value) -> str:
    """A value as people read it. "No" counts as missing, so that a section appears only for clients with "yes"."""
    if isinstance(value, bool):
        return "yes" if value else ""
    return str(value)
