"""The ids of mailings: ULIDs, which stand in the order in which the mailings were made."""

from __future__ import annotations


def is_mailing_id(text: str) -> bool:
    """Whether the text could be a mailing's id, a ULID."""
    return len(text) == 26 and text.isalnum() and text.isascii()
