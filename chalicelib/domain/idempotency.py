"""Repeated requests: the same key and content must take effect only once, even if an answer was lost."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from .errors import Invalid
from .faults import Fault

MAX_KEY_LENGTH = 255
KEY_FIELD = "Idempotency-Key"  # the field that errors about a key name


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's key for a request, with a fingerprint of the request. Keys of different users never collide."""

    name: str
    fingerprint: str

    @classmethod
    def of(cls, key: str, username: str, content: str) -> IdempotencyKey:
        """The key of a user's request. Raises Invalid if it is empty, too long or not in visible ASCII."""
        if not (0 < len(key) <= MAX_KEY_LENGTH and all("!" <= one <= "~" for one in key)):
            raise Invalid.of(KEY_FIELD, Fault.KEY, most=MAX_KEY_LENGTH)
        return cls(_digest(f"{username}\n{key}"), _digest(content))


@dataclass(frozen=True, slots=True)
class OrderedMailing:
    """The result of an earlier request: the mailing that it created, which may be deleted by now."""

    fingerprint: str
    mailing_id: str
    ordered_at: datetime


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
