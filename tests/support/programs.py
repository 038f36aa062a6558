"""Programs that tests start and Python does not bring along; `make programs` installs them on Debian and Ubuntu."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def program(name: str, *others: str) -> str:
    """Where a program is, or the first that is there of several that serve.

    Without it the test says that it was not run; in CI, which installs all of them, it fails.
    """
    for one in (name, *others):
        if found := shutil.which(one):
            return found
    reason = f"{name} is not installed, and this test needs it: make programs test (as root, on Debian or Ubuntu)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def compose() -> list[str]:
    """The command of Docker's Compose, as a plugin or as a program of its own; neither needs an engine here."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [docker, "compose"]
    return [program("docker-compose")]
