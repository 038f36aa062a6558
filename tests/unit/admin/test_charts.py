"""Charts of the admin UI: drawn to the scale of their numbers, which can be read without the picture too."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from chalicelib.admin import charts, languages
from chalicelib.admin.charts import Bucket, Series
from chalicelib.admin.rendering import environment

SERIES = (Series("sent", "sent"), Series("failed", "failed"))
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def drawn(macro: str, chart: object) -> str:
    """What the page has of a chart."""
    template = '{% import "charts.html" as charts with context %}{{ charts.' + macro + "(chart) }}"
    return environment().from_string(template).render(chart=chart)


def made(*counts: tuple[int, int]) -> charts.Columns:
    buckets = [Bucket(f"{place:02d}:00", {"sent": a, "failed": b}) for place, (a, b) in enumerate(counts)]
    return charts.columns("day", "The day", SERIES, buckets)


def test_columns_are_stacked_as_high_as_their_counts() -> None:
    """Expects failed on top of sent, each as high as its share of the axis, which ends at a round number."""
    chart = made((60, 30), (0, 0))
    sent, failed = chart.columns[0].blocks
    assert chart.lines[-1].text == "100"
    assert sent.height / charts.HEIGHT == pytest.approx(0.6)
    assert failed.height == pytest.approx(sent.height / 2)
    assert failed.y + failed.height == pytest.approx(sent.y)
    assert chart.columns[1].blocks == ()


def test_one_failure_among_a_million_is_seen() -> None:
    """Expects a block that is not too thin, and a word about it for the pointer."""
    chart = made((1_000_000, 1))
    assert chart.columns[0].blocks[1].height > 1
    assert chart.columns[0].said.endswith("failed 1")


@pytest.mark.parametrize("count", [0, 1, 24, 60, 500])
def test_a_chart_of_any_length_fits_its_frame(count: int) -> None:
    """Expects no column beyond 100 %, and no more labels than fit side by side on a phone."""
    chart = made(*[(1, 0)] * count)
    assert all(column.place.x + column.place.width <= 100.5 for column in chart.columns)
    assert len(chart.ticks) <= 6
    assert drawn("columns", chart).count('<g class="chart-column">') == count


def test_a_chart_can_be_read_without_the_picture() -> None:
    """Expects a name and a description of the image, and the counts in a table."""
    page = drawn("columns", made((60, 30), (0, 0), (1234, 0)))
    svg = ElementTree.fromstring(re.search(r'<svg class="drawing".*?</svg>', page, re.DOTALL)[0])  # noqa: S314 - our own
    names = {one.get("id"): one.text for one in svg if one.get("id")}
    assert [names[one] for one in svg.get("aria-labelledby").split()] == ["The day", "sent: 1,294. failed: 30. "]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', page)
    assert [(label, re.findall(r">([^<]+)</td>", cells)) for label, cells in rows] == [
        ("00:00", ["60", "30"]),
        ("02:00", ["1,234", "0"]),
    ]


def test_an_empty_chart_says_so() -> None:
    """Expects no numbers at the axis, and words instead of rows, in the language of the page."""
    chart = made((0, 0), (0, 0))
    assert chart.empty
    with languages.speaking("ru"):
        assert "Пока ничего нет." in drawn("columns", chart)
        assert "Пока ничего нет." in drawn("bars", charts.bars("Zones", "Zone", {"UTC": 0}))


def test_bars_are_ranked_and_their_rest_is_counted() -> None:
    """Expects the longest first, all in its proportion, and what is left out as one row."""
    chart = charts.bars("Zones", "Zone", {"a": 5, "b": 100, "c": 50, "d": 5, "none": 0}, most=2)
    assert [(row.label, row.count, row.width) for row in chart.rows] == [("b", 100, 100), ("c", 50, 50)]
    assert (chart.rest, chart.rest_count) == (2, 10)
    page = drawn("bars", chart)
    assert "and 2 more" in page
    assert 'width="50.0%"' in page


def test_a_label_is_shown_as_text() -> None:
    """Expects markup in what others wrote to be escaped, in both kinds."""
    hostile = "<script>alert(1)</script>"
    for page in (
        drawn("bars", charts.bars("Zones", "Zone", {hostile: 1})),
        drawn("columns", charts.columns("day", hostile, SERIES, [Bucket(hostile, {"sent": 1})])),
    ):
        assert "<script" not in page
        assert " style=" not in page


@pytest.mark.parametrize(
    ("span", "step"),
    [
        (timedelta(minutes=3), timedelta(minutes=1)),
        (timedelta(hours=1), timedelta(minutes=1)),
        (timedelta(hours=24), timedelta(minutes=30)),
        (timedelta(days=400), timedelta(days=7)),
        (timedelta(days=4000), timedelta(days=70)),
    ],
)
def test_a_span_is_divided_into_at_most_sixty_buckets(span: timedelta, step: timedelta) -> None:
    """Expects the shortest step that people use which is long enough."""
    assert charts.step_for(NINE, NINE + span) == step


def test_counts_are_put_together_by_step() -> None:
    """Expects what lies in one step to be added, the empty ones to be there, and what is outside to be left out."""
    minute = timedelta(minutes=1)
    counts = {NINE: {"sent": 1}, NINE + minute: {"sent": 2, "failed": 1}, NINE + 9 * minute: {"sent": 9}}
    assert charts.grouped(counts, NINE, NINE + 6 * minute, 2 * minute) == [
        (NINE, {"sent": 3, "failed": 1}),
        (NINE + 2 * minute, {}),
        (NINE + 4 * minute, {}),
    ]
