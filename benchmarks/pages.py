"""How long the server takes for every page of the admin UI, with 100,000 clients on the embedded stack.

One browser requests every GET page, one after the other. Times are from the service's own log; the CPU time of service
and emulator is shown too, because other work on the machine does not affect it. Ends with exit code 1 if a page takes
more CPU time than the limit.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from benchmarks.main_job import Stack, cpu, running
from chalicelib import admin
from infra.local.data_directory import read_json

BOUND_MS = 100
_TIMES = 20  # the first of them, in which caches fill, counts as all others
_POLL = 0.2
_PATIENCE = 900.0


def fill(stack: Stack, clients: int, messages: int) -> dict[str, str]:
    """Create clients, a finished mailing to some of them and a future one.

    Returns the parameters for paths of pages.
    """
    stack.add_clients(clients)
    rows = "\n".join(f"+78{number:09d},mailed,Europe/Moscow" for number in range(messages))
    text = f"phone_number,tag,timezone\n{rows}\nnobody,x,y\n".encode()
    imported = stack.api.call("POST", "/api/clients/imports", data=text, headers={"Content-Type": "text/csv"})
    _wait(lambda: stack.api.call("GET", f"/api/clients/imports/{imported['id']}")["status"] == "finished")
    mailing = _order(stack, "mailed", timedelta(0))
    _wait(lambda: stack.api.call("GET", f"/api/mailing/{mailing}")["status"] == "finished")
    _order(stack, "bench", timedelta(days=1))
    message = stack.api.call("GET", f"/api/messages?mailing={mailing}&limit=1")["rows"][0]["id"]
    return {
        "client_id": stack.api.call("POST", "/api/clients/lookup", json={"phone_number": "+78000000000"})["id"],
        "mailing_id": mailing,
        "message_id": message,
        "about": mailing,
        "import_id": imported["id"],
        "username": "admin",
    }


def _order(stack: Stack, tag: str, later: timedelta) -> str:
    starts = datetime.now(UTC) + later
    times = {"start_time": starts.isoformat(), "end_time": (starts + timedelta(hours=9)).isoformat()}
    return str(stack.api.call("POST", "/api/mailing", json={"text": "Hello", "clients": {"tag": tag}, **times})["id"])


def _wait(condition: Any) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("waited in vain")
        time.sleep(_POLL)


def patterns() -> list[str]:
    """The routes of all pages."""
    routes = [route for pages in admin.PAGES for route in pages.routes]
    found = [route.path for route in routes if route.method == "GET" and "/static/" not in route.path]
    # A file of a thousand rows is no page, and neither is what is not there.
    return [path for path in found if not path.endswith(("/export", "+}"))]


def visit(stack: Stack, parameters: Mapping[str, str]) -> dict[str, float]:
    """Request every page several times. Returns the milliseconds of CPU time of each."""
    service = read_json(stack.directory.service_file) or {}
    known = read_json(stack.directory.admin_file) or {}
    session = requests.Session()
    session.trust_env = False
    entered = {name: known[name] for name in ("username", "password")}
    session.post(f"{service['url']}/admin/login", data=entered, timeout=30).raise_for_status()
    spent: dict[str, float] = {}
    for pattern in patterns():
        before = cpu(*stack.own) + cpu(stack.emulator)
        for _ in range(_TIMES):
            session.get(service["url"] + pattern.format(**parameters), timeout=30).raise_for_status()
        spent[pattern] = 1000 * (cpu(*stack.own) + cpu(stack.emulator) - before) / _TIMES
    return spent


def measured(lines: Iterable[str]) -> dict[str, list[int]]:
    """Milliseconds by the page's route, from the service's log."""
    wanted = set(patterns())
    found: dict[str, list[int]] = defaultdict(list)
    for line in lines:
        record = json.loads(line) if line.startswith("{") else {}
        if record.get("message") == "request" and record.get("method") == "GET" and record.get("route") in wanted:
            found[record["route"]].append(record["duration_ms"])
    return found


def main() -> int:
    """Print a line for each page, the slowest first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, running("", Path(directory)) as stack:
        parameters = fill(stack, given.clients, given.messages)
        spent = visit(stack, parameters)
        log = (stack.directory.path / "service.log").read_text(encoding="utf-8").splitlines()
    times = measured(log)
    sys.stdout.write(f"{'page':50} CPU ms  median ms  slowest ms\n")
    for path in sorted(spent, key=lambda one: -spent[one]):
        middle, slowest = statistics.median(times[path]), max(times[path])
        sys.stdout.write(f"{path:50} {spent[path]:6.0f} {middle:10.0f} {slowest:11.0f}\n")
    return int(max(spent.values()) > BOUND_MS)


if __name__ == "__main__":
    sys.exit(main())
