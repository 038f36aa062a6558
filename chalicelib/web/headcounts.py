"""How far a filtered segment is counted, as an opaque text that the caller returns to continue counting."""

from __future__ import annotations

import json
from collections import Counter

from ..domain.segments import Segment
from ..services.audiences import Headcount
from . import paging


def written(headcount: Headcount, segment: Segment) -> str | None:
    """The text to continue counting; None if everything is counted."""
    if not headcount.shard:
        return None
    parts = [[*key, count] for key, count in headcount.parts.items()]
    content = [headcount.shard, headcount.cursor, headcount.looked_at, parts]
    return paging.encode(json.dumps(content, separators=(",", ":")), repr(segment))


def read(text: str | None, segment: Segment) -> Headcount | None:
    """The headcount of such a text; None if there is none.

    Raises Malformed if it was changed or is of another segment.
    """
    if not text:
        return None
    shard, cursor, looked_at, parts = json.loads(paging.decode(text, repr(segment)))
    return Headcount(Counter({tuple(key): count for *key, count in parts}), looked_at, shard, cursor)
