"""`make history`: one command shows everything about a mailing, a message or a client, in order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import BOUND, ROOT, ApiCaller, LocalRun
from tests.support.orders import add_clients, order, wait_for_end


def history_of(data_dir: Path, about: str) -> subprocess.CompletedProcess[str]:
    """The command's output."""
    command = [sys.executable, "-m", "infra.local.history", about]
    environ = {"DATA_DIR": str(data_dir), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=BOUND, check=False)


def steps(output: str) -> list[str]:
    """The events, line by line; fails unless they are in order."""
    lines = output.splitlines()
    assert lines == sorted(lines, key=lambda line: line[:24])
    return [line[26:].strip() for line in lines]


@pytest.fixture
def sent(run: LocalRun, api: ApiCaller, gateway: FaultyGateway) -> dict[str, str]:
    """Ids: a mailing to three clients, paused before it began, and one of its messages, sent at the second attempt."""
    gateway.behave = lambda gateway_id, nth: "503" if nth == 1 else "ok"
    add_clients(run, 3, tag="three")
    mailing_id = order(api, "three", starts_in=3)
    for action in ("pause", "resume"):
        api.call("POST", f"/api/mailing/{mailing_id}/{action}")
    wait_for_end(api, mailing_id)
    row = api.rows("/api/messages/", mailing=mailing_id)[0]
    return {"mailing": mailing_id, "message": row["id"], "client": row["client"]}


def test_the_history_of_a_mailing_a_message_and_a_client_is_shown(run: LocalRun, sent: dict[str, str]) -> None:
    """Requests and changes from the log, attempts from ledger and log, each once; then the same from the log alone.

    What is not found is reported, with a reason and an exit code.
    """
    told = {kind: history_of(run.data_dir, about) for kind, about in sent.items()}
    assert {done.returncode for done in told.values()} == {0}
    mailing = steps(told["mailing"].stdout)
    wanted = ["request POST /api/mailing", "request POST /api/mailing/{mailing_id}/pause", "mailing paused"]
    wanted += ["mailing launched", "shards dispatched", "attempt 1", "attempt 2", "mailing finished"]
    words = [" ".join(step.split()) for step in mailing]
    for one in wanted:
        assert [step for step in words if step.startswith(one)], one
    assert len([step for step in words if step.startswith("attempt")]) == 6
    message = [" ".join(step.split()) for step in steps(told["message"].stdout) if sent["message"] in step]
    assert "failed" in message[1]
    assert "HTTP 503" in message[1]
    assert "accepted" in message[2]
    assert [step.split()[0] for step in message] == ["written", "attempt", "attempt", "message"]
    assert any("attempt 2" in step for step in steps(told["client"].stdout))
    unknown = history_of(run.data_dir, "0" * 26)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "404" in unknown.stderr
    run.end()
    alone = history_of(run.data_dir, sent["message"])
    assert alone.returncode == 0
    assert "from the log alone" in alone.stderr
    assert len([step for step in steps(alone.stdout) if step.startswith("attempt")]) == 2
