"""Cursors: a place in a list, opaque to clients, bound to the list and filters it came from."""

from __future__ import annotations

import base64
import binascii
import hashlib

from ..domain.errors import Malformed
from ..domain.faults import Fault

_SUM = 6  # bytes; this finds mistakes, it is no secret: a cursor grants nothing that the list itself does not


def encode(place: str, scope: str) -> str:
    """A cursor for a place in the list that `scope` describes."""
    content = place.encode()
    return base64.urlsafe_b64encode(_checksum(content, scope) + content).decode().rstrip("=")


def decode(cursor: str, scope: str) -> str:
    """The place; Malformed where the cursor was changed or comes from another list or other filters."""
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
