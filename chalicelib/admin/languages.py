"""The languages of the pages, and which one is in use now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LANGUAGES = {"en": "English", "ru": "Русский"}
DEFAULT = "en"
_WEIGHT = re.compile(r"q=([01](?:\.[0-9]{0,3})?)")
_language = ContextVar("language", default=DEFAULT)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Use a language for as long as this lasts, in this thread."""
    before = _language.set(language)
    try:
        yield
    finally:
        _language.reset(before)


def language() -> str:
    """The code of the language that is in use now, such as "ru"."""
    return _language.get()


def preferred(header: str) -> str:
    """The first of our languages that an Accept-Language header asks for."""
    asked: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        name, _sep, parameters = part.strip().partition(";")
        given = _WEIGHT.search(parameters)
        asked.append((float(given[1]) if given else 1.0, name.partition("-")[0].lower()))
    # The sort is stable: of equal weight the first one wins.
    for weight, name in sorted(asked, key=lambda one: -one[0]):
        if name in LANGUAGES and weight:
            return name
    return DEFAULT
