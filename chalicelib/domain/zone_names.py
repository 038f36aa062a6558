"""Time zones as people write them in files: in any case, with spaces, with Windows' names, or as an offset from UTC."""

from __future__ import annotations

import re
from functools import lru_cache

from .clients import timezones

_OFFSET = re.compile(r"(?:(?:UTC|GMT) ?([+-])([0-9]{1,2})(?::?00)?|([+-])([0-9]{2}):?00)", re.IGNORECASE)
_ZERO = ("z", "zulu")


def zone_named(text: str) -> str:
    """The IANA name of the zone that a cell means, or the text itself if that is not clear.

    An offset of whole hours becomes the zone that always has it. Ambiguous texts are not guessed: abbreviations such as
    MSK or CST, a city's name alone, a number alone.
    """
    text = text.strip().replace("\u2212", "-")
    spelled = re.sub(r"\s+", "_", text.replace("\\", "/")).lower()
    known = _by_lower_case().get(spelled.replace("_slash_", "/").replace("_hyphen_", "-"))  # as HubSpot spells them
    if known:
        return known
    of_windows = _of_windows().get(text.lower())
    if of_windows:
        return of_windows
    if text.lower() in _ZERO:
        return "UTC"
    found = _OFFSET.fullmatch(text)
    if not found:
        return text
    sign, hours = found[1] or found[3], int(found[2] or found[4])
    # In these names the sign is reversed, as in POSIX.
    name = f"Etc/GMT{'-' if sign == '+' else '+'}{hours}" if hours else "UTC"
    return name if name in timezones() else text


@lru_cache(maxsize=1)
def _by_lower_case() -> dict[str, str]:
    """All names by their lower case. Of two that differ only in case, the one with more small letters."""
    return {name.lower(): name for name in sorted(timezones())}


@lru_cache(maxsize=1)
def _of_windows() -> dict[str, str]:
    """Windows' names, as exports of Outlook and Exchange have them, with the zone of each by Unicode's CLDR."""
    from tzlocal.windows_tz import win_tz  # only files need it

    return {name.lower(): zone for name, zone in win_tz.items() if " " in name and zone in timezones()}
