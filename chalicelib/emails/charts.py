"""Charts as PNG images: an e-mail shows neither SVG nor scripts. Numbers and labels stand in the text beside them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import accumulate

import png

WIDTH, HEIGHT = 1216, 240  # pixels; shown at half of it, for screens with two pixels in one
_BAR = 48  # the height of a bar that is divided
_WIDEST = 90  # column
_LINES = 4
_PAPER, _GRID, _BASE = 0, 1, 2
_PALETTE = [(255, 255, 255), (229, 231, 235), (107, 114, 128)]
Color = tuple[int, int, int]


def columns(values: Sequence[int], colors: Sequence[Color]) -> bytes:
    """One column for each value, the highest as high as the image; without a value above zero only the lines."""
    palette, ink = _inks(colors)
    highest = max(values, default=0)
    room = HEIGHT - 8
    pixels = [[_PAPER] * WIDTH for _ in range(HEIGHT)]
    for line in range(_LINES):
        pixels[HEIGHT - 3 - room * (line + 1) // _LINES] = [_GRID] * WIDTH
    slot = WIDTH / max(1, len(values))
    for place, value in enumerate(values):
        if value > 0:
            top = HEIGHT - 3 - max(2, round(room * value / highest))
            middle, half = (place + 0.5) * slot, min(slot * 0.35, _WIDEST / 2)
            left, right = round(middle - half), round(middle + half)
            for row in range(top, HEIGHT - 2):
                pixels[row][left:right] = [ink[place]] * (right - left)
    pixels[HEIGHT - 2 :] = [[_BASE] * WIDTH] * 2
    return _image(pixels, palette)


def divided(values: Sequence[int], colors: Sequence[Color]) -> bytes:
    """One bar, divided among the values; an empty one if all are zero."""
    palette, ink = _inks(colors)
    total = sum(values)
    row = [_GRID] * WIDTH
    ends = list(accumulate(values, initial=0))
    # The small ones last, over their neighbours: what is not zero can be seen.
    for place in sorted(range(len(values)), key=lambda place: -values[place]):
        if values[place] > 0:
            left = min(WIDTH * ends[place] // total, WIDTH - 2)
            right = max(WIDTH * ends[place + 1] // total, left + 2)
            row[left:right] = [ink[place]] * (right - left)
    return _image([row] * _BAR, palette)


def _inks(colors: Sequence[Color]) -> tuple[list[Color], list[int]]:
    palette = list(dict.fromkeys([*_PALETTE, *colors]))
    return palette, [palette.index(color) for color in colors]


def _image(pixels: Sequence[Sequence[int]], palette: list[Color]) -> bytes:
    image = io.BytesIO()
    png.Writer(len(pixels[0]), len(pixels), palette=palette, bitdepth=4, compression=9).write(image, pixels)
    return image.getvalue()
