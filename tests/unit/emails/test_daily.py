"""The bars of the daily report: how long they are."""

from __future__ import annotations

import pytest

from chalicelib.emails.daily import length, shares


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([30, 10], [75, 25]),
        ([1, 1, 1], [34, 33, 33]),
        ([0, 5, 0], [0, 100, 0]),
        ([], []),
        ([0, 0], [0, 0]),
        ([1_000_000, 1, 0, 1], [98, 1, 0, 1]),
        ([1, 1_000_000], [1, 99]),
        ([1] * 7 + [1_000_000], [1] * 7 + [93]),
    ],
)
def test_a_bar_is_divided_as_the_values_are(values: list[int], expected: list[int]) -> None:
    """It is filled to its end, and a single message among a million is seen."""
    assert shares(values) == expected


@pytest.mark.parametrize(("value", "expected"), [(100, 100), (50, 50), (1, 1), (0, 0)])
def test_a_bar_is_as_long_as_its_value(value: int, expected: int) -> None:
    """In percents of the longest."""
    assert length(value, 100) == expected


def test_a_single_message_beside_a_million_has_a_bar() -> None:
    """A value above zero is never drawn as nothing."""
    assert length(1, 1_000_000) == 1
