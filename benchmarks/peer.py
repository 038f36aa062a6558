"""The peer: the same main job on Celery, Redis and PostgreSQL, by a script outside of this repository.

PEER names the script. It takes `bench --messages N --latency-ms L --workers W --pool P` and prints a line of JSON. Its
packages are those of requirements-peer.txt (PEER_PYTHON, which `make bench` prepares), its engines Debian's postgresql
and redis-server: started here, on loopback and free ports, with data of their own, and ended here.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gateway import Gateway

POOLS = ("threads", "gevent")
WORKERS = (1, 2)
FASTEST = ("threads", 2)  # fastest of all that were measured on two cores
_BOUND = 60.0  # seconds
_LIMIT = 90  # seconds that a mailing may take


@dataclass(frozen=True, slots=True)
class Peer:
    """A script with its engines running."""

    script: Path
    python: Path
    environ: dict[str, str]

    def send(self, target: Gateway, latency_ms: float, count: int, pool: str, workers: int) -> dict[str, Any] | None:
        """Send one mailing. Returns the peer's own line, None if it does not finish."""
        environ = {**os.environ, **self.environ, "GATEWAY_URL": target.url, "GATEWAY_CONTROL_URL": target.control_url}
        options = {"messages": count, "latency-ms": latency_ms, "pool": pool, "workers": workers, "limit-s": _LIMIT}
        command = [str(self.python), str(self.script), "bench"]
        command += [f"--{name}={value}" for name, value in options.items()]
        # A session of its own, so that its workers can be ended with it.
        process = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )
        try:
            said, _ = process.communicate(timeout=_LIMIT + _BOUND)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None
        if process.returncode or not said.strip():
            return None
        line: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
        return None if line["unfinished"] else line


def missing() -> str:
    """Why there is no peer, "" if there is one."""
    script, python = os.environ.get("PEER", ""), os.environ.get("PEER_PYTHON", "")
    if not script or not Path(script).is_file():
        return "PEER names no file: give the script of the peer, PEER=path/to/celery_peer.py"
    if not python or not Path(python).is_file():
        return "PEER_PYTHON names no Python with the packages of requirements-peer.txt"
    if postgres_programs() is None or shutil.which("redis-server") is None:
        return "the peer's engines are not installed: on Debian, apt install postgresql redis-server"
    return ""


@contextmanager
def running(directory: Path) -> Iterator[Peer]:
    """The peer with its engines, whose data are in the directory."""
    with ExitStack() as stack:
        database = stack.enter_context(postgresql(directory / "postgresql"))
        broker = stack.enter_context(_redis(directory))
        environ = {"PEER_DSN": database, "PEER_BROKER": broker, "C_FORCE_ROOT": "1"}
        yield Peer(Path(os.environ["PEER"]).resolve(), Path(os.environ["PEER_PYTHON"]).absolute(), environ)


def postgres_programs() -> Path | None:
    """The directory of PostgreSQL's programs, which Debian keeps out of the PATH."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return places[-1] if places else None


@contextmanager
def postgresql(directory: Path) -> Iterator[str]:
    """A PostgreSQL of its own with its data in the directory, and its address."""
    programs = postgres_programs() or Path()
    port = free_port()
    directory.mkdir()
    # PostgreSQL refuses to run as root.
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        for parent in (directory, directory.parent):
            os.chown(parent, account.pw_uid, account.pw_gid)
    _run([str(programs / "initdb"), "-D", str(directory), "-A", "trust", "-U", "postgres"], user, directory)
    options = f"-p {port} -h 127.0.0.1 -k {directory}"
    control = [str(programs / "pg_ctl"), "-D", str(directory), "-w"]
    _run([*control, "-o", options, "-l", str(directory / "log"), "start"], user, directory)
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        _run([*control, "-m", "fast", "stop"], user, directory)


@contextmanager
def _redis(directory: Path) -> Iterator[str]:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _BOUND
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if time.monotonic() > deadline:
                raise RuntimeError("redis-server does not answer")
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/5"
    finally:
        process.terminate()
        process.wait(timeout=_BOUND)


def _run(command: list[str], user: dict[str, Any], directory: Path) -> None:
    # Into a file: the server keeps the output of who started it open.
    with (directory.parent / "postgresql.log").open("a", encoding="utf-8") as log:
        subprocess.run(command, check=True, timeout=_BOUND, stdout=log, stderr=log, cwd="/", **user)


def free_port() -> int:
    """A free port on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
