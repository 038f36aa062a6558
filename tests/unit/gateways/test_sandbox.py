"""The sandbox: it accepts everything, but what the numbers of its plays say."""

from __future__ import annotations

import pytest

from chalicelib.config import Settings
from chalicelib.domain.messages import Outcome
from chalicelib.gateways.sandbox import PLAYED, SandboxGateway
from tests.factories import outgoing

A, F, U, T, B, R = (
    Outcome.ACCEPTED,
    Outcome.FAILED,
    Outcome.UNKNOWN,
    Outcome.THROTTLED,
    Outcome.BLOCKED,
    Outcome.REFUSED,
)
PARTS = {
    "000": [A, A],
    "001": [R, R],
    "002": [F, A],
    "003": [F] * 9,
    "004": [U, A],
    "005": [U] * 9,
    "006": [T, T, A],
    "007": [B, A],
    "008": [A],
}


@pytest.mark.parametrize("ending", PARTS)
def test_a_number_plays_its_part(ending: str) -> None:
    """As often as it says, and the same to whoever asks afterwards."""
    gateway = SandboxGateway(Settings())
    message = outgoing(phone_number=f"+447700900{ending}")
    assert [gateway.send(message).outcome for _ in PARTS[ending]] == PARTS[ending]
    found = Outcome.FOUND if A in PARTS[ending] else Outcome.MISSING
    assert gateway.look_up(message).outcome is found


@pytest.mark.parametrize("number", ["+79160000001", "+4477009000010", "+447700900", "+44770090001"])
def test_other_numbers_are_accepted(number: str) -> None:
    """Also those that only look like one of them."""
    assert SandboxGateway(Settings()).send(outgoing(phone_number=number)).outcome is Outcome.ACCEPTED


def test_every_part_is_tested() -> None:
    """And no other is."""
    assert set(PLAYED) == set(PARTS) - {"000", "008"}
