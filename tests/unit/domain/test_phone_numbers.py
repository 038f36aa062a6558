"""Phone numbers as people write them: the right number, or a refusal that says what is wrong, never another number."""

from __future__ import annotations

import csv
import re
import time
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Invalid
from chalicelib.domain.faults import Fault
from chalicelib.domain.phone_numbers import _quick, check_country, normalize_phone

CASES = Path(__file__).parents[2] / "cases"
NUMBER = "+79161234567"


def cells(name: str) -> list[list[str]]:
    """The rows of a file below its header."""
    with (CASES / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))[1:]


def result(text: str, country: str = "") -> str:
    """The number, or the name of what is wrong."""
    try:
        return normalize_phone(text, country)
    except Invalid as error:
        (one,) = error.errors
        return one.fault.code


@pytest.mark.parametrize("country", sorted({row[0] for row in cells("numbers-of-25-countries.csv")}))
def test_ten_spellings_of_a_countrys_number_are_understood(country: str) -> None:
    """With that country for numbers without a code: each becomes the one number."""
    rows = [row for row in cells("numbers-of-25-countries.csv") if row[0] == country]
    assert len(rows) == 10
    assert {spelling: result(spelling, country) for _, spelling, _ in rows} == {row[1]: row[2] for row in rows}


def test_without_a_country_no_spelling_becomes_another_number() -> None:
    """Expects a refusal of what only the country could tell."""
    rows = cells("numbers-of-25-countries.csv")
    found = [(result(spelling), number) for _, spelling, number in rows]
    # 11 digits from 1, as Germany has them at home, may be anybody's.
    assert [one for one in found if one[0].startswith("+") and one[0] != one[1]] == []
    assert sum(one == number for one, number in found) >= 200


@pytest.mark.parametrize("country", ["", "RU"])
@pytest.mark.parametrize(
    "text",
    [
        NUMBER,
        "79161234567",
        "89161234567",
        "0079161234567",
        "8 (916) 123-45-67",
        "+7 916 123.45.67",
        " +7\u00a0916\u2009123\u201145\u201367\t",
        "(8916) 1234567",
    ],
)
def test_a_russian_number_has_one_form(text: str, country: str) -> None:
    """However it is written: with the country code, with the trunk prefix, with signs for the eye."""
    assert normalize_phone(text, country) == NUMBER


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+4915112345678", "+4915112345678"),
        ("4915112345678", "+4915112345678"),
        ("00 1 212 555 0100", "+12125550100"),
        ("+290 51234", "+29051234"),
        ("+39 (0)6 1234567", "+39061234567"),  # the zero belongs to it in Italy
        ("+\u0667\u0669\u0661\u0666\u0661\u0662\u0663\u0664\u0665\u0666\u0667", NUMBER),  # Arabic digits
        ("tel:9161234567;phone-context=+7", NUMBER),
        ("84951234567", "+74951234567"),
        ("85251234567", "+85251234567"),
        ("+44 7700 900123", "+447700900123"),  # plays a part in the sandbox
    ],
)
def test_a_number_with_its_country_is_understood_anywhere(text: str, number: str) -> None:
    """Nobody's default is needed for it."""
    assert normalize_phone(text) == number


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("131 2345 6789", "", "phone_no_country"),
        ("13123456789", "", "phone_no_country"),
        ("131 2345 6789", "CN", "+8613123456789"),
        ("(11) 96123-4567", "", "phone_no_country"),
        ("(11) 96123-4567", "BR", "+5511961234567"),
        ("9161234567", "", "phone_no_country"),
        ("9161234567", "RU", NUMBER),
        ("89161234567", "DE", "+4989161234567"),  # a number of Munich there
        ("4915123456789", "DE", "+4915123456789"),
        ("12", "DE", "phone_number"),
        ("0151", "DE", "phone_not_of_country"),
        (NUMBER, "XX", "country"),
        (NUMBER, "ru", "country"),
    ],
)
def test_the_country_decides_about_numbers_without_a_code(text: str, country: str, expected: str) -> None:
    """And never turns one into another country's."""
    assert result(text, country) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", Fault.PHONE_NUMBER),
        (" ", Fault.PHONE_NUMBER),
        ("+", Fault.PHONE_NUMBER),
        ("-", Fault.PHONE_NUMBER),
        ("phone", Fault.PHONE_LETTERS),
        ("+7916123456x", Fault.PHONE_LETTERS),
        ("1-800-FLOWERS", Fault.PHONE_LETTERS),
        ("+7916123456", Fault.RUSSIAN_PHONE_NUMBER),
        ("+791612345678", Fault.RUSSIAN_PHONE_NUMBER),
        ("+71231234567", Fault.PHONE_DOES_NOT_EXIST),
        ("+1212555", Fault.PHONE_TOO_SHORT),
        ("+121255501001", Fault.PHONE_TOO_LONG),
        ("+1234567890123456", Fault.PHONE_TOO_LONG),
        ("+999123456789", Fault.PHONE_NUMBER),
        ("++79161234567", Fault.PHONE_NUMBER),
        ("+7+9161234567", Fault.PHONE_TWO_NUMBERS),
        ("+7916123456\u00b2", Fault.PHONE_NUMBER),
        ("+79161234567\x00", Fault.PHONE_NUMBER),
        ("+79161234567;ext=1", Fault.PHONE_EXTENSION),
        ("tel:+1-201-555-0123;ext=12", Fault.PHONE_EXTENSION),
        ("+7" + "9" * 100_000, Fault.PHONE_NUMBER),
    ],
)
def test_an_invalid_number_is_refused_by_name(text: str, fault: Fault) -> None:
    """Nothing is guessed: a blank phone once stopped a whole mailing."""
    assert result(text) == fault.code


def test_what_spreadsheets_do_to_numbers_is_undone_or_named() -> None:
    """Apostrophes and formulas that keep a text, floats, and digits that are lost."""
    assert [result(cell) for cell, _ in cells("16_apostrophe.csv")] == [f"+7916016000{n}" for n in range(1, 7)]
    floats = [result(row[0]) for row in cells("17_pandas_floats.csv")]
    assert floats == ["+" + row[0].removesuffix(".0") for row in cells("17_pandas_floats.csv")]
    told = {",".join(row).rpartition(";")[0] for row in cells("15_excel_scientific.csv")} - {"79160150001"}
    assert len(told) == 4
    assert {result(cell) for cell in told} == {Fault.PHONE_SCIENTIFIC.code}


def test_signs_that_come_with_a_copied_number_are_no_part_of_it() -> None:
    """Also those that nobody sees."""
    for place, (cell, told) in enumerate(cells("18_formatted.csv"), 1):
        expected = {"ten digits": "phone_no_country", "russian exit code": "+4915100000021"}
        assert result(cell) == expected.get(told, f"+7916018{place:04d}"), told


def test_two_numbers_and_extensions_are_told_apart() -> None:
    """Neither is cut off to make one."""
    found = {told: result(cell) for cell, told in cells("19_ext_two_numbers.csv")}
    extensions = {"ext", "dob", "x", "pause"}
    expected = {told: "phone_extension" if told in extensions else "phone_two_numbers" for told in found}
    assert found == {**expected, "name": "phone_letters"}


def test_numbers_that_became_somebody_elses_are_right_or_refused() -> None:
    """They were stored as numbers of other people."""
    found = {row[1]: result(row[0]) for row in cells("wrong-numbers.csv")}
    assert found == {
        "uk": "+447400123456",
        "de": "+4915123456789",
        "fr": "+33612345678",
        "float": "+4915123456789",
        "china national": "phone_no_country",
        "hong kong without plus": "+85251234567",
        "brazil national": "phone_no_country",
        "two local numbers": "phone_two_numbers",
    }


@given(
    st.text(max_size=30) | st.text("+0123456789 ()-.,;/", max_size=20), st.sampled_from(["", "RU", "DE", "US", "IT"])
)
def test_any_text_is_refused_or_becomes_a_number(text: str, country: str) -> None:
    """What comes out is E.164, and comes out again when it is put in, whatever the country."""
    try:
        number = normalize_phone(text, country)
    except Invalid:
        return
    assert re.fullmatch(r"\+[1-9][0-9]{6,14}", number)
    assert normalize_phone(number) == normalize_phone(number, "FR") == number


@given(
    st.sampled_from(
        ["7", "79", "8", "49", "4915", "44", "4474", "1", "1212", "52", "521", "54", "549", "39", "86", "55"]
    ),
    st.integers(0, 10**10 - 1),
    st.integers(6, 11),
)
def test_a_mobile_is_known_without_the_library_as_with_it(begins: str, digits: int, length: int) -> None:
    """The quick way must answer what the long one does."""
    plain = f"+{begins}{digits:0{length}d}"[:16]
    number = phonenumbers.parse(plain, None) if begins != "8" else None
    quick = _quick(plain, "")
    if quick:
        assert number is not None
        assert phonenumbers.is_valid_number(number)
        assert quick == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def test_a_hundred_thousand_numbers_take_no_time() -> None:
    """Of an import's ten seconds; the bound is ten times what was measured."""
    began = time.process_time()
    for number in range(20_000):
        normalize_phone(f"+7916{number:07d}")
    assert time.process_time() - began < 2


def test_a_country_is_one_of_those_that_have_numbers() -> None:
    """Expects two capital letters of a country that there is."""
    assert check_country("DE") == "DE"
    for wrong in ("", "D", "DEU", "de", "ZZ"):
        with pytest.raises(Invalid):
            check_country(wrong)
