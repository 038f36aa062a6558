"""Paces: which moments are free for calls that must keep a distance from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

MAX_APART = 100  # moments taken ahead of a pace's place; each is a number in its item


@dataclass(frozen=True, slots=True)
class Pace:
    """What of one pace is taken: everything before `next_at`, and single moments after it. Microseconds of Unix time.

    Single moments are what a mailing slower than the gateway takes ahead of the others; those in between stay free.
    """

    next_at: int = 0
    apart: tuple[int, ...] = ()
    revision: int = 0

    def sane(self, last: int) -> Pace:
        """The pace without what lies after the last moment that can be taken: the clock was set back since it was."""
        if self.next_at > last:
            return replace(self, next_at=0, apart=())
        return replace(self, apart=tuple(moment for moment in self.apart if moment <= last))

    def earliest(self, since: int, gap: int) -> int:
        """The first moment from `since` on that is at least `gap` away from every taken one."""
        moment = max(since, self.next_at)
        for taken in self.apart:
            if taken - gap < moment < taken + gap:
                moment = taken + gap
        return moment

    def with_taken(self, moments: Sequence[int], gap: int, now: int) -> Pace:
        """The pace after these moments are taken; what is past, or leaves no room between, is not kept one by one."""
        next_at = max(self.next_at, now)
        apart = sorted((*self.apart, *moments))
        while apart and (apart[0] < next_at + gap or len(apart) > MAX_APART):
            next_at = max(next_at, apart.pop(0) + gap)
        return replace(self, next_at=next_at, apart=tuple(apart), revision=self.revision + 1)


def book(paces: Sequence[Pace], gaps: Sequence[int], wanted: int, now: int, last: int) -> tuple[list[int], list[Pace]]:
    """Up to `wanted` moments that are free in all paces and keep the gap of each, none after `last`; the new paces."""
    moments: list[int] = []
    moment = now
    widest = max(gaps)
    while len(moments) < wanted:
        settled = None
        while moment != settled and moment <= last:
            settled = moment
            for pace, gap in zip(paces, gaps, strict=True):
                moment = pace.earliest(moment, gap)
        if moment > last:
            break
        moments.append(moment)
        moment += widest
    taken = [pace.with_taken(moments, gap, now) for pace, gap in zip(paces, gaps, strict=True)]
    return moments, taken if moments else list(paces)
