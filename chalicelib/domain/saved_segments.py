"""Saved segments: segments with a name, which mailings can start from. Each mailing has its own copy."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from .segments import Segment
from .tags import MAX_TAG_LENGTH

MAX_NAME_LENGTH = MAX_TAG_LENGTH
MOST_SEGMENTS = 200  # as many as a person can choose from in a list, and a page of the API holds
FIELD = "clients.segment"  # the field of a mailing that names one
_ID = re.compile("[0-9a-f]{20}")


@dataclass(frozen=True, slots=True)
class SavedSegment:
    """A segment with its name. Names are unique, ignoring case."""

    name: str
    segment: Segment
    changed_at: datetime
    changed_by: str

    @property
    def segment_id(self) -> str:
        """The id, made from the name: 80 bits of BLAKE2b in hexadecimal digits."""
        return hashlib.blake2b(self.name.casefold().encode(), digest_size=10, person=b"ms-segment").hexdigest()


def is_segment_id(text: str) -> bool:
    """Whether the text could be the id of a saved segment."""
    return _ID.fullmatch(text) is not None
