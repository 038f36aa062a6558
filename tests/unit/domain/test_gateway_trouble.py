"""What a sender learns from the gateway's answers one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from chalicelib.domain.gateway_control import GatewayControl, TroubledCall
from chalicelib.domain.gateway_trouble import CALLS_IN_A_ROW, KNOWN_AFTER, Run, Trip
from chalicelib.domain.messages import Attempt, Outcome
from tests.factories import START

THRESHOLD = 6
FAILED, ACCEPTED, REFUSED, THROTTLED = Outcome.FAILED, Outcome.ACCEPTED, Outcome.REFUSED, Outcome.THROTTLED
Calls = Sequence[tuple[str, Attempt]]


def calls(*outcomes: Outcome, messages: int = 100, since: float = 0, apart: float = 1) -> Calls:
    """Calls of so many different messages in turns, seconds apart."""
    return [
        (f"m-{number % messages}", Attempt(START + timedelta(seconds=since + number * apart), 1, outcome))
        for number, outcome in enumerate(outcomes)
    ]


def told(*outcomes: Outcome) -> tuple[int, float]:
    """How many messages were taken in a second with these answers, and their share."""
    run = Run()
    spaced = enumerate(outcomes, start=1)
    attempts = [(str(number), Attempt(START + timedelta(milliseconds=number), 1, one)) for number, one in spaced]
    run.add(attempts, THRESHOLD)
    return run.taken_before(START + timedelta(seconds=1))


@pytest.mark.parametrize(("taken", "refused", "share"), [(30, 10, 0.75), (8, 2, 0.8), (2, 2, 0.8), (0, 1, 0.9)])
def test_the_share_of_very_few_calls_is_not_believed(taken: int, refused: int, share: float) -> None:
    """Two of four are chance: the pace would be halved for a gateway that takes nearly all."""
    answers = [Outcome.ACCEPTED] * taken + [Outcome.THROTTLED] * refused
    assert told(*answers) == (taken, pytest.approx(share))


# -- an outage


@pytest.mark.parametrize(
    ("outcomes", "messages", "outage"),
    [
        ([FAILED] * CALLS_IN_A_ROW, 100, True),
        ([FAILED] * CALLS_IN_A_ROW, THRESHOLD, True),
        ([FAILED] * 100, THRESHOLD - 1, False),
        ([FAILED] * (CALLS_IN_A_ROW - 1), 100, False),
        ([FAILED] * (CALLS_IN_A_ROW - 1) + [ACCEPTED] + [FAILED] * (CALLS_IN_A_ROW - 1), 100, False),
        ([FAILED] * (CALLS_IN_A_ROW - 1) + [REFUSED] + [FAILED] * (CALLS_IN_A_ROW - 1), 100, False),
        ([FAILED] * (CALLS_IN_A_ROW - 1) + [THROTTLED, FAILED], 100, True),
        ([FAILED] * CALLS_IN_A_ROW + [ACCEPTED], 100, True),
    ],
)
def test_an_outage_takes_calls_in_a_row_and_different_messages(
    outcomes: Sequence[Outcome], messages: int, outage: bool
) -> None:
    """An answer begins a new row, "too many" does not; a few messages that nobody ever takes are none."""
    assert Run().add(calls(*outcomes, messages=messages), THRESHOLD) == (outage, False)


def test_a_row_is_in_the_order_in_which_calls_began() -> None:
    """Of a gateway that answers some of its calls and lets others hang, those end last and all together."""
    run, began = Run(), calls(*[FAILED, ACCEPTED] * 50, apart=0.1)
    taken = [call for call in began if call[1].outcome is ACCEPTED]
    hung = [call for call in began if call[1].outcome is FAILED]
    assert run.add([*taken, *hung], THRESHOLD) == (False, False)
    assert run.troubled == set()


def test_an_answer_to_an_old_call_is_no_answer_to_later_ones() -> None:
    """The gateway took it, and was gone when they began."""
    run, failed = Run(), calls(*[FAILED] * CALLS_IN_A_ROW, since=1)
    run.add(failed[:-1], THRESHOLD)
    run.add(calls(ACCEPTED), THRESHOLD)
    assert run.add(failed[-1:], THRESHOLD) == (True, False)


def test_a_clock_that_was_set_back_does_not_hide_an_outage() -> None:
    """What was answered will have begun hours from now."""
    run = Run()
    run.add(calls(ACCEPTED, since=7200), THRESHOLD)
    assert run.add(calls(*[FAILED] * CALLS_IN_A_ROW), THRESHOLD) == (True, False)


# -- put together


def after(control: GatewayControl, attempts: Calls) -> GatewayControl:
    """The control after a sender of its own has seen these attempts."""
    run = Run()
    outage, _ = run.add(attempts, THRESHOLD)
    accepted = any(attempt.outcome is ACCEPTED for _, attempt in attempts)
    trip = Trip(
        run=run,
        certain=outage,
        probed=False,
        threshold=THRESHOLD,
        accepted=accepted,
        now=attempts[-1][1].at,
        attempts=attempts,
    )
    return trip.after(control) or control


def test_senders_that_see_few_calls_each_put_them_together() -> None:
    """Only those count that began when everybody could know of the first: until then others may have had answers."""
    spread = int(KNOWN_AFTER.total_seconds()) + 1
    control = GatewayControl()
    for number in range(spread + CALLS_IN_A_ROW - 1):
        control = after(control, calls(FAILED, messages=1, since=number))
        assert not control.open
    control = GatewayControl()
    for number in range(spread + CALLS_IN_A_ROW):
        attempt = calls(*[FAILED] * (number + 1))[-1:]
        assert not control.open
        control = after(control, attempt)
    assert control.open


def test_whoever_has_an_answer_takes_back_what_began_before() -> None:
    """What began later stays."""
    control = GatewayControl()
    for call in calls(*[FAILED] * 5):
        control = after(control, [call])
    control = after(control, calls(ACCEPTED, since=3))
    assert control.troubled == (TroubledCall(START + timedelta(seconds=4), "m-4"),)


def test_what_is_told_stays_small() -> None:
    """However often a few messages are tried that nobody takes; the first call stays, for the others count from it."""
    control = GatewayControl()
    for call in calls(*[FAILED] * 200, messages=2):
        control = after(control, [call])
    assert not control.open
    assert len(control.troubled) == 1 + 2 * CALLS_IN_A_ROW
    assert control.troubled[0].at == START
