"""Placeholders in a declaration's request: `{name}` is replaced by a value; nothing else is interpreted.

A value is inserted once; placeholders in it are not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..domain.sms import UCS_2, sms_parts
from .base import Outgoing
from .short_ids import short_id_of

PLACEHOLDER = re.compile(r"\{([a-z_0-9]+)\}")
# Values of a message; {token}, {account} and {sender} are the gateway's.
OF_A_MESSAGE: Mapping[str, str] = {
    "phone": "the number in E.164 form, such as +79161234567",
    "digits": "the number without its plus sign",
    "text": "the text",
    "text_ucs2_hex": "the text in UTF-16, big-endian, as hexadecimal digits",
    "message_id": "the message's id: 43 letters, digits and a hyphen",
    "short_id": "the message's id in 35 letters, digits, hyphens and underlines",
    "gateway_id": "the message's id as a number of 63 bits",
    "validity_milliseconds": "how long the gateway may go on trying",
    "validity_seconds": "the same in seconds",
    "validity_minutes": "the same in minutes, rounded up",
    "validity_hours_minutes": "the same as hours and minutes, such as 01:30",
    "valid_until": "until when the gateway may go on trying, such as 2026-03-02T18:00:00Z",
    "receipt_url": "where the gateway tells what became of the message, with its id",
}
OF_THE_GATEWAY: Mapping[str, str] = {
    "token": "the gateway's token (GATEWAY_TOKEN, or the secret)",
    "account": "the user name, key or number of the account (GATEWAY_ACCOUNT)",
    "sender": "the sender's name or number (GATEWAY_SENDER)",
}
NAMES = frozenset({*OF_A_MESSAGE, *OF_THE_GATEWAY})
# Values for headers: neither the text nor anything else that may not be ASCII.
IN_HEADERS = NAMES - {"text"}
# These become numbers in JSON, if a string consists of one of them.
_NUMBERS = frozenset({"gateway_id", "validity_milliseconds", "validity_seconds", "validity_minutes"})


@dataclass(frozen=True, slots=True)
class Values:
    """The values for one message, each made when it is needed. `validity` has the limits for {validity}."""

    message: Outgoing
    token: str
    account: str
    sender: str
    now: datetime
    validity: timedelta

    def get(self, name: str) -> str | int:
        """The value of a placeholder."""
        return _MAKE[name](self)


def _minutes(values: Values) -> int:
    return -(-values.validity // timedelta(minutes=1))


_MAKE: Mapping[str, Callable[[Values], str | int]] = {
    "token": lambda values: values.token,
    "account": lambda values: values.account,
    "sender": lambda values: values.sender,
    "phone": lambda values: values.message.phone_number,
    "digits": lambda values: values.message.phone_number.removeprefix("+"),
    "text": lambda values: values.message.text,
    "text_ucs2_hex": lambda values: values.message.text.encode("utf-16-be").hex(),
    "message_id": lambda values: values.message.message_id,
    "short_id": lambda values: short_id_of(values.message.message_id),
    "gateway_id": lambda values: values.message.gateway_id,
    "validity_milliseconds": lambda values: values.validity // timedelta(milliseconds=1),
    "validity_seconds": lambda values: values.validity // timedelta(seconds=1),
    "validity_minutes": _minutes,
    "validity_hours_minutes": lambda values: "{:02}:{:02}".format(*divmod(_minutes(values), 60)),
    "receipt_url": lambda values: values.message.receipt_url,
    "valid_until": lambda values: (values.now + values.validity).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
}


def fill(template: str, values: Values) -> str:
    """The template with its values."""
    return PLACEHOLDER.sub(lambda found: str(values.get(found[1])), template)


def fill_tree(template: Any, values: Values) -> Any:
    """A JSON tree with values in its strings. A value that depends on the text's encoding may be left out."""
    if isinstance(template, str):
        whole = PLACEHOLDER.fullmatch(template)
        return values.get(whole[1]) if whole and whole[1] in _NUMBERS else fill(template, values)
    if isinstance(template, list):
        return [fill_tree(one, values) for one in template]
    if isinstance(template, dict):
        found = {name: fill_tree(_chosen(one, values), values) for name, one in template.items()}
        return {name: one for name, one in found.items() if one is not None}
    return template


CHOICE = frozenset({"gsm7", "ucs2"})  # the names of an object that has a value for each encoding


def is_choice(template: Any) -> bool:
    """Whether a value depends on the text's encoding."""
    return isinstance(template, dict) and template.keys() == CHOICE


def is_for_receipts(template: Any) -> bool:
    """Whether a value is used only if receipts are switched on."""
    return isinstance(template, dict) and template.keys() == {"with_receipts"}


def _chosen(template: Any, values: Values) -> Any:
    if is_for_receipts(template):
        return template["with_receipts"] if values.message.receipt_url else None
    if not is_choice(template):
        return template
    return template["ucs2" if sms_parts(values.message.text).encoding == UCS_2 else "gsm7"]


def strings_in(template: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every string in a tree, with the path to it."""
    if isinstance(template, str):
        yield path, template
    elif isinstance(template, dict):
        for name, one in template.items():
            yield from strings_in(one, (*path, name))
    elif isinstance(template, list):
        for place, one in enumerate(template):
            yield from strings_in(one, (*path, str(place)))
