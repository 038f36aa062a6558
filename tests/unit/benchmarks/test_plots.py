"""The plots of how the work grows can be read by everybody: on a light and a dark page, in any fonts."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import plots
from benchmarks.growth import Work, per_request

SVG = "{http://www.w3.org/2000/svg}"
WORK = {
    1000: {"dispatch, per message": Work(0.3, 0.15, 1.1), "read a client": Work(3, 3, 0), "preview": Work(4, 4, 0)},
    10_000: {"dispatch, per message": Work(0.2, 0.14, 1.0), "read a client": Work(3, 3, 0), "preview": Work(4, 4, 0)},
    1_000_000: {"dispatch, per message": Work(0.2, 0.14, 1.0)},
}
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    written = plots.write(WORK, tmp_path_factory.mktemp("plots"))
    return {path.stem: path.read_text(encoding="utf-8") for path in written}


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own


def texts(svg: str) -> list[str]:
    """All that can be read in an image, in its order."""
    return ["".join(one.itertext()).strip() for one in parsed(svg).iter(f"{SVG}text")]


def test_each_kind_is_drawn_for_a_light_and_a_dark_page(drawn: dict[str, str]) -> None:
    """Expects both to say the same, on a ground of their own."""
    assert list(drawn) == ["growth-messages", "growth-messages-dark", "growth-requests", "growth-requests-dark"]
    for kind in ("messages", "requests"):
        light, dark = drawn[f"growth-{kind}"], drawn[f"growth-{kind}-dark"]
        assert texts(light) == texts(dark)
        assert plots.LOOKS[""].ground in light
        assert plots.LOOKS["-dark"].ground in dark


def test_every_thing_and_every_line_has_its_name(drawn: dict[str, str]) -> None:
    """Expects each thing's title, each unit once in the legend, and each size that was measured below each plot."""
    messages, requests = texts(drawn["growth-messages"]), texts(drawn["growth-requests"])
    assert {"dispatch, per message", "calls of AWS", "read units", "write units", "1k", "10k", "1M"} <= set(messages)
    assert {"read a client", "preview", "calls of AWS", "read units"} <= set(requests)
    assert requests.count("calls of AWS") == requests.count("read units") == 1
    assert requests.count("10k") == 2
    assert "1M" not in requests


@pytest.mark.parametrize("name", ["growth-messages", "growth-messages-dark", "growth-requests", "growth-requests-dark"])
def test_an_image_runs_nothing_and_asks_for_nothing(drawn: dict[str, str], name: str) -> None:
    """Expects no script, no handler, no document type, and references to the image's own parts only."""
    svg = drawn[name]
    assert not svg.startswith("<?xml")
    assert "<!" not in svg.replace("<!--", "")
    for one in parsed(svg).iter():
        assert one.tag not in (f"{SVG}script", f"{SVG}foreignObject", f"{SVG}image")
        for attribute, value in one.attrib.items():
            assert not attribute.startswith("on")
            assert not attribute.endswith("href") or value.startswith("#")
            assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", value))


def test_text_falls_back_on_any_font_without_serifs(drawn: dict[str, str]) -> None:
    """Expects text to be text, whose last font is every reader's."""
    for svg in drawn.values():
        styles = [one.get("style", "") for one in parsed(svg).iter(f"{SVG}text")]
        assert styles
        assert all(re.search(r"font-family: [^;]*, sans-serif;", style) for style in styles)


def test_the_same_figures_give_the_same_file(drawn: dict[str, str], tmp_path: Path) -> None:
    """Expects neither dates nor names drawn at random: a picture changes in a commit only with its figures."""
    again = {path.stem: path.read_text(encoding="utf-8") for path in plots.write(WORK, tmp_path)}
    assert again == drawn


def test_nothing_is_cut_off(drawn: dict[str, str]) -> None:
    """Expects every text to begin and to end inside of the image, also in a wide font."""
    for svg in drawn.values():
        root = parsed(svg)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for one in root.iter(f"{SVG}text"):
            x, y = (float(one.attrib[name]) for name in ("x", "y"))
            size, anchor = (re.search(rf"{name}: ([\w.]+?)(px)?;", one.attrib["style"]) for name in ("size", "anchor"))
            room = 0.65 * float(size[1]) * len("".join(one.itertext()))
            start = x - room * {"middle": 0.5, "end": 1}.get(anchor[1] if anchor else "", 0)
            assert start >= 0
            assert start + room <= width
            assert float(size[1]) * 0.7 <= y <= height


def test_the_committed_plots_are_of_this_make() -> None:
    """Expects the four that docs/performance.md shows, which name their lines and hold nothing that runs."""
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"images/(growth-[\w-]+\.svg)", text))
    assert shown == {path.name for path in (ROOT / "docs" / "images").glob("growth-*.svg")}
    assert len(shown) == 4
    for name in shown:
        svg = (ROOT / "docs" / "images" / name).read_text(encoding="utf-8")
        assert {"calls of AWS", "read units", "100k"} <= set(texts(svg))
        assert "script" not in svg


def test_requests_and_messages_are_told_apart() -> None:
    """Expects what belongs to the API only, of all that was measured."""
    assert list(per_request(WORK[1000])) == ["read a client", "preview"]
