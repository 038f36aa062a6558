"""The sandbox gateway as a process: it answers on loopback and ends with the process that started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests

pytestmark = pytest.mark.enable_socket


def test_the_process_answers_and_ends_with_its_parent() -> None:
    """Expects a real call to be accepted, and the end of standard input to end the process."""
    command = [sys.executable, "-m", "infra.local.sandbox_gateway"]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        base = f"http://127.0.0.1:{int(process.stdout.readline())}"
        body = {"id": 5, "phone": 79161234567, "text": "Hello"}
        answer = requests.post(f"{base}/v1/send/5", json=body, headers={"Authorization": "Bearer x"}, timeout=5)
        assert (answer.status_code, answer.json()["code"]) == (200, 0)
        assert requests.get(base, timeout=5).json()["accepted"] == 1
        process.stdin.close()
        assert process.wait(10) == 0
