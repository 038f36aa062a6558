"""Figures of several runs, and the plots of them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from benchmarks.figures import Figure, percentile, table


def test_a_figure_is_the_median_with_its_range() -> None:
    assert Figure.of([3, 1, 2]).shown(1) == "2.0 (1.0 to 3.0)"


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_what_such_a_share_does_not_exceed(share: float, value: int) -> None:
    assert percentile(range(1, 101), share) == value


def test_a_table_is_markdown() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.filterwarnings("ignore::ImportWarning")  # of pygal's own importer
def test_a_plot_is_an_image_with_a_line_for_each_thing() -> None:
    from benchmarks.growth import plot

    image = plot("Calls", "calls", {1000: {"one": 1.0, "two": 2.0}, 10_000: {"one": 1.5, "two": 2.0}})
    root = ET.fromstring(image)  # noqa: S314 - our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert {"one", "two", "1,000", "10,000"} <= {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
