"""Cursors: a place in a list, opaque to clients, bound to the list and filters it came from."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

from ..domain.errors import Malformed

_SUM = 6  # bytes; this finds mistakes, it is no secret: a cursor grants nothing that the list itself does not


def encode(place: Any, scope: str) -> str:
    """A cursor for a place, which is JSON, in the list that `scope` describes."""
    content = json.dumps(place, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_checksum(content, scope) + content).decode().rstrip("=")


def decode(cursor: str, scope: str) -> Any:
    """The place; Malformed where the cursor was changed or comes from another list or other filters."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        content = raw[_SUM:]
        if raw[:_SUM] == _checksum(content, scope) and encode(json.loads(content), scope) == cursor:
            return json.loads(content)
    except (binascii.Error, ValueError, RecursionError):
        pass
    raise Malformed("the cursor was changed, or belongs to another list or other filters")


def _checksum(content: bytes, scope: str) -> bytes:
    return hashlib.blake2b(content + b"\0" + scope.encode(), digest_size=_SUM, person=b"ms-cursor").digest()
