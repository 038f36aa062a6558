"""Texts with placeholders: what they become, what is missing, and that a value is never more than a value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.faults import Fault
from chalicelib.domain.mailings import MAX_TEXT_LENGTH
from chalicelib.domain.placeholders import MOST_PLACEHOLDERS, check_placeholders, parsed_text

ANNA = {"first_name": "Anna", "city": "Riga", "имя": "Анна"}
NAMES = st.sampled_from(["first_name", "city", "x"])
# What could be taken for something by whoever reads twice, formats, or calls.
NASTY = st.sampled_from(
    ["{{city}}", "{{#city}}", "}}", "{0}", "{first_name}", "%(city)s", "\\1", "${city}", "|", "</x>"]
)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Hello", "Hello"),
        ("Hello {{first_name}}!", "Hello Anna!"),
        ("Hello {{ first_name }}!", "Hello Anna!"),
        ("Hello {{имя}}!", "Hello Анна!"),
        ("Hello {{nick|there}}!", "Hello there!"),
        ("Hello {{nick|dear friend }}!", "Hello dear friend!"),
        ("Hello{{nick|}}!", "Hello!"),
        ("Hello {{first_name|there}}!", "Hello Anna!"),
        ("Sale{{#city}} in {{city}}{{/city}}!", "Sale in Riga!"),
        ("Sale{{#shop}} in {{shop}}{{/shop}}!", "Sale!"),
        ("{{first_name}}{{city}}", "AnnaRiga"),
        ("one { two } and {three}", "one { two } and {three}"),
    ],
)
def test_a_text_becomes_what_the_person_gets(text: str, result: str) -> None:
    assert check_placeholders(text) == []
    assert parsed_text(text).fill(ANNA) == (result, ())


def test_what_is_missing_is_named_once_and_left_empty() -> None:
    """Expects neither what has words instead, nor what stands in a section that does not appear."""
    template = parsed_text("{{b}} {{a}} {{b}} {{c|none}}{{#d}}{{e}}{{/d}}")
    assert template.fill({"a": ""}) == ("   none", ("b", "a"))
    assert template.fill({"d": "yes", "a": "1", "b": "2"}) == ("2 1 2 none", ("e",))
    assert template.names == ("a", "b", "c", "d", "e")


def test_a_section_with_nothing_in_it_asks_for_its_value() -> None:
    """Expects the name among those whose values are kept: rows that were written have it there."""
    template = parsed_text("Hello{{#city}}{{/city}}")
    assert (template.names, template.plain) == (("city",), False)
    assert template.fill({}) == ("Hello", ())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{{}}", Fault.PLACEHOLDER),
        ("{{first name}}", Fault.PLACEHOLDER),
        ("{{client.phone}}", Fault.PLACEHOLDER),
        ("{{a|b|c}}", Fault.PLACEHOLDER),
        ("{{#a|b}}x{{/a}}", Fault.PLACEHOLDER),
        ("{{__class__}}", Fault.PLACEHOLDER),
        ("{{f()}}", Fault.PLACEHOLDER),
        ("{{{a}}}", Fault.PLACEHOLDER),
        ("Hello {{name", Fault.PLACEHOLDER_OPEN),
        ("{{#a}}x", Fault.SECTION_OPEN),
        ("x{{/a}}", Fault.SECTION_NOT_OPENED),
        ("{{#a}}x{{/b}}{{/a}}", Fault.SECTION_NOT_OPENED),
        ("{{#a}}{{#b}}x{{/b}}{{/a}}", Fault.SECTION_IN_SECTION),
        ("{{a}}" * (MOST_PLACEHOLDERS + 1), Fault.TOO_MANY_PLACEHOLDERS),
    ],
)
def test_an_invalid_placeholder_is_reported(text: str, fault: Fault) -> None:
    """Expects the fault at the text; and the text as it stands, if somebody had ordered it before there were any."""
    first, *_ = check_placeholders(text)
    assert (first.field, first.fault) == ("text", fault)
    assert parsed_text(text).fill(ANNA) == (text, ())
    assert parsed_text(text).plain


def test_the_most_placeholders_are_read() -> None:
    assert check_placeholders("{{a}}" * MOST_PLACEHOLDERS) == []


@given(
    values=st.dictionaries(NAMES, NASTY | st.text(max_size=20)),
    names=st.lists(NAMES, min_size=1, max_size=5),
    words=st.text(st.characters(exclude_characters="{}"), max_size=10),
)
def test_a_value_is_never_interpreted(values: dict[str, str], names: list[str], words: str) -> None:
    """Expects exactly the values, between exactly the words, whatever stands in them."""
    text = words.join("{{" + name + "}}" for name in names)
    assert parsed_text(text).fill(values)[0] == words.join(values.get(name, "") for name in names)


@given(st.text(alphabet="{}#/|ab \n", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Expects no text to be left half: without a fault nothing of a placeholder is in what people get."""
    faults = check_placeholders(text)
    rendered, _ = parsed_text(text).fill({})
    if faults:
        assert rendered == text
    else:
        assert "{{" not in rendered


def test_the_longest_text_is_read_soon() -> None:
    """Expects the worst of them to be read at all: nothing may grow with the square of a text."""
    worst = "{{" * (MAX_TEXT_LENGTH // 2)
    assert check_placeholders(worst)
