"""How a text is shown on one line."""

from __future__ import annotations

import re

_EXCERPT = 60  # characters of a mailing's text
_NUMBER = re.compile(r"\+?\d(?:[\s().-]{0,2}\d){6,}")


def excerpt(text: str) -> str:
    """The beginning of a text on one line, without unprintable characters and without phone numbers."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    line = _NUMBER.sub("[number]", line)
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"
