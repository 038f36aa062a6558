"""Attributes of clients: what they may be, and that a file says the same of them as the table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.attributes import (
    MOST_BYTES,
    Attributes,
    attributes_of,
    cell_of,
    check_name,
    check_value,
    column_attribute,
    is_date,
    plain_name,
    value_of,
    word_of,
)
from chalicelib.domain.clients import Client, check_language
from chalicelib.domain.errors import Invalid
from chalicelib.domain.faults import Fault
from chalicelib.domain.import_columns import columns_told
from chalicelib.domain.imports import ImportOptions, Mode, read_clients

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=30)
WORDS = st.sampled_from(["true", "FALSE", "Истина", "12", "012", "-5", "1.50", "'x", "''", "=1", "2026-03-02", "1e3"])
NUMBERS = st.integers(-(10**15) + 1, 10**15 - 1) | st.decimals(-1000, 1000, places=3).map(float)
VALUES = st.one_of(LINES.filter(str.strip), WORDS, NUMBERS, st.booleans())


@given(VALUES)
def test_a_cell_and_a_line_of_a_form_say_what_the_value_is(value: Any) -> None:
    """Expects each value back, of the same kind, and no cell that a spreadsheet runs."""
    kept = check_value(value)
    for text in (cell_of(kept), word_of(kept)):
        read = value_of(text.strip())
        assert (read, type(read)) == (kept, type(kept))
    assert not isinstance(kept, str) or not cell_of(kept).startswith(("=", "+", "-", "@", "\t"))


@given(st.dictionaries(st.sampled_from(["a", "b_2", "имя"]), VALUES))
def test_attributes_are_what_was_given(values: dict[str, Any]) -> None:
    """Expects the values as they are kept, whatever their order, and yes not to be 1."""
    made = attributes_of(values)
    assert dict(made) == {name: check_value(value) for name, value in values.items()}
    assert made == attributes_of(dict(reversed(values.items()))) == Attributes(made.text)
    assert attributes_of({"a": True}) != attributes_of({"a": 1})


@given(st.text(max_size=60))
def test_a_column_names_an_attribute_or_none(text: str) -> None:
    """Expects a name that is allowed, or none, of whatever stands in a header."""
    name = column_attribute("attributes." + text)
    assert name == "" or check_name(name) == name == column_attribute(f"attributes.{name}")


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("attributes.first_name", "first_name"),
        ("attribute:first_name", "first_name"),
        ("Attributes.FirstName", "first_name"),
        ("User.UserAttributes.First Name", "first_name"),
        ("attributes.Имя клиента", "имя_клиента"),
        ("first_name", ""),
        ("attributes.", ""),
        ("attributes.1st", ""),
        ("attributes." + "x" * 41, ""),
    ],
)
def test_a_column_names_its_attribute_in_many_spellings(column: str, name: str) -> None:
    """Expects the plain form of the name."""
    assert column_attribute(column) == name


@pytest.mark.parametrize("name", ["First", "first name", "1st", "_x", "", "x" * 41, "a__b", "e\u0301"])
def test_a_name_that_is_not_plain_is_refused(name: str) -> None:
    """Expects the path of the attribute."""
    with pytest.raises(Invalid) as caught:
        attributes_of({name: "x"})
    assert [(one.field, one.fault) for one in caught.value.errors] == [
        (f"attributes.{name[:40]}", Fault.ATTRIBUTE_NAME)
    ]
    assert plain_name("Ein  Name-mit.Punkt") == "ein_name_mit_punkt"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (None, Fault.ATTRIBUTE_VALUE),
        (["x"], Fault.ATTRIBUTE_VALUE),
        ("", Fault.EMPTY),
        ("  ", Fault.EMPTY),
        ("a\nb", Fault.CONTROL_CHARACTERS),
        ("a\x00", Fault.CONTROL_CHARACTERS),
        (10**15, Fault.ATTRIBUTE_NUMBER),
        (1e300, Fault.ATTRIBUTE_NUMBER),
        (1e-7, Fault.ATTRIBUTE_NUMBER),
        (float("nan"), Fault.ATTRIBUTE_NUMBER),
        (float("inf"), Fault.ATTRIBUTE_NUMBER),
    ],
)
def test_a_value_of_another_kind_is_refused(value: object, fault: Fault) -> None:
    """Expects its own fault for each."""
    with pytest.raises(Invalid) as caught:
        attributes_of({"good": 1, "bad": value})
    assert [(one.field, one.fault) for one in caught.value.errors] == [("attributes.bad", fault)]


def test_there_are_bounds_to_all_of_them_together() -> None:
    """Expects thirty at most, and a kilobyte as it is stored, in bytes and not in characters."""
    assert len(attributes_of({f"a{number}": number for number in range(30)})) == 30
    fits = "я" * ((MOST_BYTES - len('{"a":""}')) // 2)
    assert len(attributes_of({"a": fits}).text.encode()) == MOST_BYTES
    for values, fault in (
        ({f"a{number}": number for number in range(31)}, Fault.TOO_MANY_VALUES),
        ({"a": fits + "x"}, Fault.ATTRIBUTES_TOO_LARGE),
    ):
        with pytest.raises(Invalid) as caught:
            attributes_of(values)
        assert [(one.field, one.fault) for one in caught.value.errors] == [("attributes", fault)]


def test_what_people_type_is_what_matches() -> None:
    """Expects one form for what looks the same, and a date only of a day that exists."""
    assert check_value(" Cafe\u0301 ") == "Café"
    assert [is_date(value) for value in ("2026-03-02", "2026-02-30", "2.3.2026", 20260302)] == [
        True,
        False,
        False,
        False,
    ]
    assert (check_value(3.0), type(check_value(3.0))) == (3, int)


@pytest.mark.parametrize(
    ("text", "code"),
    [("ru", "ru"), ("RU", "ru"), ("pt_br", "pt-BR"), ("zh-hans-cn", "zh-Hans-CN"), ("es-419", "es-419")],
)
def test_a_language_is_kept_in_its_usual_form(text: str, code: str) -> None:
    """Expects one spelling of each."""
    assert check_language(text) == code


@pytest.mark.parametrize("text", ["russian", "r", "ru-", "ru-R", "яз", "en-US-x-private", "e1"])
def test_an_invalid_language_is_refused(text: str) -> None:
    """Expects the field to be named."""
    with pytest.raises(Invalid) as caught:
        check_language(text)
    assert [(one.field, one.fault) for one in caught.value.errors] == [("language", Fault.LANGUAGE)]


# -- in files


def clients_of(text: str, **options: Any) -> list[Client]:
    file = read_clients(text, NOW, ImportOptions(**options))
    assert file.errors == []
    return file.clients


def test_columns_of_attributes_are_read_and_repeated_ones_put_together() -> None:
    """Expects Pinpoint's export in: two interests are one text, an empty cell says nothing."""
    text = "Address,User.UserAttributes.FirstName,User.UserAttributes.Interest,User.UserAttributes.Interest\n"
    first, second = clients_of(text + "+79160100010,Anna,music,books\n+79160100011,Boris,,books\n")
    assert dict(first.attributes) == {"first_name": "Anna", "interest": "music, books"}
    assert dict(second.attributes) == {"first_name": "Boris", "interest": "books"}


def test_any_column_may_be_told_to_be_an_attribute() -> None:
    """Expects the values by their kinds, and no column left out."""
    told = columns_told(["attributes.FirstName:Name", "attributes.age:Age", "attributes.code:Code"])
    file = read_clients("phone_number,Name,Age,Code\n+79161234567,Anna,30,012\n", NOW, ImportOptions(columns=told))
    assert dict(file.clients[0].attributes) == {"first_name": "Anna", "age": 30, "code": "012"}
    assert (file.left_out, file.attribute_names) == ([], {"first_name", "age", "code"})
    assert file.columns["Name"] == "attributes.first_name"


def test_a_row_sets_the_attributes_that_it_has_values_for() -> None:
    """Expects an empty cell to leave what is there, and mode=replace to set all."""
    text = "phone_number,language,attributes.a,attributes.b\n+79161234567,,1,\n"
    (number, given), *_ = read_clients(text, NOW).given.items()
    assert given == {"phone_number", "attributes.a"}
    assert "attributes" in read_clients(text, NOW, ImportOptions(mode=Mode.REPLACE)).given[number]


def test_an_invalid_attribute_of_a_row_is_reported_with_its_cell() -> None:
    """Expects the column's field and the value."""
    file = read_clients('phone_number,language,attributes.a\n+79161234567,Russian,"x\ny"\n', NOW)
    assert [(one.field, one.fault, one.value) for one in file.errors] == [
        ("language", Fault.LANGUAGE, "Russian"),
        ("attributes.a", Fault.CONTROL_CHARACTERS, "x\ny"),
    ]
