"""The first user of a data directory: a changed ADMIN_PASSWORD is applied, and the start says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.domain.errors import Unauthenticated
from chalicelib.services.users import UserService
from infra.local.data_directory import DataDirectory, read_json
from infra.local.first_user import CHANGED, NOT_APPLIED, check_first_user, ensure_first_user
from tests.support.api import quick_passwords
from tests.support.simulation import new_simulation

FIRST, SECOND, OWN = "the first password", "the second password", "one of their own"


@pytest.fixture
def accounts() -> Iterator[UserService]:
    """Users in an empty service."""
    with new_simulation() as simulation, quick_passwords():
        assert simulation.services is not None
        yield simulation.services.users


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    return DataDirectory(tmp_path)


def lets_in(accounts: UserService, password: str) -> bool:
    try:
        accounts.issue_token("admin", password, "here")
    except Unauthenticated:
        return False
    return True


def test_a_changed_password_is_applied_and_reported(accounts: UserService, directory: DataDirectory) -> None:
    """It used to be ignored. Expects the old password and its token to be refused."""
    assert ensure_first_user(accounts, directory, "admin", FIRST) == ""
    token = accounts.issue_token("admin", FIRST, "here").secret
    assert ensure_first_user(accounts, directory, "admin", FIRST) == ""
    assert accounts.authenticate(token)
    assert ensure_first_user(accounts, directory, "admin", SECOND) == CHANGED
    assert lets_in(accounts, SECOND)
    assert not lets_in(accounts, FIRST)
    with pytest.raises(Unauthenticated):
        accounts.authenticate(token)


def test_a_given_password_replaces_a_generated_one(accounts: UserService, directory: DataDirectory) -> None:
    """Expects the generated one to be removed from the file, where `make demo` would find it."""
    assert "generated" in ensure_first_user(accounts, directory, "admin", "")
    assert ensure_first_user(accounts, directory, "admin", "") == ""
    assert lets_in(accounts, (read_json(directory.admin_file) or {})["password"])
    assert ensure_first_user(accounts, directory, "admin", FIRST) == CHANGED
    assert "password" not in (read_json(directory.admin_file) or {})
    assert FIRST not in directory.admin_file.read_text()


def test_a_password_changed_in_the_service_is_kept(accounts: UserService, directory: DataDirectory) -> None:
    """The variable is still as at the last start: it must not undo what a person did since."""
    ensure_first_user(accounts, directory, "admin", FIRST)
    accounts.change("admin", password=OWN)
    assert ensure_first_user(accounts, directory, "admin", FIRST) == NOT_APPLIED
    assert lets_in(accounts, OWN)
    assert ensure_first_user(accounts, directory, "admin", SECOND) == CHANGED
    assert lets_in(accounts, SECOND)


@pytest.mark.parametrize(
    ("username", "password", "variable"),
    [("admin", "short", "ADMIN_PASSWORD"), ("a b", "", "ADMIN_USERNAME"), ("me", "", "ADMIN_USERNAME")],
)
def test_an_invalid_user_is_refused_at_the_start(username: str, password: str, variable: str) -> None:
    """Expects the variable's name, before anything is started."""
    with pytest.raises(ValueError, match=f"^{variable}: must "):
        check_first_user(username, password)
