"""What is known of phone numbers without asking the library each time."""

from __future__ import annotations

import random

import phonenumbers
import pytest

from chalicelib.domain.errors import Invalid
from chalicelib.domain.number_plans import plan_of, split
from chalicelib.domain.phone_numbers import normalize_phone

CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
EACH = 40


def numbers_of(code: int, rng: random.Random) -> list[str]:
    """Numbers of a country code: examples of all kinds with digits changed, and any digits."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    examples = [phonenumbers.example_number_for_type(region, kind) for region in regions for kind in range(11)]
    known = [phonenumbers.format_number(one, phonenumbers.PhoneNumberFormat.E164) for one in examples if one]
    found = []
    for _ in range(EACH):
        if known and rng.random() < 0.7:
            digits = list(rng.choice(known))
            for _ in range(rng.randrange(3)):
                digits[rng.randrange(len(str(code)) + 1, len(digits))] = rng.choice("0123456789")
            found.append("".join(digits))
        else:
            found.append(f"+{code}" + "".join(rng.choice("0123456789") for _ in range(rng.randrange(4, 12))))
    return found


@pytest.mark.parametrize("first", range(0, len(CODES), 20))
def test_a_plan_says_what_the_library_says(first: int) -> None:
    """Of numbers of all country codes that can be meant in one way only."""
    rng = random.Random(first)
    for code in CODES[first : first + 20]:
        for number in numbers_of(code, rng):
            found = split(number)
            assert found
            plan, national = found
            assert plan.code == str(code)
            if plan.is_plain(national):
                assert plan.has(national) == phonenumbers.is_valid_number(phonenumbers.parse(number)), number


def test_a_code_that_is_no_countrys_has_no_plan() -> None:
    assert plan_of("999") is None
    assert split("+9991234567") is None


@pytest.mark.parametrize("text", ["+70001234567", "+15551234567", "+448001234567890", "+99912345678"])
def test_a_number_that_does_not_exist_is_no_number(text: str) -> None:
    with pytest.raises(Invalid):
        normalize_phone(text)


def test_an_unknown_number_from_80_is_not_taken_for_one_of_800() -> None:
    """At home in Russia and Belarus people dial these."""
    with pytest.raises(Invalid) as caught:
        normalize_phone("80001234567")
    assert caught.value.errors[0].fault.code == "phone_no_country"
