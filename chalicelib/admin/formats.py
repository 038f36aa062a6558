"""Numbers, amounts, dates and times as people read them, in the page's language."""

from __future__ import annotations

from datetime import date, datetime

from ..wording import day_text, moment_text
from .languages import language

_NO_BREAK = "\u00a0"


def number(value: float | None, digits: int | None = None) -> str:
    """A number with the language's separators, and with so many digits after the point; a dash for None."""
    if value is None:
        return "\u2013"
    text = f"{value:,}" if digits is None else f"{value:,.{digits}f}"
    return text.translate({ord(","): _NO_BREAK, ord("."): ","}) if language() == "ru" else text


def pace(rate: float) -> str:
    """A rate, with one digit after the point if it is small."""
    return number(round(rate)) if rate >= 10 or not rate else number(rate, 1)


def dollars(amount: float) -> str:
    """An amount in US dollars, with four digits after the point if it is less than one."""
    text = number(amount, 2 if amount >= 1 else 4)
    return f"{text}{_NO_BREAK}$" if language() == "ru" else f"${text}"


def day(on: date, *, year: bool = True) -> str:
    """A date, such as 27 Nov 2026 or 27.11.2026; the year is left out on request."""
    if language() == "ru":
        return f"{on:%d.%m.%Y}" if year else f"{on:%d.%m}"
    return day_text(on, year=year)


def clock(moment: datetime, *, seconds: bool = False) -> str:
    """A date and a time of day, in the time zone of `moment`, such as 27 Nov 2026, 10:35 or 27.11.2026 10:35."""
    if language() == "ru":
        return f"{moment:%d.%m.%Y %H:%M:%S}" if seconds else f"{moment:%d.%m.%Y %H:%M}"
    return moment_text(moment, seconds=seconds)
