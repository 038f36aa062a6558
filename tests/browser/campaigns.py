"""Mailings as browser tests need them: to clients of a tag of their own, sent by the running service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, wait_until

_numbers = count(1)


def add_clients(api: ApiCaller, tag: str, number: int) -> list[str]:
    """Add so many new clients with the tag; returns their phone numbers."""
    phones = [f"+7921{next(_numbers):07d}" for _ in range(number)]
    for phone in phones:
        api.call("POST", "/api/clients", {"phone_number": phone, "tag": tag})
    return phones


def order(api: ApiCaller, tag: str, **fields: Any) -> str:
    """Order a mailing to the tag that starts now and is open for a day; returns its id."""
    now = datetime.now(UTC)
    times = {"start_time": now.isoformat(), "end_time": (now + timedelta(days=1)).isoformat()}
    return str(
        api.call("POST", "/api/mailing", {"text": f"To {tag}", "clients": {"tag": tag}, **times, **fields})["id"]
    )


def finish(api: ApiCaller, mailing_id: str) -> None:
    """Wait until the mailing has ended."""
    wait_until(lambda: api.call("GET", f"/api/mailing/{mailing_id}")["status"] == "finished")


@contextmanager
def refusing(gateway: FaultyGateway, phones: Sequence[str]) -> Iterator[None]:
    """Let the gateway refuse messages to these numbers for good, and accept all others."""
    gateway.refused = frozenset(int(phone) for phone in phones)
    try:
        yield
    finally:
        gateway.refused = frozenset()
