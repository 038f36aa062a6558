"""Stops of all sending: what a gateway's trail and its control say of the time in which nothing could be sent."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.gateway_control import Circuit, GatewayChange, GatewayControl, Setting
from chalicelib.domain.stops import (
    EVER,
    MOST_STOPS,
    NEVER,
    Span,
    common,
    kept,
    known_stops,
    merged,
    stops_between,
    time_without,
)
from tests.factories import START

MINUTE = timedelta(minutes=1)
CLOSED, OPEN = GatewayControl(), GatewayControl(held=True, opened_at=START)


def span(since: float, until: float) -> Span:
    """A span in minutes after START."""
    return START + since * MINUTE, START + until * MINUTE


def change(at: float, old: Circuit, new: Circuit) -> GatewayChange:
    return GatewayChange(START + at * MINUTE, "", Setting.CIRCUIT, old, new)


def between(*changes: GatewayChange, control: GatewayControl = CLOSED) -> list[Span]:
    """The stops between the second and the ninth minute; the trail has the newest change first."""
    return list(stops_between(list(reversed(changes)), control, *span(2, 9)))


@pytest.mark.parametrize(
    ("changes", "stops"),
    [
        ([change(3, "closed", "held"), change(5, "held", "closed")], [span(3, 5)]),
        ([change(1, "closed", "open"), change(4, "open", "closed")], [span(2, 4)]),
        ([change(8, "closed", "held"), change(12, "held", "closed")], [span(8, 9)]),
        ([change(1, "closed", "held"), change(12, "held", "closed")], [span(2, 9)]),
        ([change(8, "closed", "open")], [span(8, 9)]),
        ([change(3, "closed", "open"), change(4, "open", "held"), change(6, "held", "closed")], [span(3, 6)]),
        (
            [change(3, "closed", "open"), change(4, "open", "closed"), change(5, "closed", "held")],
            [span(3, 4), span(5, 9)],
        ),
        ([change(2, "closed", "held")], [span(2, 9)]),
        ([change(0, "closed", "held"), change(1, "held", "closed")], []),
        ([GatewayChange(START + 3 * MINUTE, "anna", Setting.RATE, 5, 9)], []),
    ],
)
def test_stops_follow_from_the_changes_of_the_circuit(changes: list[GatewayChange], stops: list[Span]) -> None:
    """Expects those that began before or end later to count as far as they overlap, and a rate not to be one."""
    open_now = bool(changes) and changes[-1].new in ("open", "held")
    known = [one for one in changes if one.at <= START + 9 * MINUTE]
    still_open = bool(known) and known[-1].new in ("open", "held")
    assert between(*changes, control=OPEN if open_now or still_open else CLOSED) == stops


def test_the_control_tells_of_its_last_stop_and_of_that_of_now() -> None:
    """Expects a hold of a circuit that was open already to be one stop with that; another rate changes nothing."""
    opened = GatewayControl().tripped(START, 0)
    assert known_stops(opened) == [(START, NEVER)]
    closed = opened.held_open(START + MINUTE, "anna").closed(START + 3 * MINUTE, "anna").with_rate(5, START, "anna")
    assert known_stops(closed) == [span(0, 3)]
    assert known_stops(closed.held_open(START + 5 * MINUTE, "anna")) == [span(0, 3), (START + 5 * MINUTE, NEVER)]
    assert known_stops(GatewayControl()) == []
    assert known_stops(GatewayControl(held=True)) == [(EVER, NEVER)]


def test_of_several_gateways_only_what_is_common_stops_a_mailing() -> None:
    """Expects nothing as long as one can send, and nothing without a gateway."""
    assert common([[span(0, 4), span(6, 8)], [span(3, 7)]]) == [span(3, 4), span(6, 7)]
    assert common([[span(0, 4)], []]) == []
    assert common([[span(0, 4)], [span(4, 5)]]) == []
    assert common([[span(0, 4)]]) == [span(0, 4)]
    assert common([]) == ()


def test_time_in_two_spans_counts_once() -> None:
    """Expects overlaps, spans that touch, and those beyond the ends to take away what they cover."""
    spans = [span(6, 8), span(1, 3), span(2, 4), span(4, 5), span(9, 20), span(-5, 0.5)]
    assert merged(spans) == [span(-5, 0.5), span(1, 5), span(6, 8), span(9, 20)]
    assert time_without(spans, *span(0, 10)) == 2.5 * MINUTE
    assert time_without([(EVER, NEVER)], *span(0, 10)) == timedelta(0)
    assert time_without([span(3, 1)], *span(0, 10)) == 10 * MINUTE


def test_the_longest_are_kept_if_there_are_too_many() -> None:
    """Expects them in their order."""
    spans = [span(2 * number, 2 * number + (0.5 if number < 10 else 1)) for number in range(MOST_STOPS + 10)]
    assert kept(spans) == tuple(spans[10:])
    assert kept([span(1, 3), span(0, 2)]) == (span(0, 3),)
