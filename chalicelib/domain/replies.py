"""Replies: what people write back to the numbers that messages came from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b

MAX_TEXT = 2000  # characters; ten SMS have 1,600
MOST_A_MINUTE = 3000  # of one gateway: more is no people who write, but somebody who has the address
_MAX_REFERENCE = 200
_ENDS = re.compile(r"^[\W_]+|[\W_]+$")
_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Keyword(StrEnum):
    """What a text asks for if it is a keyword and nothing else. It is shown; the service does not act on it."""

    STOP = "stop"
    START = "start"
    HELP = "help"


# As CTIA's Messaging Principles and Best Practices name them, and their Russian counterparts.
_WORDS = {
    Keyword.STOP: ("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke", "стоп", "отписаться"),
    Keyword.START: ("start", "unstop", "старт"),
    Keyword.HELP: ("help", "info", "помощь"),
}
_KEYWORDS = {word: keyword for keyword, words in _WORDS.items() for word in words}


def keyword_of(text: str) -> Keyword | None:
    """The keyword that a text is, in any case and whatever marks are around it."""
    return _KEYWORDS.get(_ENDS.sub("", text).casefold())


@dataclass(frozen=True, slots=True)
class Inbound:
    """What a gateway says that somebody wrote.

    `reference` is the gateway's id of it, or what stands for one if it has none. `to` is the number, short code or name
    that it was sent to. `message_id` is ours, of the message that it answers, if the gateway says so.
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
        """The same however often the gateway tells it."""
        told = f"{self.gateway}\0{self.reference}".encode()
        return blake2b(told, digest_size=16, person=b"ms-replies").hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as it is kept. `client_id` is who had the number when it came, "" if nobody; `message_id` is of a message
    that was sent to that number, else "".
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
        """The mailing of that message, "" if there is none."""
        return self.message_id.partition("-")[0]


def plain(text: str) -> str:
    """A text as it can be stored and shown: what no phone can write is left out, and so is what is too long."""
    return _UNWANTED.sub("", text[:MAX_TEXT]).encode("utf-8", "replace").decode()


def reference_of(told: object, content: str) -> str:
    """The gateway's id, or a digest of all that it said: what is told twice is the same."""
    text = str(told) if isinstance(told, int | str) else ""
    if text and len(text) <= _MAX_REFERENCE and text.isprintable():
        return f"id:{text}"
    return "of:" + blake2b(content.encode("utf-8", "replace"), digest_size=16).hexdigest()
