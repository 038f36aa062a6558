"""Charts: what is drawn can be read back from the image."""

from __future__ import annotations

import io

import png

from chalicelib.emails.charts import HEIGHT, WIDTH, columns, divided

RED, GREEN = (185, 28, 28), (22, 128, 60)


def _pixels(image: bytes) -> list[list[tuple[int, int, int]]]:
    width, height, rows, _ = png.Reader(io.BytesIO(image)).asRGB()
    found = [list(zip(*[iter(row)] * 3, strict=True)) for row in rows]
    assert (len(found[0]), len(found)) == (width, height)
    return found


def _amount(image: bytes, color: tuple[int, int, int]) -> int:
    return sum(row.count(color) for row in _pixels(image))


def test_columns_are_as_high_as_their_values() -> None:
    """Half the value, half the ink, each in its color."""
    image = columns([100, 50, 0], [RED, GREEN, GREEN])
    assert abs(_amount(image, GREEN) / _amount(image, RED) - 0.5) < 0.02
    assert len(_pixels(image)[0]) == WIDTH
    assert len(_pixels(image)) == HEIGHT


def test_a_single_message_among_a_million_is_seen() -> None:
    """A value above zero is never drawn as nothing."""
    assert _amount(columns([1_000_000, 1], [GREEN, RED]), RED) > 0
    assert _amount(divided([1_000_000, 1], [GREEN, RED]), RED) > 0
    assert _amount(divided([1, 1_000_000], [RED, GREEN]), RED) > 0


def test_a_bar_is_divided_as_the_values_are() -> None:
    """And filled to its end."""
    image = divided([30, 10], [GREEN, RED])
    assert _amount(image, GREEN) == 3 * _amount(image, RED)
    assert set(_pixels(image)[0]) == {GREEN, RED}


def test_nothing_can_be_drawn() -> None:
    """No value, or only zeros."""
    for values in ([], [0, 0]):
        for image in (columns(values, [RED] * len(values)), divided(values, [RED] * len(values))):
            assert _amount(image, RED) == 0


def test_an_image_is_small() -> None:
    """An e-mail with many of them still is."""
    assert len(columns(range(24), [GREEN] * 24)) < 2000
