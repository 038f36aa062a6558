"""Walks through a segment in the order of client ids, as in the ledger, so that each bucket is written once.

The indexes are ordered by tag, operator and id. So a segment is divided into stretches, one for each tag and operator,
which are merged. The cursor of a walk is an id: a client who moves to another stretch meanwhile has the same place
there, and a client with several of the tags is met once.
"""

from __future__ import annotations

import heapq
import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from ..domain.clients import KEY_SEPARATOR, Client, IndexedClient
from ..domain.segments import Segment
from .client_lists import FIRST, LAST, NEXT, ClientLists, Range, ranges_of
from .tag_items import IndexEntry

_WALK = "walk:"  # begins the cursors of these walks; other cursors are from versions that went from tag to tag
_LEAST = 10  # clients of a stretch that are read at once
_OPERATORS = 2000  # more than there are codes of three digits


@dataclass(slots=True)
class _Stretch:
    """Clients whose keys have the same beginning: those that were read but not used, and whether there may be more."""

    name: str
    found: deque[IndexEntry] = field(default_factory=deque)
    more: bool = True


class ClientWalks:
    """Pages of a shard of a segment. A page may lag behind the last change, mostly by less than a second."""

    def __init__(self, lists: ClientLists) -> None:
        self._lists = lists

    def page(
        self, segment: Segment, shard: str, cursor: str, limit: int
    ) -> tuple[Sequence[Client | IndexedClient], str]:
        """Up to `limit` clients of a shard after the cursor ("" at the start), ordered by id, and the next cursor.

        The next cursor is "" at the end. Clients who came into the segment after the walk began may be left out.
        """
        if cursor and not cursor.startswith(_WALK):
            return self._lists.page(segment, shard, cursor, limit)
        ranges = ranges_of(segment)
        reader = _Reader(self._lists, segment, ranges[0].index, shard)
        if cursor:
            after, names = json.loads(cursor.removeprefix(_WALK))
            begun = [_Stretch(name) for name in names]
        else:
            after, begun = "", [stretch for part in ranges for stretch in reader.begin(part, limit)]
        at_once = max(_LEAST, -(-limit // max(1, len(begun))))
        heads: list[tuple[str, int]] = []  # the next client of each stretch, ordered by id
        for number, stretch in enumerate(begun):
            if reader.fill(stretch, after, at_once):
                heads.append((stretch.found[0].client_id, number))
        heapq.heapify(heads)
        clients: dict[str, Client | IndexedClient] = {}
        while heads and len(clients) < limit:
            after, number = heads[0]
            stretch = begun[number]
            client = stretch.found.popleft().client
            if client:
                clients[after] = client
            # At the end of a page, nothing is read for the next one.
            if (len(clients) < limit or stretch.found) and reader.fill(stretch, after, at_once):
                heapq.heapreplace(heads, (stretch.found[0].client_id, number))
            else:
                heapq.heappop(heads)
        if heads or any(stretch.more for stretch in begun):
            return list(clients.values()), _WALK + json.dumps([after, [stretch.name for stretch in begun]])
        return list(clients.values()), ""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the stretches of a shard of a segment."""

    lists: ClientLists
    segment: Segment
    index: str
    shard: str

    def fill(self, stretch: _Stretch, after: str, at_once: int) -> bool:
        """Whether a stretch has clients after an id; reads more if those that were read are used up."""
        if not stretch.found and stretch.more:
            low = stretch.name + after + NEXT if after else stretch.name
            found, stretch.more = self._between(low, stretch.name + LAST, at_once)
            stretch.found.extend(found)
        return bool(stretch.found)

    def begin(self, part: Range, limit: int) -> Iterator[_Stretch]:
        """The stretches of a range, each with its first clients.

        For few clients one query is enough.
        """
        if part.operators or part.is_of_one_operator:
            for name in [f"{part.prefix}{one}{KEY_SEPARATOR}" for one in sorted(part.operators)] or [part.prefix]:
                found, more = self._between(name, name + LAST, limit)
                yield _Stretch(name, deque(found), more)
            return
        low, more, operators = part.prefix or FIRST, True, 0
        while more and operators < _OPERATORS:
            found, more = self._between(low, part.prefix + LAST, limit)
            by_operator = [(one, list(some)) for one, some in groupby(found, key=lambda one: one.operator)]
            for place, (operator, some) in enumerate(by_operator, 1):
                name = part.prefix + operator + KEY_SEPARATOR
                yield _Stretch(name, deque(some), more and place == len(by_operator))  # the last one may have more
                low = name + LAST
            operators += len(by_operator)
            limit = _LEAST

    def _between(self, low: str, high: str, limit: int) -> tuple[list[IndexEntry], bool]:
        found, left = self.lists.between(self.segment, self.index, self.shard, low, high, limit)
        return found, bool(left)
