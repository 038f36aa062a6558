"""A real Prometheus that scrapes a real run with the configuration of infra/prometheus."""

from __future__ import annotations

import math
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.support.local_run import BOUND, ROOT, LocalRun, wait_until
from tests.support.programs import program

CONFIGURATION = ROOT / "infra" / "prometheus" / "prometheus.yml"
_LISTENING = re.compile(r'msg="Listening on" address=(\S+)')


class Prometheus:
    """One Prometheus on a free port of this machine."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes]) -> None:
        self.directory = directory
        self.process = process
        self.url = ""

    def await_ready(self) -> None:
        """Wait for its address and its first good scrape."""
        log = self.directory / "prometheus.log"

        def listening() -> bool:
            assert self.process.poll() is None, log.read_text("utf-8")
            found = _LISTENING.search(log.read_text("utf-8"))
            self.url = f"http://{found[1]}" if found else ""
            return bool(found)

        wait_until(listening)
        wait_until(self._is_ready)
        wait_until(lambda: [target["health"] for target in self.targets()] == ["up"])

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes, and how that went."""
        found: list[dict[str, Any]] = self._get("targets")["activeTargets"]
        return found

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now; fails if it is no expression."""
        found: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return found

    def values(self, expression: str, seconds: float) -> list[float]:
        """Every number that an expression has given in the last so many seconds, of all its series."""
        now = time.time()
        numbers = (float(value) for one in self.range(expression, now - seconds, now) for _, value in one["values"])
        return [number for number in numbers if math.isfinite(number)]

    def range(self, expression: str, begin: float, end: float) -> list[dict[str, Any]]:
        """The series that an expression gave in every second between two moments, in seconds since 1970."""
        data = self._get("query_range", query=expression, start=str(begin), end=str(end), step="1")
        found: list[dict[str, Any]] = data["result"]
        return found

    def _is_ready(self) -> bool:
        """Whether it answers questions: until then it says 503, and not in JSON."""
        with requests.Session() as session:
            session.trust_env = False
            return session.get(f"{self.url}/-/ready", timeout=BOUND).status_code == 200

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=BOUND).json()
        assert answer["status"] == "success", answer
        data: dict[str, Any] = answer["data"]
        return data


@contextmanager
def prometheus_of(run: LocalRun, token: str, directory: Path, every: int = 3) -> Iterator[Prometheus]:
    """Scrapes a run every so many seconds, each of which may take as long; with the given bearer token."""
    configuration = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    configuration["global"] |= {"scrape_interval": f"{every}s", "scrape_timeout": f"{every}s"}
    directory.mkdir()
    (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    target = {"targets": [f"127.0.0.1:{run.port}"], "labels": {"stage": "test", "ui": run.url}}
    (directory / "targets.yml").write_text(yaml.safe_dump([target]), encoding="utf-8")
    (directory / "token").write_text(token, encoding="utf-8")
    command = [
        program("prometheus"),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    with (directory / "prometheus.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
    try:
        prometheus = Prometheus(directory, process)
        prometheus.await_ready()
        yield prometheus
    finally:
        process.terminate()
        process.wait(BOUND)
