"""Figures of several runs."""

from __future__ import annotations

import pytest

from benchmarks.figures import Figure, percentile, table


def test_a_figure_is_the_median_with_its_range() -> None:
    assert Figure.of([3, 1, 2]).shown(1) == "2.0 (1.0 to 3.0)"


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_what_such_a_share_does_not_exceed(share: float, value: int) -> None:
    assert percentile(range(1, 101), share) == value


def test_a_table_is_markdown() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
