"""How many SMS parts a text makes: GSM-7 where its alphabet is enough, UCS-2 otherwise (3GPP TS 23.038 and 23.040)."""

# ruff: noqa: RUF001 - characters that are not what they look like are a point of this

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")  # each takes two septets: an escape and itself
GSM_7, UCS_2 = "GSM-7", "UCS-2"
# How many septets, or 16-bit code units, fit into a single message, and into each of several parts, which have a header
# of 6 bytes.
_SINGLE, _PART = {GSM_7: 160, UCS_2: 70}, {GSM_7: 153, UCS_2: 67}
# Matches texts in which each character takes one unit, so that the number of parts follows from the length.
_ALL_BASIC, _ALL_GSM_7 = (re.compile(f"[{re.escape(''.join(some))}]*") for some in (_BASIC, _BASIC | _EXTENDED))
_PAIRS = re.compile("[\U00010000-\U0010ffff]")  # of code units
_FORCING_SHOWN = 10
# What word processors write instead of characters of the alphabet, and invisible characters.
_LOOK_ALIKES = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»″", '"'),
        **dict.fromkeys("‘’‚‛′`´", "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys(
            "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t", " "
        ),
        **dict.fromkeys("\u200b\u200c\u2060\ufeff\u00ad", ""),
        "…": "...",
        "•": "-",
        "™": "TM",
        "№": "No ",
        "‹": "<",
        "›": ">",
    }
)


@dataclass(frozen=True, slots=True)
class SmsParts:
    """A text as SMS. `units` are septets or code units; `forcing` are the characters that make it UCS-2."""

    encoding: str
    characters: int
    units: int
    parts: int
    units_per_part: int
    forcing: str


def sms_parts(text: str) -> SmsParts:
    """The parts of a text. No character is split between two of them."""
    foreign = [one for one in text if one not in _BASIC and one not in _EXTENDED]
    if foreign:
        encoding, sizes = UCS_2, [2 if ord(one) > 0xFFFF else 1 for one in text]
    else:
        encoding, sizes = GSM_7, [2 if one in _EXTENDED else 1 for one in text]
    units = sum(sizes)
    alone = units <= _SINGLE[encoding]
    parts = 1 if alone else _packed(sizes, _PART[encoding])
    per_part = _SINGLE[encoding] if alone else _PART[encoding]
    forcing = "".join(dict.fromkeys(foreign))[:_FORCING_SHOWN]
    return SmsParts(
        encoding=encoding, characters=len(text), units=units, parts=parts, units_per_part=per_part, forcing=forcing
    )


def simpler(text: str) -> str | None:
    """The text with plain quotes, dashes and spaces instead of their look-alikes.

    None if that does not make fewer parts, as with a text in another alphabet.
    """
    plain = text.translate(_LOOK_ALIKES)
    return plain if plain != text and sms_parts(plain).parts < sms_parts(text).parts else None


@lru_cache(maxsize=256)
def part_count(text: str) -> int:
    """How many parts a text has.

    Fast, because it is called for each message: most texts are not looped over in Python.
    """
    if _ALL_BASIC.fullmatch(text):
        encoding = GSM_7
    elif _PAIRS.search(text) or _ALL_GSM_7.fullmatch(text):
        return sms_parts(text).parts
    else:
        encoding = UCS_2
    return 1 if len(text) <= _SINGLE[encoding] else -(-len(text) // _PART[encoding])


def _packed(sizes: Iterable[int], room: int) -> int:
    parts, left = 0, 0
    for size in sizes:
        if size > left:
            parts, left = parts + 1, room
        left -= size
    return parts
