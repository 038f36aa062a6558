"""Stops: spans in which nothing was sent because a gateway's circuit was open, by an operator or automatically."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from .gateway_control import GatewayChange, GatewayControl, Setting

Span = tuple[datetime, datetime]
EVER, NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
MOST_STOPS = 50  # the longest ones are kept with a mailing, so that its item stays small


def known_stops(control: GatewayControl) -> Sequence[Span]:
    """The stops in the control itself: the last one, and the current one, which has no end yet."""
    last = [control.last_stop] if control.last_stop else []
    return [*last, (control.opened_at or EVER, NEVER)] if control.open else last


def stops_between(
    changes: Iterable[GatewayChange], control: GatewayControl, since: datetime, until: datetime
) -> Sequence[Span]:
    """The stops between two moments, from all changes of a gateway since the first of them.

    Without any change the circuit was the whole time as the control says.
    """
    steps = [one for one in changes if one.setting is Setting.CIRCUIT and since < one.at <= until]
    steps.sort(key=lambda one: one.at)
    was_open = steps[0].old != "closed" if steps else control.open
    began = since if was_open else None
    stops: list[Span] = []
    for step in steps:
        if step.new != "closed":
            began = began or step.at
        elif began is not None:
            stops.append((began, step.at))
            began = None
    return stops if began is None else [*stops, (began, until)]


def common(stops: Sequence[Sequence[Span]]) -> Sequence[Span]:
    """The spans in which all of several gateways were stopped."""
    found, *others = stops or [()]
    for other in others:
        both = ((max(a, c), min(b, d)) for a, b in found for c, d in other)
        found = [(since, until) for since, until in both if since < until]
    return found


def merged(spans: Iterable[Span]) -> Sequence[Span]:
    """The spans without overlaps, the earliest first."""
    found: list[Span] = []
    for since, until in sorted(spans):
        if found and since <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], until)
        elif since < until:
            found.append((since, until))
    return found


def kept(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The stops to keep with a mailing: merged, and only the longest if there are too many."""
    longest = sorted(merged(spans), key=lambda span: span[0] - span[1])[:MOST_STOPS]
    return tuple(sorted(longest))


def time_without(spans: Iterable[Span], since: datetime, until: datetime) -> timedelta:
    """How much time between two moments is in none of the spans, which may overlap."""
    within = ((max(one, since), min(other, until)) for one, other in spans)
    return until - since - sum((other - one for one, other in merged(within)), timedelta(0))
