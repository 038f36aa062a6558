"""A page costs the same however many rows there are: measured in calls of DynamoDB, and in what each may read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.client_ids import shard_of
from chalicelib.domain.segments import Segment
from chalicelib.domain.statuses import MailingStatus, MessageStatus
from tests.factories import START, ClientFactory, MailingFactory, UserFactory
from tests.integration.storage.engines import Store, in_process
from tests.support.aws import Call

SIZES = (100, 1000)
LIMIT = 20
CLIENT_ID = "a" * 16  # of a message that waits: of few messages a shard may have none
MAILING_ID = "01KK0000000000000000000000"


def fill(store: Store, count: int) -> None:
    """Add so many clients and messages, and a tenth as many mailings and users, which are written one by one."""
    store.clients.upsert(ClientFactory.build_batch(count, timezone="UTC"))
    store.add_messages(count // 2, mailing_id=MAILING_ID, status=MessageStatus.FAILED)
    waiting = {"mailing_id": MAILING_ID, "status": MessageStatus.WAITING, "due_at": START}
    store.add_messages(count // 2, **waiting)
    store.add_messages(client_id=CLIENT_ID, **waiting)
    for _ in range(count // 10):
        store.mailings.create(MailingFactory())
        store.users.create(UserFactory())


PAGES: dict[str, Callable[[Store], Any]] = {
    "clients": lambda store: store.clients.list(Segment(), "", LIMIT),
    "clients of a tag": lambda store: store.clients.list(Segment(("vip",)), "", LIMIT),
    "clients of nobody's tag": lambda store: store.clients.list(Segment(("nobody",)), "", LIMIT),
    "count of clients": lambda store: store.clients.count(Segment()),
    "count of a tag": lambda store: store.clients.count(Segment(("vip",))),
    "mailings": lambda store: store.mailings.lists.list(None, None, LIMIT),
    "mailings of a status": lambda store: store.mailings.lists.list(MailingStatus.SCHEDULED, None, LIMIT),
    "count of mailings": lambda store: store.mailings.totals(),
    "users": lambda store: store.users.list("", LIMIT),
    "count of users": lambda store: store.users.count(),
    "messages": lambda store: store.ledger.page(MAILING_ID, "00", "", 2),
    "failed messages": lambda store: store.ledger.trouble_page(MAILING_ID, "", LIMIT),
    "parked messages": lambda store: store.ledger.due(MAILING_ID, shard_of(CLIENT_ID), START, "", 2),
}


@pytest.fixture(scope="module")
def costs() -> dict[int, dict[str, list[tuple[str, int | None]]]]:
    """The calls of each page with the limits of what they read, at both sizes."""
    found: dict[int, dict[str, list[tuple[str, int | None]]]] = {}
    for size in SIZES:
        with in_process() as store:
            fill(store, size)
            calls: list[tuple[str, int | None]] = []

            def note(call: Call, calls: list[tuple[str, int | None]] = calls) -> None:
                body = json.loads(call.body)
                keys = sum(len(wanted["Keys"]) for wanted in body.get("RequestItems", {}).values())
                calls.append((call.operation, keys or body.get("Limit")))

            store.aws.before = note
            found[size] = {}
            for name, ask in PAGES.items():
                calls.clear()
                assert ask(store) is not None
                found[size][name] = list(calls)
    return found


@pytest.mark.parametrize("name", PAGES)
def test_a_page_makes_the_same_calls_at_any_size(
    costs: dict[int, dict[str, list[tuple[str, int | None]]]], name: str
) -> None:
    """Expects a bounded number, and no scan. A page of clients may need fewer shards if each of them has more."""
    few, many = (costs[size][name] for size in SIZES)
    assert {operation for operation, _ in many} == {operation for operation, _ in few}
    assert len(many) == len(few) or (name.startswith("clients") and len(many) < len(few))
    assert 0 < len(few) <= 16  # one for each shard
    assert "dynamodb.Scan" not in {operation for operation, _ in many}


@pytest.mark.parametrize("name", [name for name in PAGES if not name.startswith("count")])
def test_a_page_reads_no_more_rows_than_it_shows(
    costs: dict[int, dict[str, list[tuple[str, int | None]]]], name: str
) -> None:
    """Expects a limit in each query; with buckets, it may be one row more, the rest of another bucket."""
    for size in SIZES:
        assert all(limit is not None and limit <= LIMIT + 1 for _, limit in costs[size][name])
