"""Programs that tests start and Python does not bring along; `make programs` installs them on Debian and Ubuntu."""

from __future__ import annotations

import shutil
import subprocess


def program(name: str) -> str:
    """Where a program is; fails where it is not installed, rather than passing without a test."""
    found = shutil.which(name)
    assert found, f"{name} is not installed, and this test needs it: make programs (as root, on Debian or Ubuntu)"
    return found


def compose() -> list[str]:
    """The command of Docker's Compose, as a plugin or as a program of its own; neither needs an engine here."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [docker, "compose"]
    return [program("docker-compose")]
