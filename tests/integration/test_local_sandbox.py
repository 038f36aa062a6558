"""The sandbox gateway as a process: it answers on loopback and ends with its parent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

pytestmark = pytest.mark.enable_socket


def test_the_process_answers_and_ends_with_its_parent(tmp_path: Path) -> None:
    """Expects a real call to be accepted and logged, another site's page to get nothing, and the end of stdin to end
    it."""
    command = [sys.executable, "-m", "infra.local.sandbox_gateway"]
    root = Path(__file__).resolve().parents[2]
    environ = {**os.environ, "SANDBOX_LOG": str(tmp_path / "log")}
    with subprocess.Popen(command, cwd=root, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        base = f"http://127.0.0.1:{int(process.stdout.readline())}"
        body = {"id": 5, "phone": 79161234567, "text": "Hello"}
        answer = requests.post(f"{base}/v1/send/5", json=body, headers={"Authorization": "Bearer x"}, timeout=5)
        assert (answer.status_code, answer.json()["code"]) == (200, 0)
        assert requests.get(base, timeout=5).json()["accepted"] == 1
        assert [line.split()[1] for line in (tmp_path / "log").read_text().splitlines()] == ["5"]
        port = base.rpartition(":")[2]
        for header, value in (
            ("Host", "evil.example"),
            ("Host", f"evil.example:{port}"),
            ("Origin", "https://evil.example"),
            ("Origin", "null"),
            ("Sec-Fetch-Site", "cross-site"),
        ):
            refused = requests.get(base, headers={header: value}, timeout=5)
            assert (refused.status_code, "Hello" in refused.text) == (403, False), (header, value)
        # A person who opens it in their browser.
        opened = {"Host": f"localhost:{port}", "Sec-Fetch-Site": "none", "Cookie": "token=x"}
        assert requests.get(base, headers=opened, timeout=5).json()["accepted"] == 1
        process.stdin.close()
        assert process.wait(10) == 0
