"""The gateway's control: how long the circuit is open, and what each step changes."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from chalicelib.domain.errors import Invalid
from chalicelib.domain.gateway_control import GatewayChange, GatewayControl, Setting, TroubledCall, check_reason
from chalicelib.domain.reasons import Cause
from tests.factories import START, GatewayControlFactory

LATER = START + timedelta(seconds=100)


def seconds_open(control: GatewayControl, since: datetime = LATER) -> float:
    assert control.retry_at is not None
    return (control.retry_at - since).total_seconds()


def test_a_new_control_is_closed_and_has_no_rate() -> None:
    """That is what there is before anybody has set anything."""
    control = GatewayControl()
    assert (control.open, control.rate, control.revision) == (False, None, 0)


def test_the_circuit_is_open_for_twice_as_long_with_every_trip_in_a_row() -> None:
    """5 s first, a minute at most."""
    control, spans = GatewayControl(), []
    for _ in range(20):
        control = control.tripped(LATER, 0)
        spans.append(seconds_open(control))
    assert spans == [5, 10, 20, 40, *[60] * 16]
    assert (control.open, control.trips, control.revision) == (True, 20, 20)


@pytest.mark.parametrize(("asked", "given"), [(-5, 5), (0, 5), (4, 5), (30, 30), (90, 90), (301, 300), (1e300, 300)])
def test_the_gateways_own_wish_is_heard_up_to_five_minutes(asked: float, given: float) -> None:
    """A wish for less than the circuit wants changes nothing."""
    assert seconds_open(GatewayControl().tripped(LATER, asked)) == given


def test_it_is_known_since_when_the_circuit_is_open() -> None:
    """Since the first trip, however often it was probed."""
    control = GatewayControl().tripped(START, 0).probing(START + timedelta(seconds=5)).tripped(LATER, 0)
    assert control.opened_at == START
    assert control.changed_at == LATER


def test_a_prober_is_alone_for_twenty_seconds() -> None:
    """The circuit stays open for all others, and the trips are not forgotten."""
    control = GatewayControlFactory(trips=2, retry_at=START, opened_at=START).probing(LATER)
    assert (seconds_open(control), control.open, control.trips, control.revision) == (20, True, 2, 2)


def test_a_closed_circuit_begins_anew() -> None:
    """The next trip is short again; rate stays, who closed it is known, and from when until when it was open."""
    control = GatewayControlFactory(trips=4, retry_at=START, opened_at=START, held=True).closed(LATER, "berta")
    last_stop = (START, LATER)
    assert control == GatewayControlFactory(revision=2, changed_by="berta", changed_at=LATER, last_stop=last_stop)
    assert not control.open


def test_a_hold_is_open_without_an_end() -> None:
    """Also if the circuit was closed, and it stays held when senders report trouble."""
    held = GatewayControlFactory().held_open(LATER, "berta")
    assert (held.open, held.held, held.retry_at, held.opened_at) == (True, True, None, LATER)
    assert (held.revision, held.changed_by) == (2, "berta")
    assert held.tripped(LATER, 0).held
    assert GatewayControl(retry_at=LATER, opened_at=START).held_open(LATER, "berta").opened_at == START


@pytest.mark.parametrize("rate", [1, 10_000, None])
def test_another_rate_leaves_the_circuit_as_it_is(rate: int | None) -> None:
    """Open stays open."""
    control = GatewayControlFactory(retry_at=START, trips=1).with_rate(rate, LATER, "berta")
    assert control == GatewayControlFactory(
        retry_at=START, trips=1, rate=rate, revision=2, changed_by="berta", changed_at=LATER
    )


def test_senders_tell_each_other_which_messages_fail() -> None:
    """Until the circuit opens, or closes: then they begin anew. It is a change that others have to notice."""
    calls = (TroubledCall(START, "a"), TroubledCall(LATER, "b"))
    control = GatewayControlFactory().noting(calls, {"c"}, Cause.http(400))
    assert control == GatewayControlFactory(troubled=calls, refused=("c",), refusal=Cause.http(400), revision=2)
    assert control.tripped(LATER, 0).troubled == control.tripped(LATER, 0).refused == ()
    assert control.closed(LATER).troubled == ()
    assert control.probing(LATER).troubled == calls


def test_what_an_operator_would_call_a_change_is_told_with_old_and_new_value() -> None:
    """Rate and circuit, by whom; by nobody where the service did it."""
    old = GatewayControlFactory(rate=50)
    rate, circuit = Setting.RATE, Setting.CIRCUIT
    slower, held = old.with_rate(5, LATER, "berta"), old.held_open(LATER, "berta", "night")
    opened = old.tripped(LATER, 0, Cause.http(503), "Pay first")
    assert slower.changes_since(old) == [GatewayChange(LATER, "berta", rate, 50, 5)]
    assert held.changes_since(old) == [GatewayChange(LATER, "berta", circuit, "closed", "held", "night")]
    assert opened.changes_since(old) == [
        GatewayChange(LATER, "", circuit, "closed", "open", "Pay first", Cause.http(503))
    ]
    assert opened.closed(LATER).changes_since(opened) == [GatewayChange(LATER, "", circuit, "open", "closed")]
    for same in (old.noting({"a"}, set(), None), old.with_rate(50, LATER, "berta")):
        assert same.changes_since(old) == []
    assert opened.probing(LATER).changes_since(opened) == opened.tripped(LATER, 0).changes_since(opened) == []


def test_a_reason_is_for_what_the_circuit_is() -> None:
    """Another rate leaves it, the next state of the circuit has its own."""
    held = GatewayControlFactory().held_open(LATER, "berta", "night")
    assert held.with_rate(5, LATER, "anna").reason == "night"
    assert held.closed(LATER, "anna").reason == ""


def test_a_reason_is_one_line_of_200_characters() -> None:
    """Whatever else is refused by the field's name."""
    assert check_reason("  the night \N{CRESCENT MOON} ") == "the night \N{CRESCENT MOON}"
    assert check_reason("x" * 200)
    assert check_reason("\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN} \N{RIGHT-TO-LEFT MARK}")
    for wrong in ("x" * 201, "a\nb", "a\0", "a\u2028b"):
        with pytest.raises(Invalid, match="reason"):
            check_reason(wrong)
