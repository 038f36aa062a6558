"""How the work for one thing grows with the number of clients: calls of AWS and read units, which should not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from benchmarks.figures import table
from benchmarks.mailing import TAG, Measured, new_clients
from benchmarks.meter import Meter
from benchmarks.progress import Progress
from chalicelib.domain.buckets import Division
from chalicelib.domain.clients import Client
from chalicelib.domain.costs import Usage
from chalicelib.domain.messages import Message
from chalicelib.domain.statuses import MessageStatus
from tests.support.api import Api, new_api

_CHUNK = 1000
_FAILED = 4  # of so many messages one has failed
_PER_MESSAGE = "per message"
_AT_WORK = {"dispatch": ("dispatcher", "tick", ""), "delivery": ("sender", "event source")}


@dataclass(frozen=True, slots=True)
class Work:
    """What one thing took: for a message, or for a request of the API."""

    calls: float
    read_units: float
    write_units: float


Works = Mapping[str, Work]


def of_a_mailing(measured: Measured) -> dict[str, Work]:
    """Dispatch and delivery, for each message."""
    found, size = {}, measured.clients
    for name, functions in _AT_WORK.items():
        lines = [line for (who, _, _), line in measured.meter.lines.items() if who in functions]
        usage = sum((line.usage for line in lines), Usage())
        calls = sum(line.calls for line in lines)
        found[f"{name}, {_PER_MESSAGE}"] = Work(calls / size, usage.read_units / size, usage.write_units / size)
    return found


def of_the_api(size: int) -> dict[str, Work]:
    """Requests with so many clients and one mailing to all of them."""
    with new_api() as api:
        clients = list(new_clients(size, api.clock.now()))
        mailing_id = _fill(api, clients)
        meter = Meter(api.aws._handle, api.services.settings.resource_prefix, lambda: "")
        api.aws._handle = meter.handle
        found = {}
        for name, method, path, body in _requests(api, clients, mailing_id):
            before, calls = meter.total(), meter.calls()
            reply = api.request(method, path, body)
            if reply.status >= 300:
                raise RuntimeError(f"{method} {path}: {reply.status} {reply.text[:200]}")
            after = meter.total() + before * -1
            found[name] = Work(meter.calls() - calls, after.read_units, after.write_units)
        return found


def _fill(api: Api, clients: Sequence[Client]) -> str:
    """Create the clients, and a mailing whose messages to all of them are in the ledger. Returns its id."""
    body = {"text": "Hello", "clients": {"tag": TAG}, "start_time": api.ahead(hours=1), "end_time": api.ahead(hours=2)}
    mailing_id = str(api.post("/api/mailing", body).json["id"])
    repository = api.services.mailings._mailings
    ordered = repository.get(mailing_id)
    divided = replace(ordered, division=Division.among(len(clients)), revision=ordered.revision + 1)
    if not repository.change(ordered, divided):
        raise RuntimeError("somebody else has changed the mailing")
    now, progress = api.clock.now(), Progress("clients with a message", len(clients))
    for start in range(0, len(clients), _CHUNK):
        some = clients[start : start + _CHUNK]
        api.services.clients._clients.upsert(some)
        rows = []
        for number, one in enumerate(some):
            status, sent_at = (MessageStatus.SENT, now) if number % _FAILED else (MessageStatus.FAILED, None)
            who = mailing_id, one.client_id, one.phone_number, one.timezone
            rows.append(Message(*who, status, 1, now, now, sent_at=sent_at))
        api.services.messages._ledger.insert(rows)
        progress.at(start + len(some))
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
    yield "list 50 failed messages", "GET", f"/api/messages?mailing={mailing_id}&limit=50&status=failed", None
    yield "messages of a client", "GET", f"/api/messages?client={one.client_id}", None
    yield "statistics of a mailing", "GET", f"/api/mailing/{mailing_id}/stats", None
    yield "statistics of all", "GET", "/api/mailing/stats", None
    yield "list mailings", "GET", "/api/mailing?limit=50", None
    starts, ends = api.clock.now() + timedelta(hours=1), api.clock.now() + timedelta(hours=2)
    preview = {"text": "x", "clients": {"tag": TAG}, "start_time": starts.isoformat(), "end_time": ends.isoformat()}
    yield "preview", "POST", "/api/mailing/preview", preview


def per_message(works: Works) -> dict[str, Work]:
    """Those of a mailing."""
    return {name: work for name, work in works.items() if name.endswith(_PER_MESSAGE)}


def per_request(works: Works) -> dict[str, Work]:
    """Those of the API."""
    return {name: work for name, work in works.items() if not name.endswith(_PER_MESSAGE)}


def report(by_size: Mapping[int, Works]) -> str:
    """A table; every line should have about the same value from left to right."""
    head = ("calls of AWS, read units", *(f"{size:,} clients" for size in by_size))
    names = dict.fromkeys(name for works in by_size.values() for name in works)
    return table(head, [(name, *(_shown(works.get(name)) for works in by_size.values())) for name in names])


def _shown(work: Work | None) -> str:
    return f"{work.calls:.3g}, {work.read_units:.3g}" if work else ""
