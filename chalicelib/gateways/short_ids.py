"""Short ids: a message's id in 35 characters instead of 43, for gateways with a limit."""

from __future__ import annotations

import re
from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode

from ulid import ULID

from ..domain.errors import NotFound
from ..domain.messages import message_id_for, parse_message_id

_SHORT = re.compile(r"[A-Za-z0-9_-]{35}")
_MAILING = 16  # bytes; ten more are the client's


def short_id_of(message_id: str) -> str:
    """The short id: letters, digits, hyphens and underscores. `long_id_of` turns it back.

    A text that does not consist of a ULID and a client's id stays as it is.
    """
    try:
        mailing_id, client_id = parse_message_id(message_id)
        content = ULID.from_str(mailing_id).bytes + b32decode(client_id.upper())
    except (NotFound, ValueError):
        return message_id
    short = urlsafe_b64encode(content).decode().rstrip("=")
    return short if long_id_of(short) == message_id else message_id


def long_id_of(told: str) -> str:
    """The message id of a short id; any other text stays as it is."""
    if not _SHORT.fullmatch(told):
        return told
    content = urlsafe_b64decode(told + "=")
    client_id = b32encode(content[_MAILING:]).decode().lower()
    return message_id_for(str(ULID.from_bytes(content[:_MAILING])), client_id)
