"""How many SMS parts a text makes: GSM-7 where its alphabet is enough, UCS-2 otherwise (3GPP TS 23.038 and 23.040)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")  # an escape comes before each of these
GSM_7, UCS_2 = "GSM-7", "UCS-2"
# Septets, or code units of 16 bits, that fit one message, and each part of several: those carry a header of 6 bytes.
_SINGLE, _PART = {GSM_7: 160, UCS_2: 70}, {GSM_7: 153, UCS_2: 67}
_FORCING_SHOWN = 10


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
    """The parts that a text makes. No character is split between two of them."""
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
    return SmsParts(encoding, len(text), units, parts, per_part, forcing)


@lru_cache(maxsize=256)
def part_count(text: str) -> int:
    """How many parts a text makes, remembered: it is asked for each message of a mailing, again and again."""
    return sms_parts(text).parts


def _packed(sizes: Iterable[int], room: int) -> int:
    parts, left = 0, 0
    for size in sizes:
        if size > left:
            parts, left = parts + 1, room
        left -= size
    return parts
