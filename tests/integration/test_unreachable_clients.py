"""Clients to whom too many messages were lost: they are marked, and mailings leave them out by default."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.clients import Client
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import Message
from chalicelib.domain.reasons import Reason
from chalicelib.services.receiving.received import ReceiptItem
from tests.support.receipts import delivered, tell, undelivered
from tests.support.simulation import Simulation, new_simulation

WORKERS = {"tick": 1, "dispatcher": 3, "sender": 2, "receiver": 1}
ON = {"gateway_receipts": True, "public_url": "https://service.example"}


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with new_simulation(workers_of=WORKERS, **ON) as simulation:
        simulation.add_clients(2)
        yield simulation


def messages(simulation: Simulation, **fields: Any) -> tuple[Mailing, list[Message]]:
    """The messages of a finished mailing to both clients, the first client's first."""
    mailing = simulation.create_mailing(**fields)
    simulation.run_until_finished(mailing)
    return mailing, sorted(simulation.rows(mailing), key=lambda row: row.phone_number)


def lose(simulation: Simulation, times: int, *, days: float = 1, permanent: bool = True) -> None:
    """Let so many messages to the first client be lost, so many days apart."""
    for _ in range(times):
        _, [first, second] = messages(simulation)
        tell(simulation, undelivered(first, permanent=permanent), delivered(second))
        simulation.run_for(20)
        simulation.clock.sleep(days * 86400)


def first_client(simulation: Simulation) -> Client:
    clients, _ = simulation.services.clients.list(simulation.create_mailing(starts_in=86400).segment, "", 10)
    return min(clients, key=lambda client: client.phone_number)


def test_mailings_leave_a_client_out_after_three_lost_messages(simulation: Simulation) -> None:
    lose(simulation, 2)
    assert not first_client(simulation).unreachable
    lose(simulation, 1)
    assert first_client(simulation).unreachable

    mailing, [first, second] = messages(simulation)
    assert (first.status, first.cause and first.cause.reason) == ("skipped", Reason.MARKED_UNREACHABLE)
    assert second.status == "sent"
    preview = simulation.services.previews.ordered(mailing)
    assert preview.left_out == {Reason.MARKED_UNREACHABLE: 1}
    assert preview.reached.total() == 1


def test_a_mailing_may_include_them_and_one_delivery_removes_the_mark(simulation: Simulation) -> None:
    lose(simulation, 3)
    mailing, [first, _] = messages(simulation, include_unreachable=True)
    assert first.status == "sent"
    assert not simulation.services.previews.ordered(mailing).left_out
    tell(simulation, undelivered(first, permanent=True))
    simulation.run_for(20)
    tell(simulation, delivered(first))  # after all
    simulation.run_for(20)
    client = first_client(simulation)
    assert (client.unreachable, client.lost) == (False, ())


def test_a_client_who_is_marked_between_dispatch_and_the_call_is_left_out(simulation: Simulation) -> None:
    lose(simulation, 2)
    _, [lost, _] = messages(simulation)
    waiting = simulation.create_mailing(starts_in=60)
    simulation.services.gateway_control.hold("admin")
    simulation.run_for(120)
    tell(simulation, undelivered(lost, permanent=True))
    simulation.run_for(20)
    assert first_client(simulation).unreachable
    simulation.services.gateway_control.close("admin")
    simulation.run_until_finished(waiting)
    assert simulation.counts(waiting) == {"total": 2, "sent": 1, "skipped": 1}


@pytest.mark.parametrize(("days", "permanent"), [(46, True), (1, False)], ids=["in more than 90 days", "for now"])
def test_other_losses_mark_nobody(simulation: Simulation, days: float, permanent: bool) -> None:
    lose(simulation, 3, days=days, permanent=permanent)
    assert not first_client(simulation).unreachable


def test_a_repeated_receipt_counts_once(simulation: Simulation) -> None:
    _, [first, _] = messages(simulation)
    for _ in range(4):
        tell(simulation, undelivered(first, permanent=True))
        simulation.run_for(20)
    assert len(first_client(simulation).lost) == 1


def test_a_changed_number_is_not_marked(simulation: Simulation) -> None:
    lose(simulation, 3)
    client = first_client(simulation)
    fields = replace(client.fields, phone_number="+79990000001", operator=None)
    changed = simulation.services.clients.change(client.client_id, fields)
    assert (changed.unreachable, changed.lost) == (False, ())


def test_people_can_remove_the_mark_and_other_changes_keep_it(simulation: Simulation) -> None:
    lose(simulation, 3)
    client = first_client(simulation)
    assert simulation.services.clients.opt_out(client.client_id, True).unreachable
    assert simulation.services.clients.opt_out(client.client_id, False).unreachable
    assert not simulation.services.clients.mark_reachable(client.client_id).unreachable
    mailing, _ = messages(simulation)
    assert simulation.counts(mailing)["sent"] == 2


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_receiver_that_is_killed_anywhere_notes_the_loss_once(cut: int) -> None:
    """Expects the mark, and the segment's counters that a preview reads, whichever call was interrupted."""
    with new_simulation(workers_of={**WORKERS, "receiver": 0}, **ON) as simulation:
        simulation.add_clients(2)
        bodies = []
        for _ in range(3):
            _, [first, _] = messages(simulation)
            tell(simulation, undelivered(first, permanent=True))
            bodies += simulation.bodies(simulation.settings.receipt_queue)
        items = [ReceiptItem(str(place), body) for place, body in enumerate(bodies)]
        deadline = simulation.clock.now() + timedelta(seconds=60)
        simulation.services.receiver().receive(items[:2], deadline)
        with simulation.killed_at(cut) as calls:
            simulation.services.receiver().receive(items[2:], deadline)
        assert len(calls) >= min(cut, 5)
        simulation.services.receiver().receive([replace(items[2], receive_count=2)], deadline)
        client = first_client(simulation)
        assert (client.unreachable, len(client.lost)) == (True, 3)
        mailing = simulation.create_mailing(starts_in=3600)
        assert simulation.services.previews.ordered(mailing).left_out == {Reason.MARKED_UNREACHABLE: 1}
