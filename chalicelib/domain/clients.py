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
SHARED_ID = "user_id"  # the attribute that holds an external id which another client has
# A client is marked as unreachable after this many messages in this time could not be delivered for good.
LOST_AT_MOST = 3
LOST_WITHIN = timedelta(days=90)

_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|[0-9]{3}))?")
_OPERATOR = re.compile(r"[0-9]{3}")
# Separates the parts of an index key. No tag contains it, because control characters are refused.
KEY_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class ClientFields:
    """The fields of a client that people set, each defined here once. `operator` None: taken from a +7 number.

    All but the number are optional. The API, forms, CSV and the table only add how they write a field.
    """

    phone_number: str
    operator: str | None = None
    tags: tuple[str, ...] = ()
    timezone: str = "UTC"
    opted_out: bool = False
    language: str = ""  # a short BCP 47 code such as ru or pt-BR; "" if it is not known
    attributes: Mapping[str, Value] = NO_ATTRIBUTES
    external_id: str = ""  # their id in your own system; "" if there is none

    @property
    def tag(self) -> str:
        """The first tag, "" if there is none."""
        return self.tags[0] if self.tags else ""


CLIENT_FIELDS = tuple(one.name for one in fields(ClientFields))
OPTIONAL_FIELDS = frozenset(CLIENT_FIELDS) - {"phone_number"}
# Fields that are plain texts, "" if not known. The form, the page and the table show them without code for each.
TEXT_FIELDS = tuple(one.name for one in fields(ClientFields) if one.default == "")


@dataclass(frozen=True, slots=True)
class Lost:
    """A message that could not be delivered for good, according to a gateway: its mailing and the time."""

    mailing_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Client(ClientFields):
    """One entry of the directory. `operator` is the 3-digit code, or "" if it is not known."""

    operator: str = ""
    attributes: Attributes = NO_ATTRIBUTES
    client_id: str = ""  # until they are added, because it does not follow from the number alone
    created_at: datetime
    updated_at: datetime
    # Whether the number was ever changed. If so, the id does not follow from the number.
    renumbered: bool = False
    # The latest messages to their number that were lost, and whether there were too many.
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

        If the number is another one, what is known about the old number is dropped.
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
        """The client with one more lost message, which may make them unreachable. The same message counts once."""
        if any(one.mailing_id == lost.mailing_id for one in self.lost):
            return self
        latest = tuple(sorted((*self.lost, lost), key=lambda one: one.at)[-LOST_AT_MOST:])
        too_many = len(latest) == LOST_AT_MOST and latest[-1].at - latest[0].at <= LOST_WITHIN
        return replace(self, lost=latest, unreachable=self.unreachable or too_many)

    def reachable(self) -> Client:
        """The client without lost messages, after a delivery or because a person said so."""
        return replace(self, lost=(), unreachable=False)


def in_place_of_row(row: Client, old: Client, given: frozenset[str], *, allow_opt_in: bool) -> Client:
    """The existing client `old` with the fields that a row sets; the others stay.

    `given` names each field that is set, or single attributes such as `attributes.first_name`. If there would be too
    many attributes, or they would be too large, those of the client stay as they were. Nobody is opted in unless
    `allow_opt_in`, and nobody whose client was changed after the upload.
    """
    kept = {name: getattr(old, name) for name in OPTIONAL_FIELDS - given}
    if "attributes" not in given and any(name.startswith(PREFIX) for name in given):
        together = row.attributes.over(old.attributes)
        kept["attributes"] = old.attributes if together.fault else together
    if old.opted_out and not (allow_opt_in and old.updated_at <= row.updated_at):
        kept["opted_out"] = True
    return replace(row.in_place_of(old), **kept)


def sharing_its_id(row: Client, given: frozenset[str]) -> tuple[Client, frozenset[str]]:
    """A row whose external id another client has: it is moved to the attribute `user_id`, if there is room.

    Also returns the fields that the row sets then; an existing client keeps their external id.
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
    """What is needed to reach a client: their current number, their time zone, and whether they opted out.

    `unreachable` says that too many messages to that number were lost. Language and attributes are set only if they
    were asked for.
    """

    phone_number: str
    timezone: str
    opted_out: bool
    unreachable: bool = False
    language: str = ""
    attributes: Attributes = NO_ATTRIBUTES


def masked_phone(phone_number: str) -> str:
    """A number in E.164 form that shows only its first and last two digits, so that people can recognise it."""
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
    """An id of another system as it is stored: in NFC, without spaces around it.

    Raises Invalid if it is too long or has invisible characters.
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
    """The code of a language in its usual form, such as pt-BR for pt_br.

    Raises Invalid if it is not a code of a language.
    """
    found = _LANGUAGE.fullmatch(text.strip())
    if not found:
        raise Invalid.of(field, Fault.LANGUAGE)
    language, script, region = (part or "" for part in found.groups())
    return "-".join(part for part in (language.lower(), script.title(), region.upper()) if part)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The time zone with this name."""
    return ZoneInfo(name)


# The rule of each field that has one. It returns the value as it is stored.
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

    `country` is for a number without a country code. The number that is `stored` for a client is not checked again,
    because the rules may have changed since.
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
