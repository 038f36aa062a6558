"""Passwords: hashes that say nothing, and a check that says nothing of who exists."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from chalicelib.domain.users import check_password
from chalicelib.services import passwords

real_hasher = passwords.hasher
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least work: the real parameters take 50 ms for every hash."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: hasher)
    passwords.nobodys_hash.cache_clear()


def test_a_hash_knows_its_password_and_no_other() -> None:
    """Case and spaces count."""
    made = passwords.hash_password(PASSWORD)
    assert passwords.verify(made, PASSWORD)
    assert not passwords.verify(made, PASSWORD.upper())
    assert not passwords.verify(made, PASSWORD + " ")
    assert not passwords.verify(made, "")


def test_a_hash_does_not_hold_the_password_and_is_never_the_same() -> None:
    """The salt is random."""
    first, second = passwords.hash_password(PASSWORD), passwords.hash_password(PASSWORD)
    assert first != second
    assert PASSWORD not in first


def test_nobody_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that does not exist is checked against a hash all the same, and even its password would not be right."""
    assert not passwords.verify(None, PASSWORD)
    assert not passwords.verify("", PASSWORD)
    monkeypatch.setattr(passwords, "nobodys_hash", lambda: passwords.hash_password(PASSWORD))
    assert not passwords.verify(None, PASSWORD)


def test_a_broken_hash_has_no_password() -> None:
    """It is no reason for a server error."""
    assert not passwords.verify("$argon2id$v=19$broken", PASSWORD)


def test_a_password_that_cannot_be_written_is_wrong() -> None:
    """Half of a surrogate pair has no UTF-8."""
    assert not passwords.verify(passwords.hash_password(PASSWORD), "\ud800")


def test_a_long_password_is_hashed_in_full_and_a_longer_one_costs_no_more() -> None:
    """No stored one is longer than 256 characters, so what is cut off does not matter."""
    made = passwords.hash_password("a" * 256)
    assert passwords.verify(made, "a" * 256)
    assert not passwords.verify(made, "a" * 255)
    assert not passwords.verify(made, "a" * 10_000_000)


def test_the_real_parameters_are_those_of_the_rfc() -> None:
    """argon2id with 64 MiB, 3 passes, 4 lanes: RFC 9106 section 4, the second recommendation."""
    made = extract_parameters(real_hasher().hash(PASSWORD))
    assert (made.type, made.memory_cost, made.time_cost, made.parallelism) == (Type.ID, 65536, 3, 4)


def test_an_invented_password_is_long_enough_and_never_the_same() -> None:
    """It is allowed as it is, and can be handed over by voice or on paper: no spaces."""
    invented = {passwords.invented_password() for _ in range(100)}
    assert len(invented) == 100
    assert all(check_password(one) == [] and one.isascii() and " " not in one for one in invented)
