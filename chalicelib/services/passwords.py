"""Passwords: argon2id hashes, and a check that takes as long for a user that does not exist."""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_LONGEST = 1024  # characters that are hashed; no stored password is longer


def hasher() -> PasswordHasher:
    """argon2id with the parameters of RFC 9106's second recommendation."""
    from argon2 import PasswordHasher  # imported here because only the API needs it

    return PasswordHasher()


def hash_password(password: str) -> str:
    """The hash of a password."""
    return hasher().hash(password)


@lru_cache(maxsize=1)
def nobodys_hash() -> str:
    """The hash that is verified for an unknown user; no password matches it."""
    return hash_password(secrets.token_urlsafe(16))


def verify(password_hash: str | None, password: str) -> bool:
    """Whether the password matches the hash. For an unknown user (None) it never does, but takes the same time."""
    from argon2.exceptions import InvalidHashError, VerificationError

    nobody = nobodys_hash()
    try:
        return hasher().verify(password_hash or nobody, password[:_LONGEST]) and password_hash is not None
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


def invented_password() -> str:
    """A generated password with 96 random bits."""
    return secrets.token_urlsafe(12)
