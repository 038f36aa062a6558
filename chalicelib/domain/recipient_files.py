"""A file of recipients: numbers for one mailing only, with values of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

KEPT_FOR = timedelta(days=90)  # after the upload; a mailing to the file must end before
TO_BE_USED_WITHIN = timedelta(days=7)
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # of a ULID; the first ten are milliseconds since 1970


@dataclass(frozen=True, slots=True)
class RecipientFile:
    """A file that was read to its end: how many numbers it has, and which values a text can use.

    Its id is that of the import. `mailing_id` is its mailing, "" before there is one.
    """

    file_id: str
    file_name: str
    count: int
    names: Sequence[str] = ()
    mailing_id: str = ""

    @property
    def created_at(self) -> datetime:
        return uploaded_at(self.file_id)

    @property
    def kept_until(self) -> datetime:
        return self.created_at + KEPT_FOR


def uploaded_at(file_id: str) -> datetime:
    """When the first part of a file was uploaded, which its id contains."""
    milliseconds = 0
    for digit in file_id[:10]:
        milliseconds = milliseconds * len(_DIGITS) + _DIGITS.index(digit)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
