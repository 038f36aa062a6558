"""The peer of the API: Django REST framework on PostgreSQL behind gunicorn, by a script from outside this repository.

API_PEER names the script. It takes `prepare`, which makes 10,000 clients and prints a token, and is a module with a
WSGI `application`. Packages and PostgreSQL are those of the other peer (benchmarks/peer.py), started and ended here.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import requests

from benchmarks import api, peer
from benchmarks.api import Request
from benchmarks.main_job import cpu

WORKERS, THREADS = 2, 4
_BOUND = 60.0  # seconds
_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class ApiPeer:
    """A running server with a token."""

    url: str
    authorization: str
    servers: tuple[psutil.Process, ...]  # gunicorn and PostgreSQL, whose children do the work

    def cpu(self) -> float:
        """Seconds of CPU time that it has used, including its database."""
        return cpu(*(one for server in self.servers for one in (server, *server.children(recursive=True))))

    def calls(self) -> dict[str, Callable[[int], Request]]:
        """The calls, by the names of our own; each makes the n-th request of its kind."""
        headers = {"Authorization": self.authorization}
        page = requests.get(f"{self.url}/api/clients/?limit=50", headers=headers, timeout=_TIMEOUT).json()
        client_ids = itertools.cycle([row["id"] for row in page["results"]])
        number, order = api.new_numbers(), api.order_for_tomorrow()

        def client(n: int) -> dict[str, str]:
            return {"phone_number": number(n), "operator": "000", "tag": "bench"}

        return {
            "read a client": lambda _: ("GET", f"/api/clients/{next(client_ids)}/", None),
            "create a client": lambda n: ("POST", "/api/clients/", client(n)),
            "list 50 clients": lambda _: ("GET", "/api/clients/?limit=50", None),
            "order a mailing": lambda _: ("POST", "/api/mailing/", order),
        }


def missing() -> str:
    """Why there is no peer, "" if there is one."""
    script, python = os.environ.get("API_PEER", ""), os.environ.get("PEER_PYTHON", "")
    if not script or not Path(script).is_file():
        return "API_PEER names no file: give the script of the peer, API_PEER=path/to/django_api.py"
    if not python or not Path(python).with_name("gunicorn").is_file():
        return "PEER_PYTHON names no Python with the packages of requirements-peer.txt"
    if peer.postgres_programs() is None:
        return "PostgreSQL is not installed: on Debian, apt install postgresql"
    return ""


@contextmanager
def running(directory: Path) -> Iterator[ApiPeer]:
    """Run the peer with its database, whose data is in the directory. Raises RuntimeError if it does not answer."""
    script, python = Path(os.environ["API_PEER"]).resolve(), Path(os.environ["PEER_PYTHON"]).absolute()
    with peer.postgresql(directory / "postgresql") as database:
        environ = {**os.environ, "PEER_DSN": database, "PYTHONPATH": str(script.parent)}
        prepare = [str(python), str(script), "prepare"]
        said = subprocess.run(prepare, env=environ, check=True, timeout=_BOUND, capture_output=True, text=True).stdout
        port = peer.free_port()
        command = [str(python.with_name("gunicorn")), f"--workers={WORKERS}", f"--threads={THREADS}"]
        command += ["--worker-class=gthread", f"--bind=127.0.0.1:{port}", f"{script.stem}:application"]
        process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            postmaster = int((directory / "postgresql" / "postmaster.pid").read_text(encoding="ascii").split()[0])
            servers = psutil.Process(process.pid), psutil.Process(postmaster)
            answers = ApiPeer(f"http://127.0.0.1:{port}", f"Token {said.split()[-1]}", servers)
            _await(answers)
            yield answers
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=_BOUND)


def measure(answers: ApiPeer, make: Callable[[int], Request], count: int) -> dict[str, float]:
    """Make `count` requests. Returns figures with the CPU time of one in milliseconds."""
    before = answers.cpu()
    timed = asdict(api.measure(answers.url, answers.authorization, make, count))
    return timed | {"cpu_ms": round(1000 * (answers.cpu() - before) / count, 2)}


def _await(answers: ApiPeer) -> None:
    deadline = time.monotonic() + _BOUND
    while time.monotonic() < deadline:
        try:
            headers = {"Authorization": answers.authorization}
            requests.get(f"{answers.url}/api/clients/?limit=1", headers=headers, timeout=_TIMEOUT).raise_for_status()
        except requests.RequestException:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the API's peer does not answer")
