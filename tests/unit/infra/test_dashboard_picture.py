"""The picture of Grafana's dashboard: every panel is in it, with the lines that Prometheus answered."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from infra.dashboard import Panel, panels
from infra.dashboard_picture import Series, Span, page, series, shown

SPAN = Span(1000.0, 1004.0)


def drawn(lines: dict[str, list[Series]]) -> ElementTree.Element:
    """The picture, where the panels of these titles have these lines, and all others none."""
    html = page({panel: lines.get(panel.title, []) for panel in panels()}, SPAN)
    return ElementTree.fromstring(html[html.index("<svg") :])  # noqa: S314 - our own


def panel_of(picture: ElementTree.Element, title: str) -> ElementTree.Element:
    (found,) = (one for one in picture if any(text.text == title for text in one.iter() if text.tag.endswith("text")))
    return found


def texts(panel: ElementTree.Element) -> list[str]:
    return [one.text or "" for one in panel.iter() if one.tag.endswith("text")]


def test_an_answer_becomes_lines_named_by_their_labels() -> None:
    """What is no number is left out."""
    result = [{"metric": {"outcome": "accepted"}, "values": [[1000, "2"], [1001, "NaN"], [1002, "3.5"]]}]
    assert series("{{outcome}} calls", result) == [Series("accepted calls", ((1000.0, 2.0), (1002.0, 3.5)))]


def test_every_panel_is_in_its_place() -> None:
    """Whole, also where there is nothing to show."""
    picture = drawn({})
    assert [texts(one)[0] for one in picture] == [panel.title for panel in panels()]
    assert len({(one.get("x"), one.get("y")) for one in picture}) == len(panels())


def test_a_number_is_the_last_one() -> None:
    """And a state the one that holds at the end."""
    lines = {
        "Dead letters": [Series("", ((1000.0, 3.0), (1004.0, 8.0)))],
        "Circuit": [Series("open", ((1000.0, 1.0), (1002.0, 1.0))), Series("closed", ((1003.0, 1.0), (1004.0, 1.0)))],
    }
    picture = drawn(lines)
    assert texts(panel_of(picture, "Dead letters")) == ["Dead letters", "8"]
    assert texts(panel_of(picture, "Circuit")) == ["Circuit", "closed"]
    assert texts(panel_of(picture, "Overdue")) == ["Overdue", "no data"]


def test_a_line_is_parted_where_there_was_no_number() -> None:
    """Rather than drawn across the gap; in a panel that stacks, each line stands on those before."""
    gap = Series("calls", ((1000.0, 1.0), (1001.0, 1.0), (1003.0, 1.0), (1004.0, 1.0)))
    rate = panel_of(drawn({"Rate": [gap]}), "Rate")
    assert len([one for one in rate.iter() if one.tag.endswith("polyline")]) == 2
    both = [Series("accepted", ((1000.0, 1.0), (1001.0, 1.0))), Series("failed", ((1000.0, 1.0), (1001.0, 1.0)))]
    outcome = panel_of(drawn({"Outcome": both}), "Outcome")
    lines = [one.get("points", "") for one in outcome.iter() if one.tag.endswith("polyline")]
    first, second = (float(re.split("[ ,]", points)[1]) for points in lines)
    assert second < first, "upwards is less"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3000, "short", "3,000"),
        (0.25, "short", "0.25"),
        (52_500, "short", "52.5k"),
        (57.25, "ops", "57.2/s"),
        (0.0423, "s", "42 ms"),
        (75, "s", "75 s"),
        (0.051, "percentunit", "5.1%"),
    ],
)
def test_numbers_have_their_unit(value: float, unit: str, text: str) -> None:
    """As short as they can be read."""
    assert shown(value, unit) == text


def test_panels_are_known_by_what_they_are() -> None:
    """Two panels are never taken for each other."""
    assert len(set(panels())) == len(panels())
    assert {type(panel) for panel in panels()} == {Panel}
