"""How many clients each segment has: counters that change together with clients, so that rows need not be counted."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pynamodb.transactions import TransactWrite

from ..domain.clients import KEY_SEPARATOR, Client
from ..domain.segments import Segment
from .counters import Counters
from .dynamodb import translated
from .tables import Tables

_LOOK = 5000  # counters of tags; each tag has a few
_FURTHER = "+"  # in the names of counters for clients who have the tag, but not as their first one
_REACHED, _OPTED_OUT, _UNREACHABLE = "012"  # how the name of a counter says whether clients get mailings
Change = tuple[Client | None, Client | None]  # a client before and after


@dataclass(frozen=True, slots=True)
class SegmentCount:
    """How many clients share tag, operator, time zone, opt-out and (unless opted out) being unreachable."""

    tag: str
    operator: str
    timezone: str
    opted_out: bool
    unreachable: bool
    count: int


@dataclass(frozen=True, slots=True)
class SegmentCounts:
    """The counts of a segment.

    If they are not `exact` they are upper bounds: a client with several of its tags is counted for each.
    """

    parts: Sequence[SegmentCount]
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Total:
    """How many clients a segment has; an upper bound if it is not `exact`, as in SegmentCounts."""

    count: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Moves:
    """How changes of clients change the counters: those with all details, and those with totals for lists.

    With the totals, a list's total costs the same however many clients and segments there are. Each client is counted
    once in the detailed counters, with their first tag. A further tag has a single counter, whose name is that of the
    tag's total followed by the details, so that one read gives the total of a tag.
    """

    details: Counter[str]
    totals: Counter[str]

    def names(self) -> set[str]:
        """Every counter that is touched, even if its value stays the same in the end."""
        return {f"detail {name}" for name in self.details} | {f"total {name}" for name in self.totals}


def moves_of(changes: Iterable[Change], nonce: str) -> Moves:
    """The moves for changes.

    Counters have several parts, so that not all writers use the same item; `nonce` chooses one.
    """
    moves = Moves(Counter(), Counter())
    for pair in changes:
        for client, change in zip(pair, (-1, 1), strict=True):
            if client:
                parts = (client.tag, client.operator, client.timezone, _standing(client), nonce)
                moves.details[KEY_SEPARATOR.join(parts)] += change
                for name in (_total_of("all"), _total_of("tag", client.tag), _total_of("operator", client.operator)):
                    moves.totals[name + nonce] += change
                for tag in client.tags[1:]:
                    moves.totals[_further(tag) + KEY_SEPARATOR.join(parts[1:])] += change
    return moves


class SegmentCounters:
    """The counters in DynamoDB."""

    def __init__(self, tables: Tables) -> None:
        self._details = Counters(tables, "clients")
        self._totals = Counters(tables, "client-totals")

    def move(self, transaction: TransactWrite, moves: Moves) -> None:
        """Let the transaction that writes the clients change the counters too."""
        self._details.move(transaction, moves.details)
        self._totals.move(transaction, moves.totals)

    def counts(self, segment: Segment) -> SegmentCounts:
        """The counts that make up a segment, by tag, operator, time zone and opt-out."""
        sums: Counter[tuple[str, ...]] = Counter()
        further: Counter[tuple[str, ...]] = Counter()
        with translated("clients"):
            for prefix in _prefixes(segment):
                for name, count in self._details.read(prefix):
                    sums[tuple(name.split(KEY_SEPARATOR)[:4])] += count
            for tag in segment.tags:
                for name, count in self._totals.read(_further(tag)):
                    further[tag, *name.split(KEY_SEPARATOR)[3:6]] += count
        of_first, of_further = (
            [
                SegmentCount(
                    tag=tag,
                    operator=operator,
                    timezone=timezone,
                    opted_out=standing == _OPTED_OUT,
                    unreachable=standing == _UNREACHABLE,
                    count=count,
                )
                for (tag, operator, timezone, standing), count in counted.items()
                if count and (not segment.operators or operator in segment.operators)
            ]
            for counted in (sums, further)
        )
        return SegmentCounts(of_first + of_further, exact=len(segment.tags) < 2 or not of_further)

    def total(self, segment: Segment) -> Total:
        """How many clients a segment has, opted-out ones included."""
        if segment.tags and segment.operators:
            counts = self.counts(segment)
            return Total(sum(part.count for part in counts.parts), counts.exact)
        names = [_total_of("tag", tag) for tag in segment.tags] or [_total_of("operator", o) for o in segment.operators]
        sums: Counter[bool] = Counter()  # by whether the counter is for further tags
        with translated("clients"):
            for name in names or [_total_of("all")]:
                for counter, count in self._totals.read(name):
                    sums[counter.startswith(_FURTHER, len(name))] += count
        return Total(sums.total(), exact=len(segment.tags) < 2 or not sums[True])

    def tags(self, most: int) -> list[tuple[str, int]]:
        """Up to `most` tags with their numbers of clients, the largest first, among those that one call reads."""
        sums: Counter[str] = Counter()
        with translated("clients"):
            for name, count in itertools.islice(self._totals.read(f"tag{KEY_SEPARATOR}"), _LOOK):
                sums[name.split(KEY_SEPARATOR)[1]] += count
        ranked = sorted(((tag, count) for tag, count in sums.items() if tag and count > 0), key=lambda one: -one[1])
        return ranked[:most]


def _prefixes(segment: Segment) -> list[str]:
    """The prefixes of a segment's counters; counters of other operators may have them too."""
    if not segment.tags:
        return [""]
    tail = segment.operators[0] + KEY_SEPARATOR if len(segment.operators) == 1 else ""
    return [tag + KEY_SEPARATOR + tail for tag in segment.tags]


def _standing(client: Client) -> str:
    return _OPTED_OUT if client.opted_out else _UNREACHABLE if client.unreachable else _REACHED


def _further(tag: str) -> str:
    return _total_of("tag", tag) + _FURTHER + KEY_SEPARATOR


def _total_of(kind: str, value: str = "") -> str:
    return KEY_SEPARATOR.join((kind, value, ""))
