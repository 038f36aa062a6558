"""The package deployed by `python -m infra.deploy` into a MiniStack process, and what a test does with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import boto3
import requests

from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from infra.deploy import stack_name
from infra.package import package, this_machine
from tests.contract.packaged import FUNCTION, Permission
from tests.support.local_run import BOUND, ROOT, services_at, wait_until

STAGE = "test"
PROCESSES = 4  # of each function that a queue feeds
# What a test has no time to wait for.
IMPATIENT = {"GATEWAY_READ_TIMEOUT": "1", "MAX_ATTEMPTS": "3", "RETRY_BASE": "1"}


class DeployedRun:
    """One MiniStack on a free port, with the stack of one stage."""

    def __init__(self, directory: Path, gateway_url: str) -> None:
        self.directory = directory
        self.package = directory / "dist"
        self._gateway_url = gateway_url
        self._port = free_port()
        self._calls = directory / "calls.json"
        self._log = (directory / "ministack.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.emulated_account", str(self._port), str(self._calls)],
            cwd=ROOT,
            env=self._environment(TMPDIR=str(directory)),
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self.url = ""
        self.password = ""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def ready(self) -> DeployedRun:
        """Make the package and deploy it; its functions have the settings of IMPATIENT."""
        package(STAGE, self.package, this_machine())
        self.change_template(self._adapt)
        wait_until(self._answers)
        lines = self.deploy()
        self.url = next(line.split()[1] for line in lines if line.startswith("Ready: ")).rstrip("/")
        self.password = next(line.split("password ")[1].split()[0] for line in lines if "password " in line)
        return self

    def deploy(self) -> list[str]:
        """What `python -m infra.deploy` says; fails where it does."""
        done = subprocess.run(
            [sys.executable, "-m", "infra.deploy", "--stage", STAGE, "--package", str(self.package)],
            cwd=ROOT,
            env=self._environment(
                AWS_ENDPOINT_URL=self.endpoint, GATEWAY_URL=self._gateway_url, GATEWAY_TOKEN="the-token"
            ),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout.splitlines()

    def change_template(self, change: Any) -> None:
        """Let `change` have the package's template before it is deployed."""
        file = self.package / "template.json"
        template = json.loads(file.read_text(encoding="utf-8"))
        change(template)
        file.write_text(json.dumps(template), encoding="utf-8")

    def services(self) -> AbstractContextManager[Services]:
        """The service's own code over the stack's tables, to prepare much data or to look at a ledger."""
        return services_at(self.endpoint, Settings(resource_prefix=stack_name(STAGE), gateway_url="sandbox:"))

    def client(self, service: str) -> Any:
        """A boto3 client of the emulated account."""
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        return boto3.client(service, endpoint_url=self.endpoint, **keys)

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

    def _adapt(self, template: dict[str, Any]) -> None:
        """Each function is a process here, with the whole zip unpacked: as many as on AWS take minutes to start."""
        for resource in template["Resources"].values():
            if resource["Type"] == FUNCTION:
                resource["Properties"]["Environment"]["Variables"] |= IMPATIENT
                for source in resource["Properties"].get("Events", {}).values():
                    if source["Type"] == "SQS":
                        source["Properties"]["ScalingConfig"]["MaximumConcurrency"] = PROCESSES

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.directory / "ministack.log").read_text()[-2000:]
        try:
            return requests.get(f"{self.endpoint}/_ministack/health", timeout=5).ok
        except requests.RequestException:
            return False

    def _environment(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        isolated = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        return {**kept, **isolated, **keys, **more}


@contextmanager
def deployed_run(directory: Path, gateway_url: str) -> Iterator[DeployedRun]:
    """A deployed service that sends to `gateway_url`; ended, with all that it wrote, when it is left."""
    run = DeployedRun(directory, gateway_url)
    try:
        yield run.ready()
    finally:
        run.end()
        shutil.rmtree(directory / "dist", ignore_errors=True)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
