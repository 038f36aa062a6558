"""How long the server takes for every page of the admin UI, with 100,000 clients on the embedded stack.

Every page that answers a GET is asked for, one after the other by one browser; the times are those that the service
itself writes into its log for each request. Ends with exit code 1 where a page's median is over the bound.
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

from benchmarks.main_job import Stack, running
from chalicelib import admin
from chalicelib.domain.clients import client_id_for
from infra.local.data_directory import read_json

BOUND_MS = 100
_TIMES = 11  # the first of them, in which caches fill, counts as all others
_POLL = 0.2
_PATIENCE = 900.0


def fill(stack: Stack, clients: int, messages: int) -> dict[str, str]:
    """Clients, a finished mailing to some of them and one to come; what stands in the paths of pages, by its name."""
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
        "client_id": client_id_for("+78000000000"),
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
    """Every page, as its route is written."""
    routes = [route for pages in admin.PAGES for route in pages.routes]
    return [route.path for route in routes if route.method == "GET" and "/static/" not in route.path]


def visit(stack: Stack, parameters: Mapping[str, str]) -> None:
    """Ask for every page some times."""
    service = read_json(stack.directory.service_file) or {}
    known = read_json(stack.directory.admin_file) or {}
    session = requests.Session()
    session.trust_env = False
    entered = {name: known[name] for name in ("username", "password")}
    session.post(f"{service['url']}/admin/login", data=entered, timeout=30).raise_for_status()
    for pattern in patterns():
        for _ in range(_TIMES):
            session.get(service["url"] + pattern.format(**parameters), timeout=30).raise_for_status()


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
        visit(stack, parameters)
        log = (stack.directory.path / "service.log").read_text(encoding="utf-8").splitlines()
    times = measured(log)
    slow = 0
    sys.stdout.write(f"{'page':50} median ms  slowest ms\n")
    for path in sorted(times, key=lambda one: -statistics.median(times[one])):
        middle = statistics.median(times[path])
        slow += middle > BOUND_MS
        sys.stdout.write(f"{path:50} {middle:9.0f} {max(times[path]):11.0f}\n")
    return 1 if slow or set(times) != set(patterns()) else 0


if __name__ == "__main__":
    sys.exit(main())
