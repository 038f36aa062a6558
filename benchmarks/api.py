"""The API's ten main calls over eight kept connections: requests per second, and the time of each."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from benchmarks.figures import Figure, figures, percentile, table
from benchmarks.main_job import TAG, Stack, cpu

CONNECTIONS = 8
_TIMEOUT = 30.0

Request = tuple[str, str, dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Timed:
    """Requests of one kind; times in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float


def of_stack(stack: Stack, make: Callable[[int], Request], count: int) -> dict[str, float]:
    """Measure our own stack, with the CPU time of a request in milliseconds: of the API, and of the emulator."""
    before = [cpu(*stack.own), cpu(stack.emulator)]
    timed = measure(stack.api._url, str(stack.api._session.headers["Authorization"]), make, count)
    spent = [after - earlier for after, earlier in zip([cpu(*stack.own), cpu(stack.emulator)], before, strict=True)]
    names = ("own_cpu_ms", "emulator_cpu_ms")
    return asdict(timed) | {name: round(1000 * one / count, 2) for name, one in zip(names, spent, strict=True)}


def new_numbers() -> Callable[[int], str]:
    """Unused phone numbers: the n-th one that begins with the current second, but not those of an import."""
    started = 1 + int(time.time()) % 9999
    return lambda n: f"+79{started:04d}{n:05d}"


def order_for_tomorrow() -> dict[str, Any]:
    """A mailing that both the service and its peer accept, and that nobody gets."""
    now = datetime.now(UTC)
    return {
        "text": "Hello",
        "clients": {"tag": "nobody"},
        "start_time": (now + timedelta(days=1)).isoformat(),
        "end_time": (now + timedelta(days=2)).isoformat(),
    }


def calls(stack: Stack, mailing_id: str) -> dict[str, Callable[[int], Request]]:
    """The calls by name; each makes the n-th request of its kind."""
    page = stack.api.call("GET", "/api/clients", params={"limit": 50})
    client_ids = itertools.cycle([row["id"] for row in page["rows"]])
    number, order = new_numbers(), order_for_tomorrow()
    return {
        "read a client": lambda _: ("GET", f"/api/clients/{next(client_ids)}", None),
        "create a client": lambda n: ("POST", "/api/clients", {"phone_number": number(n)}),
        "change a client": lambda n: ("PATCH", f"/api/clients/{next(client_ids)}", {"timezone": f"Etc/GMT+{n % 12}"}),
        "list 50 clients": lambda _: ("GET", f"/api/clients?limit=50&tag={TAG}", None),
        "order a mailing": lambda _: ("POST", "/api/mailing", order),
        "read a mailing": lambda _: ("GET", f"/api/mailing/{mailing_id}", None),
        "list mailings": lambda _: ("GET", "/api/mailing?limit=50", None),
        "list 50 messages": lambda _: ("GET", f"/api/messages?mailing={mailing_id}&limit=50", None),
        "statistics of a mailing": lambda _: ("GET", f"/api/mailing/{mailing_id}/stats", None),
        "statistics of all": lambda _: ("GET", "/api/mailing/stats", None),
    }


def measure(address: str, authorization: str, make: Callable[[int], Request], count: int) -> Timed:
    """Make `count` requests, spread over the connections. Raises RuntimeError if one is refused."""
    numbers: Iterator[int] = iter(range(count))
    lock = threading.Lock()
    took: list[float] = []
    refused: list[str] = []

    def work() -> None:
        url = urlsplit(address)
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=_TIMEOUT)
        headers = {"Authorization": authorization}
        while not refused:
            with lock:
                number = next(numbers, None)
                if number is None:
                    return
                method, path, body = make(number)
            content = None if body is None else json.dumps(body)
            began = time.perf_counter()
            connection.request(method, path, content, headers | ({"Content-Type": "application/json"} if body else {}))
            answer = connection.getresponse()
            text = answer.read()
            took.append(1000 * (time.perf_counter() - began))
            if answer.status >= 300 and answer.status != 409:  # two changes of one client may meet
                refused.append(f"{method} {path}: {answer.status} {text[:200]!r}")

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    if refused:
        raise RuntimeError(refused[0])
    return Timed(round(len(took) / seconds, 1), round(percentile(took, 0.5), 1), round(percentile(took, 0.99), 1))


def report(runs: dict[str, list[dict[str, float]]], theirs: dict[str, list[dict[str, float]]]) -> str:
    """A table of all runs in Markdown: our figures, and those of the peer, measured in turns."""
    rows = []
    for name, lines in runs.items():
        rate, p50, p99, own, emulator = figures(lines, tuple(lines[0])).values()
        row = [name, rate.shown(), p50.shown(), p99.shown(), own.shown(2), emulator.shown(2)]
        if others := theirs.get(name):
            ratio = Figure.of([us["per_second"] / them["per_second"] for us, them in zip(lines, others, strict=True)])
            rate, spent = figures(others, ("per_second", "cpu_ms")).values()
            row += [rate.shown(), spent.shown(2), ratio.shown(2)]
        rows.append((*row, *[""] * (9 - len(row))))
    head = ("call", "requests/s", "p50, ms", "p99, ms", "API's CPU, ms", "emulator's CPU, ms")
    return table((*head, "gunicorn, requests/s", "its and PostgreSQL's CPU, ms", "here / gunicorn"), rows)
