"""What a sender learns from the gateway's answers one after the other."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.gateway_trouble import Run
from chalicelib.domain.messages import Attempt, Outcome
from tests.factories import START


def told(*outcomes: Outcome) -> tuple[int, float]:
    """How many messages were taken in a second with these answers, and their share."""
    run = Run()
    spaced = enumerate(outcomes, start=1)
    run.add([(str(number), Attempt(START + timedelta(milliseconds=number), 1, one)) for number, one in spaced])
    return run.taken_before(START + timedelta(seconds=1))


@pytest.mark.parametrize(("taken", "refused", "share"), [(30, 10, 0.75), (8, 2, 0.8), (2, 2, 0.8), (0, 1, 0.9)])
def test_the_share_of_very_few_calls_is_not_believed(taken: int, refused: int, share: float) -> None:
    """Two of four are chance: the pace would be halved for a gateway that takes nearly all."""
    answers = [Outcome.ACCEPTED] * taken + [Outcome.THROTTLED] * refused
    assert told(*answers) == (taken, pytest.approx(share))
