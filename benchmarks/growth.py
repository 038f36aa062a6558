"""How the work for one thing grows with the number of clients: calls of AWS and read units, which should not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pygal
from pygal.style import LightStyle

from benchmarks import mailing
from benchmarks.mailing import TAG, new_clients
from benchmarks.meter import Meter
from chalicelib.domain.clients import Client
from chalicelib.domain.costs import Usage
from chalicelib.domain.messages import Message, MessageStatus
from infra.local import ordered_reads
from tests.support.api import Api, new_api

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Work:
    """What one thing took: for a message, or for a request of the API."""

    calls: float
    read_units: float
    write_units: float


def of_a_mailing(size: int) -> dict[str, Work]:
    """Dispatch and delivery, for each message of a mailing to so many clients."""
    measured = mailing.run(size)
    found = {}
    for name, functions in (("dispatch", ("dispatcher", "tick", "")), ("delivery", ("sender", "event source"))):
        lines = [line for (who, _, _), line in measured.meter.lines.items() if who in functions]
        usage = sum((line.usage for line in lines), Usage())
        calls = sum(line.calls for line in lines)
        found[f"{name}, per message"] = Work(calls / size, usage.read_units / size, usage.write_units / size)
    return found


def of_the_api(size: int) -> dict[str, Work]:
    """Requests, where there are so many clients and one mailing to all of them."""
    ordered_reads.install()
    with new_api() as api:
        clients = list(new_clients(size, api.clock.now()))
        mailing_id = _fill(api, clients)
        meter = Meter(api.aws._handle, api.services.settings.resource_prefix, lambda: "")
        api.aws._handle = meter.handle
        found = {}
        for name, method, path, body in _requests(api, clients, mailing_id):
            before, calls = meter.total(), sum(line.calls for line in meter.lines.values())
            reply = api.request(method, path, body)
            if reply.status >= 300:
                raise RuntimeError(f"{method} {path}: {reply.status} {reply.text[:200]}")
            after = meter.total() + before * -1
            calls = sum(line.calls for line in meter.lines.values()) - calls
            found[name] = Work(calls, after.read_units, after.write_units)
        return found


def _fill(api: Api, clients: Sequence[Client]) -> str:
    """The clients, and a mailing whose messages to all of them are in the ledger; its id."""
    for start in range(0, len(clients), _CHUNK):
        api.services.clients._clients.upsert(clients[start : start + _CHUNK])
    body = {"text": "Hello", "clients": {"tag": TAG}, "start_time": api.ahead(hours=1), "end_time": api.ahead(hours=2)}
    mailing_id = str(api.post("/api/mailing", body).json["id"])
    now = api.clock.now()
    rows = [
        Message(mailing_id, one.client_id, one.phone_number, one.timezone, MessageStatus.SENT, 1, now, now, sent_at=now)
        for one in clients
    ]
    api.services.messages._ledger.insert(rows)
    return mailing_id


def _requests(api: Api, clients: Sequence[Client], mailing_id: str) -> Iterator[tuple[str, str, str, object]]:
    one = clients[len(clients) // 2]
    yield "list 50 clients", "GET", "/api/clients?limit=50", None
    page = f"/api/clients?limit=50&tag={TAG}"
    yield "list 50 clients of a tag", "GET", page, None
    cursor = api.get(page).json["next"]
    yield "list the next 50", "GET", f"{page}&cursor={cursor}", None
    yield "find a phone number", "POST", "/api/clients/lookup", {"phone_number": one.phone_number}
    yield "read a client", "GET", f"/api/clients/{one.client_id}", None
    yield "list 50 messages", "GET", f"/api/messages?mailing={mailing_id}&limit=50", None
    yield "messages of a client", "GET", f"/api/messages?client={one.client_id}", None
    yield "statistics of a mailing", "GET", f"/api/mailing/{mailing_id}/stats", None
    yield "statistics of all", "GET", "/api/mailing/stats", None
    yield "list mailings", "GET", "/api/mailing?limit=50", None
    starts, ends = api.clock.now() + timedelta(hours=1), api.clock.now() + timedelta(hours=2)
    preview = {"text": "x", "clients": {"tag": TAG}, "start_time": starts.isoformat(), "end_time": ends.isoformat()}
    yield "preview", "POST", "/api/mailing/preview", preview


def plot(title: str, unit: str, by_size: dict[int, dict[str, float]]) -> bytes:
    """An SVG: one line for each thing, sizes on a logarithmic axis."""
    chart = pygal.XY(
        title=title,
        x_title="clients",
        y_title=unit,
        xrange=(min(by_size), max(by_size)),
        logarithmic=False,
        range=(0, 1.2 * max(max(found.values()) for found in by_size.values())),
        legend_at_bottom=True,
        legend_at_bottom_columns=3,
        x_labels=[position for position, _ in enumerate(sorted(by_size))],
        x_value_formatter=lambda position: f"{sorted(by_size)[round(position)]:,}",
        style=LightStyle,
        width=900,
        height=500,
        js=(),
        disable_xml_declaration=True,
        no_prefix=True,
    )
    chart.config.xrange = (-0.1, len(by_size) - 0.9)
    for name in next(iter(by_size.values())):
        points = [
            (position, by_size[size][name]) for position, size in enumerate(sorted(by_size)) if name in by_size[size]
        ]
        chart.add(name, points)
    return str(chart.render(is_unicode=True)).encode()
