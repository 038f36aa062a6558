"""Steps of end-to-end tests with a running service: add clients, create mailings and wait for them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any

from chalicelib.domain.clients import ClientFields, new_client
from tests.support.local_run import ApiCaller, Run, wait_until

_ENDED = ("finished", "cancelled", "expired")


def add_clients(run: Run, count: int, tag: str = "many", first: int = 0) -> None:
    """Add clients with consecutive numbers from `first` on; existing ones get the new tag."""
    now = datetime.now(UTC)
    clients = [
        new_client(ClientFields(f"+7916{number:07d}", tags=(tag,)), now) for number in range(first, first + count)
    ]
    with run.services() as services:
        services.clients._clients.upsert(clients)


def order(api: ApiCaller, tag: str = "many", *, starts_in: float = 0, lasts: float = 3600, **fields: Any) -> str:
    """The id of a new mailing to a tag."""
    start = datetime.now(UTC) + timedelta(seconds=starts_in)
    body = {
        "text": "Hello",
        "clients": {"tag": tag},
        "start_time": start.isoformat(),
        "end_time": (start + timedelta(seconds=lasts)).isoformat(),
        **fields,
    }
    return str(api.call("POST", "/api/mailing/", body)["id"])


def mailing(api: ApiCaller, mailing_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.call("GET", f"/api/mailing/{mailing_id}/")
    return found


def wait_for_end(api: ApiCaller, mailing_id: str, bound: float = 90) -> dict[str, Any]:
    """The mailing once it has ended. Who waits long asks seldom: an answer of a deployed stack takes much work."""
    pauses = chain((0.2, 0.2, 0.3, 0.4, 0.6, 0.8), repeat(1.0))
    wait_until(lambda: mailing(api, mailing_id)["status"] in _ENDED, bound, every=pauses)
    return mailing(api, mailing_id)


def statuses(api: ApiCaller, mailing_id: str) -> Counter[str]:
    """The ledger of a mailing, counted row by row."""
    return Counter(row["status"] for row in api.rows("/api/messages/", mailing=mailing_id))
