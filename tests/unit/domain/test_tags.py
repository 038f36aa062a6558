"""Tags of clients: which may be kept, and how people write several in one text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.clients import ClientFields
from chalicelib.domain.errors import Invalid
from chalicelib.domain.faults import Fault
from chalicelib.domain.segments import Segment
from chalicelib.domain.tags import cell_of, check_tags, led_by, tags_of


def fault_of(tags: list[str]) -> Fault:
    """What is wrong with tags."""
    with pytest.raises(Invalid) as caught:
        check_tags(tags)
    (error,) = caught.value.errors
    assert error.field == "tags"
    return error.fault


def test_each_tag_is_kept_once_as_it_looks_in_its_order() -> None:
    assert check_tags([" vip ", "Cafe\u0301", "", "vip", "Caf\xe9", "VIP"]) == ("vip", "Caf\xe9", "VIP")
    assert check_tags([]) == check_tags(["", " "]) == ()


def test_there_may_be_twenty_tags_of_a_kilobyte_together() -> None:
    """The same one again is not another one."""
    twenty = [str(number) for number in range(20)]
    assert check_tags([*twenty, "0"]) == tuple(twenty)
    assert fault_of([*twenty, "20"]) is Fault.TOO_MANY_VALUES
    assert check_tags([letter * 64 for letter in "abcdefghijklmnop"])
    assert fault_of([letter * 64 for letter in "abcdefghijklmnop"] + ["q"]) is Fault.ATTRIBUTES_TOO_LARGE
    assert fault_of(["vip", "x" * 65]) is Fault.TOO_LONG
    assert fault_of(["vip", "a\x1fb"]) is Fault.CONTROL_CHARACTERS


def test_the_first_tag_must_be_one_of_all() -> None:
    assert led_by("b", ["a", "b"]) == ("b", "a")
    assert led_by("", ["a", "b"]) == ("a", "b")
    with pytest.raises(Invalid):
        led_by("c", ["a", "b"])


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("vip", ["vip"]),
        ("vip, new", ["vip", "new"]),
        ("vip;new ;", ["vip", "new"]),
        ("vip|new", ["vip", "new"]),
        ("Paris, France; new", ["Paris, France", "new"]),
        ('"VIP","Blog, weekly"', ["VIP", "Blog, weekly"]),
        ('["vip", "a;b", 7]', ["vip", "a;b", "7"]),
        ("[vip", ["[vip"]),
        ('{"a": 1}', ['{"a": 1}']),
        ('[["a"]]', ['[["a"]]']),
        ('6" pipe, new', ['6" pipe', "new"]),
        ('"open, new', ['"open', "new"]),
        (" , ;", [","]),
        ("", []),
    ],
)
def test_several_tags_are_read_from_one_text(cell: str, tags: list[str]) -> None:
    """As people, Mailchimp and listmonk write them."""
    assert tags_of(cell) == tags


@given(st.lists(st.text(alphabet="ab ;,|[]\"\\'=", max_size=6), max_size=5), st.sampled_from(("; ", ", ")))
def test_tags_written_as_a_text_are_read_as_they_were(typed: list[str], between: str) -> None:
    """Whatever separators and quotation marks they have."""
    tags = check_tags(typed)
    assert check_tags(tags_of(cell_of(tags, between))) == tags


def test_a_segment_has_who_has_any_of_its_tags() -> None:
    """Of who has none, the empty tag."""
    both, none = ClientFields("+79161234567", "916", ("a", "b")), ClientFields("+79161234568", "916")
    assert [Segment(tags).matches(both) for tags in (("b",), ("c", "b"), ("c",), ("",), ())] == [
        *(True, True, False, False, True)
    ]
    assert [Segment(tags).matches(none) for tags in (("b",), ("b", ""), ())] == [False, True, True]
    assert Segment(("c", "b", "a")).first_tag_of(both) == "b"
    assert not Segment(("a",), ("903",)).matches(both)
