"""The first user of a data directory: created at the first start; gets a changed ADMIN_PASSWORD."""

from __future__ import annotations

from chalicelib.domain.errors import Invalid
from chalicelib.domain.users import check_account
from chalicelib.services.passwords import hash_password, verify
from chalicelib.services.users import UserService
from infra.local.data_directory import DataDirectory, read_json, write_private

_APPLIED = "applied"  # the hash of the ADMIN_PASSWORD that was applied last
CHANGED = "password changed to ADMIN_PASSWORD, and signed out everywhere"
NOT_APPLIED = "ADMIN_PASSWORD is not applied: the password was changed in the service meanwhile; change it there"


def check_first_user(username: str, password: str) -> None:
    """Raises ValueError, with the variable's name, if the user is not allowed.

    The password "" means a generated one.
    """
    try:
        check_account(username, password or "one that is generated")
    except Invalid as error:
        raise ValueError("; ".join(f"ADMIN_{one.field.upper()}: {one.message}" for one in error.errors)) from error


def ensure_first_user(users: UserService, directory: DataDirectory, username: str, password: str) -> str:
    """Create the user if there is none with that name, and apply a password that differs from the last start's.

    Returns what to tell a person. A password that was changed in the service since then stays.
    """
    generated = users.ensure_first_user(username, password or None)
    if generated:
        write_private(directory.admin_file, {"username": username, "password": generated})
        return f"password {generated} (generated, shown only this once)"
    if not password:
        return ""
    known = read_json(directory.admin_file) or {}
    as_last_time = known.get("username") == username and verify(known.get(_APPLIED), password)
    if verify(users.get(username).password_hash, password):
        told = ""
    elif as_last_time:
        return NOT_APPLIED
    else:
        users.change(username, password=password)
        told = CHANGED
    if not as_last_time:
        write_private(directory.admin_file, {"username": username, _APPLIED: hash_password(password)})
    return told
