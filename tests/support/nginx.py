"""A real nginx with the configuration of infra/compose, in front of an emulator's API."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from infra.compose.__main__ import proxy_configuration
from tests.support.deployed_run import free_port
from tests.support.local_run import BOUND, wait_until
from tests.support.programs import program

_LISTEN = "listen 8000;"


@contextmanager
def proxy_to(api_url: str, directory: Path) -> Iterator[str]:
    """The address of a proxy in front of the API at `api_url`."""
    port = free_port()
    configuration = proxy_configuration(api_url)
    assert configuration.count(_LISTEN) == 1
    file = directory / "nginx.conf"
    file.write_text(configuration.replace(_LISTEN, f"listen 127.0.0.1:{port};"), encoding="utf-8")
    here = f"daemon off; pid {directory}/nginx.pid;"
    command = [program("nginx"), "-c", str(file), "-p", str(directory), "-g", here]
    log = directory / "nginx.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)

    def listens() -> bool:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            return requests.get(f"http://127.0.0.1:{port}/health", timeout=BOUND).status_code > 0
        except requests.ConnectionError:
            return False

    try:
        wait_until(listens)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(BOUND)
