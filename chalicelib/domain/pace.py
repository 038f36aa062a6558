"""Paces: which moments are free for calls that must keep a distance from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

MAX_APART = 100  # messages that have moments ahead of a pace's place; each is a number or two in its item


class Spacing(NamedTuple):
    """What a message takes of a pace: `weight` moments in a row, `gap` microseconds from one to the next.

    It is sent at the first of them. `heaviest` is the most that any message may weigh in this pace.
    """

    gap: int
    weight: int = 1
    heaviest: int = 1

    @property
    def span(self) -> int:
        """Microseconds until the next message may be sent."""
        return self.gap * self.weight


class Taken(NamedTuple):
    """A moment at which a message is sent, and how many moments it takes from there on."""

    moment: int
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Pace:
    """What of one pace is taken: everything before `next_at`, and single messages' moments after it.

    Those are what a mailing slower than the gateway takes ahead of the others; the moments in between stay free.
    Moments are microseconds of Unix time.
    """

    next_at: int = 0
    apart: tuple[Taken, ...] = ()
    revision: int = 0

    def sane(self, last: int) -> Pace:
        """The pace without what lies after the last moment that can be taken: the clock was set back since it was."""
        if self.next_at > last:
            return replace(self, next_at=0, apart=())
        return replace(self, apart=tuple(taken for taken in self.apart if taken.moment <= last))

    def earliest(self, since: int, spacing: Spacing) -> int:
        """The first moment from `since` on from which a message finds all its moments free, a gap from taken ones."""
        gap, span = spacing.gap, spacing.span
        moment = max(since, self.next_at)
        for taken, weight in self.apart:
            if taken - span < moment < taken + weight * gap:
                moment = taken + weight * gap
        return moment

    def with_taken(self, moments: Sequence[int], spacing: Spacing, now: int) -> Pace:
        """The pace after messages take what begins at these moments.

        What is past, or leaves no room between, is not kept one by one.
        """
        gap = spacing.gap
        next_at = max(self.next_at, now)
        apart = sorted((*self.apart, *(Taken(moment, spacing.weight) for moment in moments)))
        while apart and (apart[0].moment < next_at + gap or len(apart) > MAX_APART):
            taken, weight = apart.pop(0)
            next_at = max(next_at, taken + weight * gap)
        return replace(self, next_at=next_at, apart=tuple(apart), revision=self.revision + 1)


def book(
    paces: Sequence[Pace], spacings: Sequence[Spacing], wanted: int, now: int, last: int
) -> tuple[list[int], list[Pace]]:
    """Up to `wanted` moments at which a message may be sent by all paces, none after `last`; the new paces.

    Of each pace every message takes what its spacing says. So, of the messages whose moments lie within n gaps, all but
    the last one together weigh less than n.
    """
    moments: list[int] = []
    moment = now
    widest = max(spacing.span for spacing in spacings)
    while len(moments) < wanted:
        settled = None
        while moment != settled and moment <= last:
            settled = moment
            for pace, spacing in zip(paces, spacings, strict=True):
                moment = pace.earliest(moment, spacing)
        if moment > last:
            break
        moments.append(moment)
        moment += widest
    taken = [pace.with_taken(moments, spacing, now) for pace, spacing in zip(paces, spacings, strict=True)]
    return moments, taken if moments else list(paces)
