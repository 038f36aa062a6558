"""Users: what a name and a password may be."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import Invalid
from chalicelib.domain.users import check_account, check_password, check_username


@pytest.mark.parametrize("name", ["ab", "Anna.Smith", "0day", "a_b-c.d", "a" * 64])
def test_a_name_is_short_and_plain(name: str) -> None:
    """Letters, digits, and three signs between them."""
    assert check_username(name) == []


@pytest.mark.parametrize(
    "name", ["", "a", "a" * 65, "-a", ".a", "_a", "a b", "a/b", "a#b", "анна", "a\n", "ab\n", "me", "Me", "ME"]
)
def test_a_name_that_no_path_could_hold_is_refused(name: str) -> None:
    """Also the one that has a path of its own."""
    assert [error.field for error in check_username(name)] == ["username"]


@pytest.mark.parametrize(("length", "right"), [(0, False), (9, False), (10, True), (256, True), (257, False)])
def test_a_password_has_ten_to_256_characters(length: int, right: bool) -> None:
    """Any characters; the error does not repeat it."""
    errors = check_password("п" * length)
    assert [error.field for error in errors] == ([] if right else ["password"])
    assert not any("п" in error.message for error in errors)


def test_everything_wrong_with_an_account_is_named_at_once() -> None:
    """And what is right raises nothing."""
    check_account("anna", "long enough")
    with pytest.raises(Invalid) as caught:
        check_account("", "short")
    assert [error.field for error in caught.value.errors] == ["username", "password"]
