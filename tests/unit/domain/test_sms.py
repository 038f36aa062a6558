"""SMS parts: what fits one message, and what each of several holds."""

# ruff: noqa: RUF001 - characters that are not what they look like are the point

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.sms import part_count, simpler, sms_parts


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("Hello", "GSM-7", 5, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),  # the euro's two septets do not fit the first part's last one
        ("àéñ@£Ω\n", "GSM-7", 7, 1),
        ("[x]{y}~^|\\", "GSM-7", 18, 1),
        ("Привет", "UCS-2", 6, 1),
        ("п" * 70, "UCS-2", 70, 1),
        ("п" * 71, "UCS-2", 71, 2),
        ("п" * 134, "UCS-2", 134, 2),
        ("п" * 135, "UCS-2", 135, 3),
        ("a\tb", "UCS-2", 3, 1),
        ("😀" * 35, "UCS-2", 70, 1),
        ("😀" * 36, "UCS-2", 72, 2),
        ("😀" * 67, "UCS-2", 134, 3),  # 33 pairs in a part of 67 units
        ("ç", "UCS-2", 1, 1),  # only the capital is in the alphabet
    ],
)
def test_parts_are_counted_as_they_are_sent(text: str, encoding: str, units: int, parts: int) -> None:
    """Expects 160 or 70 units alone, 153 or 67 in each of several, and no character in two of them."""
    counted = sms_parts(text)
    assert part_count(text) == parts
    assert (counted.encoding, counted.units, counted.parts, counted.characters) == (encoding, units, parts, len(text))


@given(st.text(st.sampled_from("aZ @€[\\]^{|}~-\nпç“\t😀") | st.characters(), max_size=400))
def test_the_quick_count_is_the_same(text: str) -> None:
    """Expects it of every alphabet, and of texts around the lengths at which a part is full."""
    for some in (text, text * 4):
        assert part_count(some) == sms_parts(some).parts


def test_what_costs_the_short_alphabet_is_named() -> None:
    """Expects each foreign character once, in the order of the text."""
    assert sms_parts("Caf\u00e9 “quoted” – “more”").forcing == "“”–"
    assert sms_parts("Hello").forcing == ""


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("a" * 80 + "“Sale” – 5\u00a0% off… don’t wait\u200b", "a" * 80 + '"Sale" - 5 % off... don\'t wait'),
        ("«Sale»", None),  # one part either way
        ("a" * 80 + "«Ж»", None),  # another alphabet: nothing is gained
        ("a" * 200, None),
        ("a" * 156 + "…", "a" * 156 + "..."),
        ("a" * 160 + "\u00ad", "a" * 160),
    ],
)
def test_look_alikes_are_replaced_if_that_makes_fewer_parts(text: str, result: str | None) -> None:
    assert simpler(text) == result
