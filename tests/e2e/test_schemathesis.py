"""The running service against its own description: requests made from the schema, and broken on purpose."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.local_run import ApiCaller, LocalRun

# What a schema cannot say: that a zone exists, that a cursor was made by this list, that `until` differs from `from`,
# that the old password is right, what the first line of a CSV file holds.
NOT_IN_A_SCHEMA = "positive_data_acceptance"
# Schemathesis uses names and ids that it has seen: with these it would revoke its own token or change its own password,
# and everything after that would be refused. Other tests are about them.
SIGN_OUT = ("revoke_this_token", "revoke_own_token", "revoke_own_tokens", "revoke_users_tokens")
SIGN_OUT += ("change_user", "replace_user")


@pytest.mark.long
@pytest.mark.timeout(900)  # four minutes alone, eight beside other work
@pytest.mark.proof
def test_the_service_answers_as_described(api: ApiCaller, run: LocalRun) -> None:
    """Expects every check to hold for every operation: no 500; only statuses, types and bodies that are described; a
    refusal of what the schema forbids, and of requests without a token; and the token to be good at the end."""
    token = api._session.headers["Authorization"]
    command = [
        Path(sys.executable).with_name("schemathesis"),
        *("run", f"{run.url}/api/schema/", "--header", f"Authorization: {token!s}"),
        *("--seed", "1", "--max-examples", "10", "--exclude-checks", NOT_IN_A_SCHEMA),
        *(option for name in SIGN_OUT for option in ("--exclude-operation-id", name)),
        *("--phases", "examples,coverage,fuzzing", "--no-color"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=840, check=False, cwd=run.data_dir)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert api.call("GET", "/api/users/me/")["username"] == "admin"  # it was signed in to the end
