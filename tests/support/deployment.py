"""The package deployed by `python -m infra.deploy` into an emulator that runs, and what a test does with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import boto3

from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from infra.deploy import stack_name
from infra.local.data_directory import FileLock
from infra.package import LAMBDA, architecture, package, this_machine
from infra.pythons import find_python
from infra.template import Target
from tests.contract.packaged import FUNCTION, QUEUE
from tests.support.local_run import ROOT, services_at

STAGE = "test"
PROCESSES = 2  # of each function that a queue feeds; LocalStack itself starts one
# Settings that make tests faster.
IMPATIENT = {"GATEWAY_READ_TIMEOUT": "1", "MAX_ATTEMPTS": "3", "RETRY_BASE": "1"}


class Deployment:
    """The stack of one stage in the emulator at `endpoint`; the package is in the directory `package`."""

    def __init__(self, endpoint: str, package: Path, gateway_url: str) -> None:
        self.endpoint = endpoint
        self.package = package
        self._gateway_url = gateway_url
        self.url = ""
        self.password = ""

    def deploy(self, **parameters: str) -> list[str]:
        """Run `python -m infra.deploy` with these variables. Returns its output; fails if it fails."""
        gateway = {"GATEWAY_URL": self._gateway_url, "GATEWAY_TOKEN": "the-token"}
        lines = self._run("infra.deploy", "--package", str(self.package), **gateway, **parameters)
        self.url = next(line.split()[1] for line in lines if line.startswith("Ready: ")).rstrip("/")
        for line in lines:
            if "password " in line:
                self.password = line.split("password ")[1].split()[0]
        return lines

    def rollback(self) -> list[str]:
        """Run `make rollback`. Returns its output; fails if it fails."""
        return self._run("infra.rollback", YES="1")

    def destroy(self) -> list[str]:
        """Run `make destroy`, keeping data. Returns its output."""
        return self._run("infra.destroy", YES="1")

    def change_template(self, change: Any) -> None:
        """Change the package's template before it is deployed."""
        file = self.package / "template.json"
        template = json.loads(file.read_text(encoding="utf-8"))
        change(template)
        file.write_text(json.dumps(template), encoding="utf-8")

    def services(self) -> AbstractContextManager[Services]:
        """The service's own code over the stack's tables, to prepare much data or to look at a ledger."""
        return services_at(self.endpoint, Settings(resource_prefix=stack_name(STAGE), gateway="sandbox"))

    def client(self, service: str, **credentials: str) -> Any:
        """A boto3 client of the emulated account, with its owner's credentials unless others are given."""
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        return boto3.client(service, endpoint_url=self.endpoint, **{**keys, **credentials})

    def _run(self, module: str, *arguments: str, **environ: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", module, "--stage", STAGE, *arguments],
            cwd=ROOT,
            env=isolated(AWS_ENDPOINT_URL=self.endpoint, **environ),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout.splitlines()


def functions_run_on() -> tuple[Target, str]:
    """What the package is made for, and the Python that runs it: Lambda's own if this machine has it, else the tests'.

    It has nothing but its own library: all else must be in the zip.
    """
    found = None if this_machine().python == LAMBDA.python else find_python(LAMBDA.python)
    if found:
        return Target(LAMBDA.python, architecture()), found
    return this_machine(), sys._base_executable  # type: ignore[attr-defined]


def made_package(shared: Path, directory: Path) -> None:
    """Put the package into `directory`. It is made once for all processes that look for it in `shared`."""
    lock, made = FileLock(shared / "package.lock"), shared / "package"
    assert lock.acquire(wait=240)
    try:
        if not (made / "template.json").exists():
            package(STAGE, made, functions_run_on()[0])
    finally:
        lock.release()
    shutil.copytree(made, directory)


def isolated(**more: str) -> dict[str, str]:
    """An environment with nothing of the person's own account."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    files = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    return {**kept, **files, **keys, **more}


def make_impatient(template: dict[str, Any]) -> None:
    """Let functions have the settings of IMPATIENT, and queues two of each at most.

    Each function is a process here: as many as on AWS take minutes to start. What a function that failed had in hand is
    shown again after a third of the time, which is still longer than a claim.
    """
    for resource in template["Resources"].values():
        if resource["Type"] == QUEUE and "VisibilityTimeout" in resource["Properties"]:
            resource["Properties"]["VisibilityTimeout"] //= 3
        if resource["Type"] == FUNCTION:
            resource["Properties"]["Environment"]["Variables"] |= IMPATIENT
            for source in resource["Properties"].get("Events", {}).values():
                if source["Type"] == "SQS":
                    source["Properties"]["ScalingConfig"]["MaximumConcurrency"] = PROCESSES
