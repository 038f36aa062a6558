"""A user: an operator of the service, with a role and tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .errors import FieldError, Invalid
from .faults import Fault

MIN_USERNAME_LENGTH, MAX_USERNAME_LENGTH = 2, 64
_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,63}")
_RESERVED = frozenset({"me"})  # /users/me/ is a path of its own
MIN_PASSWORD_LENGTH = 10
MAX_PASSWORD_LENGTH = 256


class Role(StrEnum):
    """What a user may do: an operator can do everything except manage users."""

    ADMIN = "admin"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class User:
    """An account."""

    username: str
    role: Role
    password_hash: str
    created_at: datetime
    updated_at: datetime
    # Older tokens are not valid, whether or not they were removed.
    tokens_since: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """An access token as it is stored: only the SHA-256 of its secret is kept. `token_id` identifies it in lists."""

    token_id: str
    token_hash: str
    username: str
    created_at: datetime
    expires_at: datetime
    name: str = ""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request."""

    username: str
    role: Role
    token_id: str


def check_username(username: str) -> list[FieldError]:
    """What is wrong with a username."""
    if username.lower() in _RESERVED:
        return [FieldError("username", Fault.USERNAME_RESERVED, {"name": username})]
    if _USERNAME.fullmatch(username):
        return []
    return [
        FieldError(
            "username",
            Fault.USERNAME,
        )
    ]


def check_password(password: str) -> list[FieldError]:
    """What is wrong with a password (length only, as NIST SP 800-63B section 5.1.1.2 advises)."""
    if MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        return []
    return [FieldError("password", Fault.LENGTH, {"least": MIN_PASSWORD_LENGTH, "most": MAX_PASSWORD_LENGTH})]


def check_account(username: str, password: str) -> None:
    """Raises Invalid if the username or the password is not allowed."""
    errors = check_username(username) + check_password(password)
    if errors:
        raise Invalid(*errors)
