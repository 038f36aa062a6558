"""The ids of mailings: ULIDs, whose order is the order in which the mailings were made."""

from __future__ import annotations

from .errors import NotFound
from .faults import Fault


def is_mailing_id(text: str) -> bool:
    """Whether the text could be a mailing's id, a ULID."""
    return len(text) == 26 and text.isalnum() and text.isascii()


def checked_mailing_id(text: str) -> str:
    """The text, which may be a mailing's id. Raises NotFound if it cannot be one."""
    if not is_mailing_id(text):
        raise NotFound(Fault.NO_SUCH_MAILING, name=repr(text[:80]))
    return text
