"""The package deployed into a MiniStack process, which notes what each function asks for."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from infra.deploy import stack_name
from tests.contract.packaged import Permission
from tests.support.deployment import (
    IMPATIENT,
    STAGE,
    Deployment,
    functions_run_on,
    isolated,
    made_package,
    make_impatient,
)
from tests.support.local_run import BOUND, ROOT, wait_until

__all__ = ["IMPATIENT", "STAGE", "DeployedRun", "deployed_run", "free_port"]


class DeployedRun(Deployment):
    """One MiniStack on a free port, with the stack of one stage."""

    def __init__(self, directory: Path, shared: Path, gateway_url: str) -> None:
        self.directory = directory
        self._shared = shared
        port, python = free_port(), functions_run_on()[1]
        super().__init__(f"http://127.0.0.1:{port}", directory / "dist", gateway_url)
        self._calls = directory / "calls.json"
        self._log = (directory / "ministack.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.emulated_account", str(port), str(self._calls), python],
            cwd=ROOT,
            env=isolated(TMPDIR=str(directory)),
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def ready(self) -> DeployedRun:
        """Deploy the package; its functions have the settings of IMPATIENT."""
        made_package(self._shared, self.package)
        self.change_template(make_impatient)
        wait_until(self._answers)
        self.deploy()
        return self

    def used(self) -> dict[str, set[Permission]]:
        """Which permission each function needed so far, by its name in app.py."""
        noted = json.loads(self._calls.read_text(encoding="utf-8")) if self._calls.exists() else {}
        prefix = f"{stack_name(STAGE)}-"
        return {name.removeprefix(prefix): {(one, two) for one, two in used} for name, used in noted.items()}

    def end(self) -> None:
        """End MiniStack, and with it the functions."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(BOUND)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.directory / "ministack.log").read_text()[-2000:]
        try:
            return requests.get(f"{self.endpoint}/_ministack/health", timeout=5).ok
        except requests.RequestException:
            return False


@contextmanager
def deployed_run(directory: Path, shared: Path, gateway_url: str) -> Iterator[DeployedRun]:
    """A deployed service that sends to `gateway_url`; ended, with all that it wrote, when it is left."""
    run = DeployedRun(directory, shared, gateway_url)
    try:
        yield run.ready()
    finally:
        run.end()
        shutil.rmtree(directory / "dist", ignore_errors=True)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
