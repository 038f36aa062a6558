"""`make run` as people see it: it becomes ready, keeps its directory to itself, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from infra.local.data_directory import DataDirectory
from infra.local.emulator_access import Access
from tests.support.local_run import BOUND, ApiCaller, LocalRun, local_runs, wait_until

pytestmark = [pytest.mark.enable_socket, pytest.mark.proof]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., LocalRun]]:
    """Starts runs, and ends any that are left by their own pids."""
    with local_runs(tmp_path) as started:
        yield started


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def _port_in(text: str) -> int:
    return int(text.split("://127.0.0.1:", 1)[1].split("/")[0].split()[0])


def test_a_run_becomes_ready_and_leaves_nothing_behind(start: Callable[..., LocalRun]) -> None:
    """Expects the addresses, a password shown once, an answer over HTTP, and a clean end with code 0."""
    run = start(API_PROCESSES="2").ready()
    assert run.lines[-1] == f"Ready: http://127.0.0.1:{run.port}/"
    assert run.told("Admin") == f"http://127.0.0.1:{run.port}/admin/"
    password = run.told("User").split()[2]
    admin = run.data_dir / "admin.json"
    assert json.loads(admin.read_text())["password"] == password
    assert admin.stat().st_mode & 0o077 == 0
    assert json.loads((run.data_dir / "service.json").read_text())["url"] == f"http://127.0.0.1:{run.port}"
    connection = http.client.HTTPConnection("127.0.0.1", run.port, timeout=10)
    connection.request("GET", "/no/such/thing")
    assert connection.getresponse().status == 404
    ports = [run.port, _port_in(run.told("Gateway")), _port_in(run.told("Emulator"))]
    code, out, err = run.end()
    assert (code, out, err) == (0, "Stopping ...\n", "")
    assert all(_refuses(port) for port in ports)
    assert not (run.data_dir / "service.json").exists()
    assert "Traceback" not in (run.data_dir / "service.log").read_text()


def test_a_second_start_shows_no_password(start: Callable[..., LocalRun]) -> None:
    """Expects the data of the first run, so no new user; how long it takes is measured by `make bench`."""
    assert start().ready().end(signal.SIGTERM)[0] == 0
    second = start().ready()
    assert second.told("User") == "admin"


def test_nobody_else_can_read_the_files_of_a_run(start: Callable[..., LocalRun], tmp_path: Path) -> None:
    """Expects a directory that was open to everybody to be closed, with all files in it, and a changed
    ADMIN_PASSWORD to be reported."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    (tmp_path / "data" / "service.log").write_text("earlier\n")
    (tmp_path / "data" / "service.log").chmod(0o666)
    assert start().ready().end()[0] == 0
    second = start(ADMIN_PASSWORD="another password").ready()
    assert second.told("User").startswith("admin, password changed")
    assert second.end()[0] == 0
    open_ones = [path for path in (tmp_path / "data").rglob("*") if path.stat().st_mode & 0o077]
    assert (open_ones, (tmp_path / "data").stat().st_mode & 0o777) == ([], 0o700)


def test_a_directory_in_use_is_refused(start: Callable[..., LocalRun]) -> None:
    """Expects one line that names the other run, and that run to go on."""
    first = start().ready()
    second = start()
    out, err = second.process.communicate(timeout=BOUND)
    assert (second.process.returncode, out) == (1, "")
    assert err.count("\n") == 1
    assert f"pid {first.process.pid}" in err
    assert not _refuses(first.port)
    assert not _refuses(_port_in(first.told("Emulator")))


def test_a_taken_port_is_refused_with_nothing_left(start: Callable[..., LocalRun]) -> None:
    """Expects one line that names the port, and no emulator."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = start(PORT=str(port))
        out, err = run.process.communicate(timeout=BOUND)
    assert (run.process.returncode, out) == (1, "")
    assert err.startswith(f"make run: PORT {port} ")
    assert err.count("\n") == 1
    assert not DataDirectory(run.data_dir).emulator_lock.held()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("API_PROCESSES", "0"),
        ("API_PROCESSES", "many"),
        ("SENDER_PROCESSES", "0"),
        ("MAX_ATTEMPTS", "many"),
        ("GATEWAY_READ_TIMEOUT", "60"),
        ("GATEWAY_URL", "http://"),
        ("AWS_ENDPOINT_URL", "localhost:4566"),
        ("ADMIN_PASSWORD", "short"),
        ("SANDBOX_LATENCY_MS", "soon"),
    ],
)
def test_an_invalid_setting_is_named(start: Callable[..., LocalRun], name: str, value: str) -> None:
    """Expects one line with the variable."""
    run = start(**{name: value})
    _, err = run.process.communicate(timeout=BOUND)
    assert (run.process.returncode, err.count("\n")) == (1, 1)
    assert name in err


def test_a_killed_run_leaves_only_the_emulator_for_the_next_one(start: Callable[..., LocalRun]) -> None:
    """Expects API and sandbox gateway to end with the run, and the next run to use the same emulator."""
    first = start().ready()
    first.end(signal.SIGKILL)
    wait_until(lambda: _refuses(first.port))
    wait_until(lambda: _refuses(_port_in(first.told("Gateway"))))
    second = start().ready()
    assert second.told("Emulator") == first.told("Emulator")
    assert second.end()[0] == 0
    assert _refuses(_port_in(first.told("Emulator")))


def _fronts(run: LocalRun) -> set[int]:
    """The living processes that answer HTTP."""
    found = set()
    for child in psutil.Process(run.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # of one that is dead, too
            if "infra.local.front" in child.cmdline():
                found.add(child.pid)
    return found


def test_a_killed_front_fails_no_new_connection(start: Callable[..., LocalRun]) -> None:
    """Expects every request over a connection of its own to be answered by those that are left, and another front to
    start."""
    run = start(API_PROCESSES="2").ready()
    before = _fronts(run)
    assert len(before) == 2
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    for _ in range(50):
        connection = http.client.HTTPConnection("127.0.0.1", run.port, timeout=10)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        connection.close()
    wait_until(lambda: len(_fronts(run) - {killed}) == 2)
    assert run.end()[0] == 0


def test_a_caller_without_a_front_waits_for_one(start: Callable[..., LocalRun]) -> None:
    """Expects the only front, once killed, to be started again, and to answer those who connected meanwhile."""
    run = start(API_PROCESSES="1").ready()
    (killed,) = _fronts(run)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: killed not in _fronts(run))
    connection = http.client.HTTPConnection("127.0.0.1", run.port, timeout=BOUND)
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200
    assert _fronts(run) != {killed}


def test_every_front_reports_the_trouble_that_the_run_has_seen(start: Callable[..., LocalRun]) -> None:
    """Expects /health/ready to be the same whichever front answers, even one that was started later."""
    run = start(API_PROCESSES="3").ready()
    api = ApiCaller(run)
    emulator = int(DataDirectory(run.data_dir).emulator_lock.holder())
    resource.prlimit(emulator, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    api.request("POST", "/api/clients/", {"phone_number": "+79161234567"})
    wait_until(lambda: _ready(run) == {503})
    os.kill(killed := min(_fronts(run)), signal.SIGKILL)
    wait_until(lambda: len(_fronts(run) - {killed}) == 3)
    wait_until(lambda: len(_answering(run)) == 3)
    assert _ready(run) == {503}
    run.end()


def _answering(run: LocalRun) -> set[int]:
    """The fronts that accept connections, which they do in a thread that starts once they know everything."""
    return {
        pid
        for pid in _fronts(run)
        if any(line.status == "LISTEN" for line in psutil.Process(pid).net_connections("tcp"))
        and psutil.Process(pid).num_threads() > 1
    }


def _ready(run: LocalRun) -> set[int]:
    """The answers of /health/ready, each over a connection of its own."""
    found = set()
    for _ in range(12):
        connection = http.client.HTTPConnection("127.0.0.1", run.port, timeout=10)
        connection.request("GET", "/health/ready")
        found.add(connection.getresponse().status)
        connection.close()
    return found


def test_a_killed_emulator_comes_back_on_its_port(start: Callable[..., LocalRun]) -> None:
    """Expects the run to start it again, so that the service finds it where it was."""
    run = start().ready()
    lock = DataDirectory(run.data_dir).emulator_lock
    first = lock.holder()
    os.kill(int(first), signal.SIGKILL)
    wait_until(lambda: lock.held() and lock.holder() not in {first, "unknown"})
    wait_until(lambda: not _refuses(_port_in(run.told("Emulator"))))
    code, out, _ = run.end()
    assert code == 0
    assert "No data was lost" in out


def test_a_full_disk_is_reported_everywhere(start: Callable[..., LocalRun]) -> None:
    """Expects an order to be refused rather than lost; terminal, /health/ready and exit code to say so; and the next
    order to be accepted with room again."""
    run = start().ready()
    api = ApiCaller(run)
    emulator = int(DataDirectory(run.data_dir).emulator_lock.holder())
    limits = resource.prlimit(emulator, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    client = {"phone_number": "+79161234567"}
    assert api.request("POST", "/api/clients/", client).status_code == 503
    wait_until(lambda: api.request("GET", "/health/ready").status_code == 503)
    assert "File too large" in api.request("GET", "/health/ready").text
    assert api.rows("/api/clients/") == []
    resource.prlimit(emulator, resource.RLIMIT_FSIZE, limits)
    assert api.request("POST", "/api/clients/", client).status_code == 201
    wait_until(lambda: api.request("GET", "/health/ready").status_code == 200)
    resource.prlimit(emulator, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    code, out, _ = run.end()
    assert code == 1
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "Requests are refused",
        "There is room again. The service continues.",
        "Stopping ...",
        "There was no room to save everything. All acknowledged data is in the emulator's journal.",
    ]
    again = start().ready()
    assert len(ApiCaller(again, run.password).rows("/api/clients/")) == 1


def test_a_damaged_file_ends_the_start_with_one_line(start: Callable[..., LocalRun]) -> None:
    """Expects the file's name and what to do, exit code 1, and no new service that overwrites the rest."""
    first = start().ready()
    assert first.end()[0] == 0
    (damaged,) = (first.data_dir / "emulator").glob("snapshot-*.jsonl")
    damaged.write_bytes(damaged.read_bytes()[:-20])
    second = start()
    out, err = second.process.communicate(timeout=BOUND)
    assert (second.process.returncode, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"make run: {damaged} is damaged at byte ")
    assert "put a good copy in its place" in err


def test_two_runs_live_side_by_side(start: Callable[..., LocalRun]) -> None:
    """Expects other directories and ports to be independent."""
    runs = [start("a").ready(), start("b").ready()]
    assert len({run.told("Emulator") for run in runs}) == 2
    assert [run.end()[0] for run in runs] == [0, 0]


def test_a_given_emulator_and_gateway_are_used(start: Callable[..., LocalRun]) -> None:
    """Expects neither an emulator nor a sandbox of its own, and the given ones untouched at the end."""
    first = start("a").ready()
    emulator = first.told("Emulator").split()[0]
    given = {"AWS_ENDPOINT_URL": emulator, "GATEWAY_URL": "http://127.0.0.1:9", "ADMIN_USERNAME": "other"}
    Access.of(DataDirectory(first.data_dir)).put_into(given)
    second = start("b", **given).ready()
    assert second.told("Emulator").split()[0] == emulator
    assert second.told("Gateway") == "http://127.0.0.1:9"
    assert second.end()[0] == 0
    assert not _refuses(_port_in(emulator))
