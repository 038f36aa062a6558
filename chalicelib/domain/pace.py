"""Paces: which moments are free for calls that must keep a distance in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

MAX_APART = 100  # messages with moments after `next_at`; each is a number or two in the pace's item


class Spacing(NamedTuple):
    """What a message takes from a pace: `weight` moments in a row, `gap` microseconds apart.

    It is sent at the first of them. `heaviest` is the largest weight of any message in this pace.
    """

    gap: int
    weight: int = 1
    heaviest: int = 1

    @property
    def span(self) -> int:
        """Microseconds until the next message may be sent."""
        return self.gap * self.weight


class Taken(NamedTuple):
    """The moment at which a message is sent, and how many moments it takes from there on."""

    moment: int
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Pace:
    """The taken moments of a pace: all before `next_at`, and those of single messages after it.

    A mailing slower than the gateway takes single moments ahead of the others, so that those in between stay free.
    Moments are microseconds of Unix time.
    """

    next_at: int = 0
    apart: tuple[Taken, ...] = ()
    revision: int = 0

    def sane(self, last: int) -> Pace:
        """The pace without anything after `last`, the last moment that can be taken.

        If there is something, the clock was set back.
        """
        if self.next_at > last:
            return replace(self, next_at=0, apart=())
        return replace(self, apart=tuple(taken for taken in self.apart if taken.moment <= last))

    def earliest(self, since: int, spacing: Spacing) -> int:
        """The first moment from `since` on at which all moments of a message are free, with a gap to taken ones."""
        gap, span = spacing.gap, spacing.span
        moment = max(since, self.next_at)
        for taken, weight in self.apart:
            if taken - span < moment < taken + weight * gap:
                moment = taken + weight * gap
        return moment

    def with_taken(self, moments: Sequence[int], spacing: Spacing, now: int) -> Pace:
        """The pace after messages have taken their spacing at each of these moments.

        Moments that are past, or have no room between them, are not kept one by one.
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
    """Book up to `wanted` moments that are free in all paces, none after `last`. Returns them and the new paces.

    Every message takes its spacing from each pace. So the messages within n gaps, without the last one, together weigh
    less than n.
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
