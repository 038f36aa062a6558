"""Mailings to a filtered segment: everybody who passes the filter gets one message, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.attributes import attributes_of
from chalicelib.domain.errors import Conflict, Invalid
from chalicelib.domain.faults import Fault
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.segments import Segment
from chalicelib.services import audiences
from chalicelib.services.audiences import Headcount
from chalicelib.services.mailing_fields import MailingFields
from tests.support.simulation import Simulation, new_simulation

WORKERS = {"tick": 1, "dispatcher": 3, "sender": 2}


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with new_simulation(workers_of=WORKERS) as simulation:
        yield simulation


def segment(node: dict[str, Any], *tags: str) -> Segment:
    return Segment.checked(tags, (), node)


def got(simulation: Simulation, mailing: Mailing) -> set[str]:
    """The clients with a row in the mailing's ledger; each has one."""
    rows = simulation.rows(mailing)
    assert len(rows) == len({row.client_id for row in rows})
    return {row.client_id for row in rows}


def test_everybody_who_passes_the_filter_gets_it(simulation: Simulation) -> None:
    """By tag and by attribute, with more clients than one page."""
    old = simulation.add_clients(90, tag="vip", attributes=attributes_of({"age": 60}))
    simulation.add_clients(200, tag="new", attributes=attributes_of({"age": 20}))
    simulation.add_clients(50, tag="gold", attributes=attributes_of({"age": 70}))
    mailing = simulation.create_mailing(segment=segment({"attribute": "age", "greater": 50}, "vip", "new"))
    simulation.run_until_finished(mailing)
    assert got(simulation, mailing) == {client.client_id for client in old}
    assert simulation.counts(mailing) == {"total": 90, "sent": 90}


def test_clients_who_did_not_get_an_earlier_mailing_get_this_one(simulation: Simulation) -> None:
    clients = simulation.add_clients(40)
    opted_out = {client.client_id for client in clients[:7]}
    for client in clients[:7]:
        simulation.opt_out(client)
    earlier = simulation.create_mailing()
    simulation.run_until_finished(earlier)
    newer = {client.client_id for client in simulation.add_clients(5, tag="newer")}
    missed = simulation.create_mailing(segment=segment({"mailing": earlier.mailing_id, "status": "skipped"}))
    simulation.run_until_finished(missed)
    assert got(simulation, missed) == opted_out
    others = simulation.create_mailing(segment=segment({"not": {"mailing": earlier.mailing_id}}))
    simulation.run_until_finished(others)
    assert got(simulation, others) == newer


def test_a_filter_needs_an_existing_mailing_and_keeps_it(simulation: Simulation) -> None:
    """Expects the earlier mailing to stay until the one that asks about it has ended: otherwise “not” would be
    everybody."""
    simulation.add_clients(3)
    unknown = "01JNB1Y7E8X8X3T5QZK9M2C4VD"
    with pytest.raises(Invalid) as raised:
        simulation.create_mailing(segment=segment({"mailing": unknown}))
    assert [(one.field, one.fault) for one in raised.value.errors] == [("clients.filter", Fault.FILTER_NO_MAILING)]
    earlier = simulation.create_mailing()
    simulation.run_until_finished(earlier)
    later = simulation.create_mailing(starts_in=7200, segment=segment({"not": {"mailing": earlier.mailing_id}}))
    with pytest.raises(Conflict) as refused:
        simulation.services.mailing_actions.delete(earlier.mailing_id)
    assert refused.value.fault is Fault.MAILING_ASKED_ABOUT
    simulation.clock.sleep((later.end_at - simulation.clock.now()).total_seconds() + 1)
    simulation.services.mailing_actions.delete(earlier.mailing_id)


def test_a_mailing_that_a_filter_asks_about_still_starts(simulation: Simulation) -> None:
    simulation.add_clients(3)
    first = simulation.create_mailing(starts_in=30)
    simulation.create_mailing(starts_in=7200, segment=segment({"mailing": first.mailing_id}))
    simulation.run_until_finished(first)
    assert simulation.counts(first)["sent"] == 3


def test_a_filter_cannot_ask_about_messages_that_are_deleted_before_the_start() -> None:
    with new_simulation(workers_of=WORKERS, retain_days=7) as simulation:
        simulation.add_clients(3)
        earlier = simulation.create_mailing()
        simulation.run_until_finished(earlier)
        asks = segment({"mailing": earlier.mailing_id})
        with pytest.raises(Invalid) as raised:
            simulation.create_mailing(starts_in=7 * 86400, segment=asks)
        assert raised.value.errors[0].fault is Fault.FILTER_FORGOTTEN
        simulation.create_mailing(starts_in=5 * 86400, segment=asks)


def fields(simulation: Simulation, asked: Segment) -> MailingFields:
    now = simulation.clock.now()
    return MailingFields("Hello", asked, now, now + timedelta(hours=2))


def test_a_preview_continues_to_count_where_it_stopped(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects the same numbers however the counting is divided, and an estimate until it is done."""
    simulation.add_clients(60, attributes=attributes_of({"age": 60}))
    simulation.add_clients(20, tag="new", opted_out=True, attributes=attributes_of({"age": 60}))
    simulation.add_clients(40, tag="gold")
    asked = segment({"attribute": "age", "exists": True})
    monkeypatch.setattr(audiences, "AT_ONCE", 30)
    so_far: Headcount | None = None
    steps = 0
    while so_far is None or so_far.shard:
        preview = simulation.services.previews.draft(fields(simulation, asked), so_far)
        assert preview.counting
        so_far, steps = preview.counting.headcount, steps + 1
        assert preview.counting.about(preview.matching.total()) <= 120
    assert steps >= 3
    assert preview.counting.is_over
    assert (preview.matching.total(), preview.reached.total()) == (80, 60)
    assert so_far.looked_at == 120


def test_a_mailing_to_nobody_that_would_start_now_is_refused(simulation: Simulation) -> None:
    simulation.add_clients(3)
    with pytest.raises(Invalid) as raised:
        simulation.create_mailing(segment=segment({"attribute": "age", "exists": True}))
    assert raised.value.errors[0].fault is Fault.NOBODY_TO_SEND_TO
