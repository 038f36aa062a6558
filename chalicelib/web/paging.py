"""Pages of lists: the number of rows, and cursors, which are places in a list.

A cursor is opaque to clients, and belongs to the list and the filters it came from.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr

from ..domain.errors import Malformed
from ..domain.faults import Fault
from .fields import query_integer

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_SUM = 6  # bytes; a checksum, not a secret: a cursor grants nothing that the list itself does not


class LimitQuery(BaseModel):
    """How many rows are wanted, at most."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, BeforeValidator(query_integer), Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT


class PageQuery(LimitQuery):
    """The query of every list. A subclass adds the filters of its list."""

    cursor: StrictStr | None = None

    @property
    def _scope(self) -> str:
        return type(self).__name__ + self.model_dump_json(exclude={"limit", "cursor"})

    def place(self) -> str:
        """The place where the page begins, "" at the start. Raises Malformed for a cursor of another list."""
        return decode(self.cursor, self._scope) if self.cursor is not None else ""

    def following(self, place: str) -> str | None:
        """The cursor of the next page, or None if there is none."""
        return encode(place, self._scope) if place else None


def encode(place: str, scope: str) -> str:
    """A cursor for a place in the list that `scope` describes."""
    content = place.encode()
    return base64.urlsafe_b64encode(_checksum(content, scope) + content).decode().rstrip("=")


def decode(cursor: str, scope: str) -> str:
    """The place. Raises Malformed if the cursor was changed or comes from another list or other filters."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place = raw[_SUM:].decode()
        if encode(place, scope) == cursor:
            return place
    except (binascii.Error, ValueError):
        pass
    raise Malformed(Fault.CURSOR_CHANGED)


def _checksum(content: bytes, scope: str) -> bytes:
    return hashlib.blake2b(content + b"\0" + scope.encode(), digest_size=_SUM, person=b"ms-cursor").digest()
