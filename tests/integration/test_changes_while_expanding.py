"""Clients who change while a mailing is expanded: whoever matches throughout has one row, and is counted once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from chalicelib.domain import buckets
from chalicelib.domain.attributes import attributes_of
from chalicelib.domain.client_ids import SHARDS
from chalicelib.domain.clients import Client, ClientFields
from chalicelib.domain.filter_checks import checked_filter
from chalicelib.domain.filters import Filter
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.segments import Segment
from chalicelib.services.dispatching import expansion
from chalicelib.services.mailing_fields import MailingFields
from tests.support.aws import Call
from tests.support.scheduler import Crash
from tests.support.simulation import Simulation, new_simulation

EACH = 96  # clients of either tag, in 16 shards


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A service that expands two clients at a time, in sixteen shards, with much that happens in between."""
    with (
        new_simulation() as made,
        mock.patch.object(expansion, "FIRST_PAGE", 2),
        mock.patch.object(expansion, "PAGE", 2),
        mock.patch.object(buckets, "SMALL", 0),
    ):
        yield made


def order(simulation: Simulation, wanted: Filter | None = None, **fields: object) -> Mailing:
    """A mailing to both tags, so slow that its counts can be looked at before it ends."""
    now = simulation.clock.now()
    window = {"start_at": now, "end_at": now + timedelta(hours=1), "rate_limit": 1}
    return simulation.services.mailings.create(
        MailingFields("Hello", Segment(("a", "b"), (), wanted), **window | fields), "tester"
    )


def tagged(simulation: Simulation, client: Client, tag: str) -> None:
    fields = ClientFields(client.phone_number, client.operator, (tag,), client.timezone, client.opted_out)
    simulation.services.clients.change(client.client_id, fields)


def at_pages(simulation: Simulation, act: Callable[[int], None], shard: str = "") -> None:
    """Act after each read of the clients' index, or of one of its shards, with the number of reads so far."""
    seen: list[str] = []
    acting: list[bool] = []

    def after(call: Call) -> None:
        if call.operation != "dynamodb.Query" or b'"contacts_by_tag"' not in call.body or acting:
            return
        if shard.encode() in call.body:
            acting.append(True)
            seen.append(call.operation)
            act(len(seen))
            acting.clear()

    simulation.aws.after = after


def expect_each_once(
    simulation: Simulation, mailing: Mailing, clients: list[Client], others: Sequence[Client] = ()
) -> None:
    """Once all is expanded, each has one row, as some others may have, and the running counts agree."""
    until = simulation.clock.now() + timedelta(minutes=3)
    ledger = simulation.services.mailings.state
    assert simulation.scheduler.run_until(until, lambda: ledger(mailing.mailing_id).statistics.dispatched, check=25)
    simulation.aws.after = simulation.aws.before = lambda call: None
    statistics = ledger(mailing.mailing_id).statistics
    rows = simulation.rows(mailing)
    ids = {row.client_id for row in rows}
    assert len(ids) == len(rows)
    assert {client.client_id for client in clients} <= ids <= {client.client_id for client in [*clients, *others]}
    assert statistics.total == len(rows)
    assert statistics.by_status["skipped"] == sum(row.status == "skipped" for row in rows)


@pytest.mark.parametrize(("old", "new"), [("b", "a"), ("a", "b")])
@pytest.mark.parametrize(("by", "small"), [("one at a time", 0), ("import", 0), ("import", buckets.SMALL)])
def test_a_client_who_moves_within_the_segment_has_one_row(
    simulation: Simulation, old: str, new: str, by: str, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the cursor, where the walk does not come any more, or ahead of it, where it meets them again.

    Whether each shard of the clients is walked by itself, or one after the other.
    """
    monkeypatch.setattr(buckets, "SMALL", small)
    clients = simulation.add_clients(EACH, tag="a") + simulation.add_clients(EACH, tag="b", opted_out=True)
    waiting = [client for client in clients if client.tag == old]

    def move(seen: int) -> None:
        some = [waiting.pop() for _ in range(min(len(waiting), 3))] if seen > 2 else []
        if by == "import":
            now = simulation.clock.now()
            simulation.services.clients._clients.upsert(
                [replace(client, tags=(new,), updated_at=now) for client in some]
            )
        else:
            for client in some:
                tagged(simulation, client, new)

    at_pages(simulation, move)
    mailing = order(simulation)
    expect_each_once(simulation, mailing, clients)
    assert len(waiting) < EACH / 2


def test_a_client_who_moves_but_does_not_pass_the_filter_has_no_row(simulation: Simulation) -> None:
    """Whether found in the index or in the log of changed clients: the filter is checked in both."""
    wanted = attributes_of({"wanted": True})
    clients = simulation.add_clients(EACH, tag="a", attributes=wanted) + simulation.add_clients(
        EACH, tag="b", attributes=wanted
    )
    unwanted = simulation.add_clients(EACH, tag="b", operator="925")
    waiting = [client for pair in zip(clients[EACH:], unwanted, strict=True) for client in pair]

    def move(seen: int) -> None:
        for _ in range(min(len(waiting), 4 if seen > 2 else 0)):
            client = waiting.pop()
            simulation.services.clients.change(client.client_id, replace(client.fields, tags=("a",)))

    at_pages(simulation, move)
    mailing = order(simulation, checked_filter({"attribute": "wanted", "equal": True}))
    expect_each_once(simulation, mailing, clients)
    assert len(waiting) < EACH


def test_a_client_who_leaves_the_segment_and_comes_back_has_a_row(simulation: Simulation) -> None:
    """They match when their shard's last page is done; a client who has left for good may have no row."""
    shard = SHARDS[7]
    clients = [client for client in simulation.add_clients(16 * 40, tag="a") if client.shard == shard]
    assert len(clients) > 30
    leaving, returning = clients[:4], clients[10:30]

    def act(seen: int) -> None:
        if seen in (3, 5):
            for client in returning:
                tagged(simulation, client, "away" if seen == 3 else "b")
        if seen == 3:
            for client in leaving:
                tagged(simulation, client, "away")

    at_pages(simulation, act, f'"{shard}"')
    others = [client for client in simulation.everybody() if client.shard != shard]
    mailing = order(simulation)
    expect_each_once(simulation, mailing, [*clients[4:], *others], leaving)


def test_an_index_that_lags_at_the_launch_loses_nobody(simulation: Simulation) -> None:
    """A client who joined the segment before the launch matches, although the index shows them where they were."""
    clients = simulation.add_clients(EACH, tag="away") + simulation.add_clients(EACH, tag="a")
    handle = simulation.aws._handle
    for client in clients[:EACH]:
        tagged(simulation, client, "b")
    moved = {client.client_id for client in clients[:EACH]}

    def lagging(service: str, target: str, body: bytes) -> tuple[int, dict[str, object]]:
        status, answer = handle(service, target, body)
        if target.endswith(".Query") and b'"contacts_by_tag"' in body:
            answer["Items"] = [item for item in answer["Items"] if item["client_id"]["S"] not in moved]
        return status, answer

    simulation.aws._handle = lagging  # type: ignore[method-assign]
    simulation.run_for(20)
    mailing = order(simulation)
    expect_each_once(simulation, mailing, clients)


def refuse() -> None:
    raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "-"}}, "UpdateItem")


def crash() -> None:
    raise Crash


@pytest.mark.parametrize("strike", [refuse, crash])
@pytest.mark.parametrize(
    "meanwhile", ["moved", *(pytest.param(what, marks=pytest.mark.proof) for what in ("nothing", "more"))]
)
def test_a_page_that_is_written_again_is_counted_once(
    simulation: Simulation, strike: Callable[[], None], meanwhile: str
) -> None:
    """A dispatcher stops between the rows and the cursor; the page that is read next may begin or end elsewhere."""
    clients = simulation.add_clients(EACH, tag="a") + simulation.add_clients(EACH, tag="b", opted_out=True)
    added: list[Client] = []
    struck: Counter[bytes] = Counter()
    simulation.scheduler.switching = 0.0

    def meddle() -> None:
        for client in clients[::3] if meanwhile == "moved" else []:
            tagged(simulation, client, "b" if client.tag == "a" else "a")
        if meanwhile == "more":
            added.extend(simulation.add_clients(EACH, tag="a", operator="101"))

    def before(call: Call) -> None:
        advancing = call.operation == "dynamodb.UpdateItem" and b"SHARD#" in call.body and b"expanded" in call.body
        if not advancing or simulation.scheduler.current is None or struck.total() >= 12:
            return
        struck[call.body] += 1
        if struck.total() % 2:
            if struck.total() == 5:
                meddle()
            strike()

    simulation.aws.before = before
    mailing = order(simulation)
    expect_each_once(simulation, mailing, clients, added)
    assert struck.total() == 12


def test_each_bucket_is_written_once_for_a_segment_of_many_parts() -> None:
    """Whatever tags and operators its clients have: each tag, and each operator in it, used to write the buckets
    again."""
    with new_simulation(workers_of={"tick": 1, "dispatcher": 3}) as simulation:
        parts = [(tag, operator) for tag in ("a", "b") for operator in ("903", "915", "916", "926")]
        clients = [one for tag, operator in parts for one in simulation.add_clients(250, tag=tag, operator=operator)]
        written: Counter[str] = Counter()

        def count(call: Call) -> None:
            if call.operation == "dynamodb.BatchExecuteStatement":
                written.update(one["Statement"].split()[0] for one in json.loads(call.body)["Statements"])

        simulation.aws.before = count
        simulation.create_mailing(segment=Segment(("a", "b")), lasts=86_400)
        simulation.run_for(20)
        assert len(simulation.ledger_rows()) == len(clients)
        assert written.total() <= len(simulation.ledger_items()) + 2 * len(
            SHARDS
        )  # one may be divided by the end of a page
