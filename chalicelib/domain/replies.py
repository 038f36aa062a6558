"""Replies: what people write back to the numbers that messages came from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b

MAX_TEXT = 2000  # characters; ten SMS have 1,600
MOST_A_MINUTE = 3000  # from one gateway; more than that are not people but somebody who found the address
_MAX_REFERENCE = 200
_ENDS = re.compile(r"^[\W_]+|[\W_]+$")
_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Keyword(StrEnum):
    """What a text asks for if it is only a keyword. It is shown; the service does not act on it."""

    STOP = "stop"
    START = "start"
    HELP = "help"


# From CTIA's Messaging Principles and Best Practices, and their Russian counterparts.
_WORDS = {
    Keyword.STOP: ("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke", "стоп", "отписаться"),
    Keyword.START: ("start", "unstop", "старт"),
    Keyword.HELP: ("help", "info", "помощь"),
}
_KEYWORDS = {word: keyword for keyword, words in _WORDS.items() for word in words}


def keyword_of(text: str) -> Keyword | None:
    """The keyword that a text consists of, in upper or lower case, with any punctuation around it."""
    return _KEYWORDS.get(_ENDS.sub("", text).casefold())


@dataclass(frozen=True, slots=True)
class Inbound:
    """A reply as the gateway reports it.

    `reference` is the gateway's id for it, or a digest if it has none. `to` is the number, short code or name that it
    was sent to. `message_id` is our message that it answers, if the gateway tells that.
    """

    gateway: str
    reference: str
    phone_number: str
    text: str
    to: str
    at: datetime
    message_id: str = ""

    @property
    def reply_id(self) -> str:
        """An id that is the same however often the gateway reports the reply."""
        told = f"{self.gateway}\0{self.reference}".encode()
        return blake2b(told, digest_size=16, person=b"ms-replies").hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as it is stored.

    `client_id` is the client who had the number when it came, `message_id` a message that was sent to that number; each
    is "" if there is none.
    """

    reply_id: str
    gateway: str
    phone_number: str
    text: str
    to: str
    at: datetime
    received_at: datetime
    keyword: Keyword | None = None
    client_id: str = ""
    message_id: str = ""

    @property
    def mailing_id(self) -> str:
        """The mailing of `message_id`, "" if there is none."""
        return self.message_id.partition("-")[0]


def plain(text: str) -> str:
    """A text that can be stored and shown: without unprintable characters, and cut if it is too long."""
    return _UNWANTED.sub("", text[:MAX_TEXT]).encode("utf-8", "replace").decode()


def reference_of(told: object, content: str) -> str:
    """The gateway's id, or else a digest of everything it said, so that a repeated report has the same id."""
    text = str(told) if isinstance(told, int | str) else ""
    if text and len(text) <= _MAX_REFERENCE and text.isprintable():
        return f"id:{text}"
    return "of:" + blake2b(content.encode("utf-8", "replace"), digest_size=16).hexdigest()
