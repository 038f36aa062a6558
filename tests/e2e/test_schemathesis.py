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
SIGNS_OUT = "revoke_this_token"


@pytest.mark.long
@pytest.mark.proof
def test_the_service_answers_as_described(api: ApiCaller, run: LocalRun) -> None:
    """Expects every check to hold for every operation: no 500; only statuses, types and bodies that are described; a
    refusal of what the schema forbids, and of requests without a token."""
    token = api._session.headers["Authorization"]
    command = [
        Path(sys.executable).with_name("schemathesis"),
        *("run", f"{run.url}/api/schema/", "--header", f"Authorization: {token!s}"),
        *("--seed", "1", "--max-examples", "10", "--exclude-checks", NOT_IN_A_SCHEMA),
        *("--exclude-operation-id", SIGNS_OUT, "--phases", "examples,coverage,fuzzing", "--no-color"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False, cwd=run.data_dir)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
