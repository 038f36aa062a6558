"""Requests that are made again: the same key and content must do the same once, whatever got lost on the way."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from .errors import Invalid
from .faults import Fault

MAX_KEY_LENGTH = 255
KEY_FIELD = "Idempotency-Key"  # what an error about a key names


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What a caller named a request by, and a fingerprint of what it asked for. Keys of different users never meet."""

    name: str
    fingerprint: str

    @classmethod
    def of(cls, key: str, username: str, content: str) -> RequestKey:
        """The key of a user's request. Raises Invalid if it is empty, too long or not in visible ASCII."""
        if not (0 < len(key) <= MAX_KEY_LENGTH and all("!" <= one <= "~" for one in key)):
            raise Invalid.of(KEY_FIELD, Fault.KEY, most=MAX_KEY_LENGTH)
        return cls(_digest(f"{username}\n{key}"), _digest(content))


@dataclass(frozen=True, slots=True)
class OrderedMailing:
    """What came of an earlier request: the mailing that it ordered, which may be gone since."""

    fingerprint: str
    mailing_id: str
    ordered_at: datetime


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
