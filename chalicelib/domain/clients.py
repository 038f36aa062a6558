"""A client: a person who gets messages, identified by phone number."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from .attributes import NONE as NO_ATTRIBUTES
from .attributes import PREFIX, Attributes, Value, attributes_of
from .client_ids import shard_of
from .errors import FieldError, Invalid
from .faults import Fault
from .phone_numbers import normalize_phone
from .tags import check_tags

MAX_EXTERNAL_ID = 128  # characters
SHARED_ID = "user_id"  # the attribute of clients whose external id another one has
# After so many messages within so long that could not be delivered for good, a client is marked as unreachable.
LOST_AT_MOST = 3
LOST_WITHIN = timedelta(days=90)

_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|[0-9]{3}))?")
_OPERATOR = re.compile(r"[0-9]{3}")
# Separates the parts of an index key; no tag can hold it, as control characters are refused.
KEY_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class ClientFields:
    """What people say of a client: every such field stands here once. `operator` None: taken from a +7 number.

    All but the number are optional. What the API, the forms, CSV and the table have besides is how they write a field.
    """

    phone_number: str
    operator: str | None = None
    tags: tuple[str, ...] = ()
    timezone: str = "UTC"
    opted_out: bool = False
    language: str = ""  # as BCP 47 has it in short, such as ru or pt-BR; "" if it is not known
    attributes: Mapping[str, Value] = NO_ATTRIBUTES
    external_id: str = ""  # in the system of whoever runs this; "" if it has none for them

    @property
    def tag(self) -> str:
        """The first tag, "" if there is none."""
        return self.tags[0] if self.tags else ""


CLIENT_FIELDS = tuple(one.name for one in fields(ClientFields))
OPTIONAL_FIELDS = frozenset(CLIENT_FIELDS) - {"phone_number"}
# Plain texts, "" if not known. The form, the page and the table show these without code for each of them.
TEXT_FIELDS = tuple(one.name for one in fields(ClientFields) if one.default == "")


@dataclass(frozen=True, slots=True)
class Lost:
    """A message that a gateway says could not be delivered for good, by its mailing, and when that was."""

    mailing_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Client(ClientFields):
    """One entry of the directory. `operator` is the 3-digit code, or "" if it is not known."""

    operator: str = ""
    attributes: Attributes = NO_ATTRIBUTES
    client_id: str = ""  # until they are added, for it is not made of the number alone
    created_at: datetime
    updated_at: datetime
    # Whether the number was ever changed: the id is then not the one that follows from the number.
    renumbered: bool = False
    # The latest of the messages to their number that were lost, and whether there were too many of them.
    lost: tuple[Lost, ...] = ()
    unreachable: bool = False

    @property
    def shard(self) -> str:
        return shard_of(self.client_id)

    @property
    def fields(self) -> ClientFields:
        """The fields that people set."""
        return ClientFields(**{name: getattr(self, name) for name in CLIENT_FIELDS})

    def in_place_of(self, old: Client) -> Client:
        """The existing client with these fields, with the same id and creation time.

        What is known of their number goes when they have another one.
        """
        known = old if self.phone_number == old.phone_number else self
        return replace(
            self,
            client_id=old.client_id,
            created_at=old.created_at,
            renumbered=old.renumbered,
            lost=known.lost,
            unreachable=known.unreachable,
        )

    def losing(self, lost: Lost) -> Client:
        """The client with one more message lost, which may be one too many. The same message counts once."""
        if any(one.mailing_id == lost.mailing_id for one in self.lost):
            return self
        latest = tuple(sorted((*self.lost, lost), key=lambda one: one.at)[-LOST_AT_MOST:])
        too_many = len(latest) == LOST_AT_MOST and latest[-1].at - latest[0].at <= LOST_WITHIN
        return replace(self, lost=latest, unreachable=self.unreachable or too_many)

    def reachable(self) -> Client:
        """The client with nothing held against their number: something was delivered, or a person says so."""
        return replace(self, lost=(), unreachable=False)


def in_place_of_row(row: Client, old: Client, given: frozenset[str], *, allow_opt_in: bool) -> Client:
    """An existing client with the fields that a row sets; the others stay.

    `given` names each field that is set, or single attributes as `attributes.first_name`; if those would be too many or
    too large together with the client's others, the client's stay as they were.
    Nobody is opted in unless that is allowed, and nobody who was changed after the file came: that was the later word.
    """
    kept = {name: getattr(old, name) for name in OPTIONAL_FIELDS - given}
    if "attributes" not in given and any(name.startswith(PREFIX) for name in given):
        together = row.attributes.over(old.attributes)
        kept["attributes"] = old.attributes if together.fault else together
    if old.opted_out and not (allow_opt_in and old.updated_at <= row.updated_at):
        kept["opted_out"] = True
    return replace(row.in_place_of(old), **kept)


def sharing_its_id(row: Client, given: frozenset[str]) -> tuple[Client, frozenset[str]]:
    """A row whose external id another client has: without it, and with it as the attribute `user_id`, if there is room.

    Also the fields that it sets then; an existing client keeps their external id.
    """
    together = row.attributes.over({SHARED_ID: row.external_id})
    given -= {"external_id"}
    if together.fault:
        return replace(row, external_id=""), given
    return replace(row, external_id="", attributes=together), given | {PREFIX + SHARED_ID}


@dataclass(frozen=True, slots=True)
class IndexedClient:
    """What the indexes show of a client: enough to dispatch to them."""

    client_id: str
    operator: str
    phone_number: str
    timezone: str
    opted_out: bool
    unreachable: bool


@dataclass(frozen=True, slots=True)
class Contact:
    """What is needed to reach a client: their number now, the clock they live by, and whether they want to be.

    `unreachable` says that too much was lost on the way to that number. Language and attributes are there only if they
    were asked for.
    """

    phone_number: str
    timezone: str
    opted_out: bool
    unreachable: bool = False
    language: str = ""
    attributes: Attributes = NO_ATTRIBUTES


def masked_phone(phone_number: str) -> str:
    """A number in E.164 form with all but its first and its last two digits hidden: enough to recognise it by."""
    return phone_number[:2] + "*" * (len(phone_number) - 4) + phone_number[-2:]


def operator_of(phone_number: str) -> str:
    """The operator code of a +7 number, the 3 digits after the country code; "" for other countries."""
    return phone_number[2:5] if phone_number.startswith("+7") else ""


def check_operator(code: str, field: str = "operator") -> str:
    """The operator code as 3 digits. Raises Invalid if it is something else."""
    if not _OPERATOR.fullmatch(code):
        raise Invalid.of(field, Fault.OPERATOR)
    return code


@lru_cache(maxsize=1)
def timezones() -> frozenset[str]:
    """The names of all IANA time zones."""
    return frozenset(available_timezones()) - {"localtime", "Factory"}


def check_external_id(text: str, field: str = "external_id") -> str:
    """An id of another system as it is kept: in NFC, without spaces around it. Raises Invalid if it is too long, or has
    signs that cannot be seen.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if len(text) > MAX_EXTERNAL_ID:
        raise Invalid.of(field, Fault.TOO_LONG, most=MAX_EXTERNAL_ID)
    if not text.isprintable():
        raise Invalid.of(field, Fault.CONTROL_CHARACTERS)
    return text


def check_timezone(name: str, field: str = "timezone") -> str:
    """The name of an IANA time zone. Raises Invalid if there is no such time zone."""
    if name not in timezones():
        raise Invalid.of(field, Fault.TIME_ZONE)
    return name


def check_language(text: str, field: str = "language") -> str:
    """The code of a language in its usual form, such as pt-BR for pt_br. Raises Invalid if it is no such code."""
    found = _LANGUAGE.fullmatch(text.strip())
    if not found:
        raise Invalid.of(field, Fault.LANGUAGE)
    language, script, region = (part or "" for part in found.groups())
    return "-".join(part for part in (language.lower(), script.title(), region.upper()) if part)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The time zone with this name."""
    return ZoneInfo(name)


# The rule of each field that has one, which answers the value as it is kept.
_RULES: Mapping[str, Callable[[Any], object]] = {
    "operator": check_operator,
    "tags": check_tags,
    "timezone": check_timezone,
    "language": check_language,
    "attributes": attributes_of,
    "external_id": check_external_id,
}
_MAY_BE_EMPTY = ("operator", "language")


def new_client(given: ClientFields, now: datetime, country: str = "", stored: str = "") -> Client:
    """A client with checked fields, and without an id yet. Raises Invalid with each wrong field.

    `country` is that of a number without a country code. The number that is `stored` of a client stays as it is, though
    rules may have changed since.
    """
    values = {name: getattr(given, name) for name in CLIENT_FIELDS}
    errors: list[FieldError] = []
    rules = {"phone_number": lambda text: text if text and text == stored else normalize_phone(text, country), **_RULES}
    for name, rule in rules.items():
        if name in _MAY_BE_EMPTY and not values[name]:
            continue
        try:
            values[name] = rule(values[name])
        except Invalid as error:
            errors += error.errors
    if errors:
        raise Invalid(*errors)
    return kept_client(ClientFields(**values), now)


def kept_client(fields: ClientFields, now: datetime) -> Client:
    """A client with fields that were checked before."""
    values = {name: getattr(fields, name) for name in CLIENT_FIELDS}
    return Client(
        **{**values, "operator": fields.operator or operator_of(fields.phone_number)}, created_at=now, updated_at=now
    )
