"""Receipts: what gateways report later about messages reaches the ledger and the counts, whenever it comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from chalicelib.domain.deliveries import deliveries_of, delivery_status_of
from chalicelib.domain.errors import NotFound
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import Message, Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.statuses import MessageStatus
from chalicelib.gateways.base import Answer, Callback
from chalicelib.services.receiving.received import ReceiptItem
from tests.support.receipts import delivered, tell, undelivered
from tests.support.simulation import Simulation, new_simulation

WORKERS = {"tick": 1, "dispatcher": 3, "sender": 2, "receiver": 2}
ON = {"gateway_receipts": True, "public_url": "https://service.example"}
LOST = Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """With a gateway that recognises no ids, cannot be asked, and sends receipts."""
    with new_simulation(workers_of=WORKERS, gateway_recognises_ids=False, **ON) as simulation:
        simulation.gateway.asked = lambda gateway_id, nth: Answer(Outcome.UNCLEAR)
        yield simulation


def sent(simulation: Simulation, clients: int = 3) -> tuple[Mailing, list[Message]]:
    """A finished mailing, and its messages."""
    simulation.add_clients(clients)
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing)
    return mailing, simulation.rows(mailing)


def by_status(simulation: Simulation, mailing: Mailing) -> Counter[str]:
    """The messages' statuses in the ledger."""
    return Counter(str(delivery_status_of(row, simulation.clock.now())) for row in simulation.rows(mailing))


def counted(simulation: Simulation, mailing: Mailing) -> dict[str, int]:
    """The mailing's counters."""
    state, counters = simulation.services.statistics.detail(mailing.mailing_id)
    found = deliveries_of(
        counters.by_name, state.statistics.by_status["sent"], counters.last_sent_at, simulation.clock.now()
    )
    return {str(status): count for status, count in found.by_status.items() if count}


def test_receipts_are_written_and_counted(simulation: Simulation) -> None:
    mailing, [first, second, third] = sent(simulation)
    before = {row.client_id: row.revision for row in simulation.rows(mailing)}
    simulation.clock.sleep(7)
    price = {"parts": 2, "price": "0.05", "currency": "EUR"}
    tell(simulation, delivered(first, **price), undelivered(second, permanent=True, reason="number_invalid"))
    simulation.run_for(20)

    assert by_status(simulation, mailing) == {"delivered": 1, "undelivered": 1, "pending": 1}
    assert counted(simulation, mailing) == {"delivered": 1, "undelivered": 1, "pending": 1}
    assert simulation.services.gauges.read().calls.by_delivery == {"delivered": 1, "undelivered": 1}
    rows = {row.client_id: row for row in simulation.rows(mailing)}
    told, failed = rows[first.client_id].delivery, rows[second.client_id].delivery
    assert told is not None
    assert (told.parts, told.price) == (2, "0.05 EUR")
    assert failed is not None
    assert (failed.cause, failed.permanent) == (Cause(Reason.NUMBER_INVALID), True)
    assert rows[third.client_id].delivery is None
    assert {row.client_id: row.revision for row in rows.values()} == before  # what senders write by stays


def test_silence_for_73_hours_counts_as_no_receipt(simulation: Simulation) -> None:
    mailing, [first, *_] = sent(simulation)
    tell(simulation, delivered(first))
    simulation.run_for(20)
    simulation.clock.sleep(72 * 3600)
    assert by_status(simulation, mailing) == {"delivered": 1, "pending": 2}
    simulation.clock.sleep(3600)
    assert by_status(simulation, mailing) == counted(simulation, mailing) == {"delivered": 1, "no_receipt": 2}


def test_repeated_and_late_receipts_never_undo_a_delivery(simulation: Simulation) -> None:
    mailing, [first, second, _] = sent(simulation)
    tell(simulation, delivered(first), delivered(first), undelivered(second))
    simulation.run_for(20)
    for receipt in (undelivered(first, permanent=True), {**delivered(first), "status": "pending"}, delivered(second)):
        tell(simulation, receipt)
        simulation.run_for(20)
    assert by_status(simulation, mailing) == counted(simulation, mailing) == {"delivered": 2, "pending": 1}


def test_a_receipt_that_comes_before_the_outcome_is_written_waits_for_it(simulation: Simulation) -> None:
    simulation.add_clients(1)
    said: list[str] = []

    def speak_first(gateway_id: int, nth: int) -> Answer:
        [row] = simulation.ledger_rows().values()
        if not said:
            tell(simulation, delivered(row))
            said.append(row.status)
        simulation.clock.sleep(1.5)
        return Answer(Outcome.ACCEPTED)

    simulation.gateway.script = speak_first
    mailing = simulation.create_mailing()
    simulation.run_for(60)
    assert said == [MessageStatus.SENDING]
    assert by_status(simulation, mailing) == counted(simulation, mailing) == {"delivered": 1}
    assert len(simulation.gateway.log) == 1


@pytest.mark.parametrize("status", ["delivered", "undelivered", "pending"])
def test_a_receipt_settles_an_unknown_outcome(simulation: Simulation, status: str) -> None:
    simulation.gateway.script = lambda gateway_id, nth: LOST
    simulation.add_clients(1)
    mailing = simulation.create_mailing(lasts=7200)
    simulation.run_for(20)
    [row] = simulation.rows(mailing)
    assert (row.status, row.ask) == (MessageStatus.WAITING, True)  # it can come by a receipt, so that is waited for

    tell(simulation, {**delivered(row), "status": status})
    simulation.run_for(120)
    assert simulation.counts(mailing)["sent"] == 1
    assert by_status(simulation, mailing) == {status: 1}
    assert len(simulation.gateway.log) == 1
    assert simulation.status(mailing) == "finished"


def test_without_a_receipt_the_outcome_stays_unknown(simulation: Simulation) -> None:
    simulation.gateway.script = lambda gateway_id, nth: LOST
    simulation.add_clients(1)
    mailing = simulation.create_mailing(lasts=7200)
    simulation.run_until_finished(mailing, limit=7300)
    assert simulation.counts(mailing) == {"total": 1, "unknown": 1}
    assert len(simulation.gateway.log) == 1

    [row] = simulation.rows(mailing)
    tell(simulation, delivered(row))  # late, when the mailing has ended
    simulation.run_for(300)
    assert simulation.counts(mailing) == {"total": 1, "sent": 1}
    assert counted(simulation, mailing) == {"delivered": 1}


def test_forged_receipts_are_dropped(simulation: Simulation) -> None:
    mailing, [first, second, _] = sent(simulation)
    tell(simulation, {**delivered(first), "phone": "+79999999999"})
    tell(simulation, {**delivered(second), "message_id": second.message_id[:-3] + "aaa"})
    tell(simulation, {"message_id": "nonsense", "status": "delivered"}, {"status": "delivered"})
    with pytest.raises(NotFound):
        simulation.services.receipt_gate().take(Callback("default", "", "application/json", "{}"), "guessed")
    secret = simulation.services.receipt_links.secret("other")
    with pytest.raises(NotFound):
        simulation.services.receipt_gate().take(Callback("other", "", "application/json", "{}"), secret)
    simulation.run_for(30)
    assert by_status(simulation, mailing) == {"pending": 3}
    assert counted(simulation, mailing) == {"pending": 3}
    assert simulation.queue(simulation.settings.receipt_queue) == []


def test_a_refused_message_never_becomes_sent(simulation: Simulation) -> None:
    simulation.gateway.script = lambda gateway_id, nth: Answer(Outcome.REFUSED, Cause.http(400), 400)
    mailing, [row] = sent(simulation, 1)
    tell(simulation, undelivered(row))
    simulation.run_for(20)
    assert simulation.counts(mailing)["failed"] == 1


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_receiver_that_is_killed_anywhere_neither_loses_nor_doubles_a_receipt(cut: int) -> None:
    with new_simulation(workers_of={**WORKERS, "receiver": 0}, gateway_recognises_ids=False, **ON) as simulation:
        mailing, rows = sent(simulation, 5)
        tell(simulation, *(delivered(row) for row in rows[:3]), undelivered(rows[3]))
        [body] = simulation.bodies(simulation.settings.receipt_queue)
        deadline = simulation.clock.now() + timedelta(seconds=60)
        with simulation.killed_at(cut) as calls:
            simulation.services.receiver().receive([ReceiptItem("1", body)], deadline)
        assert len(calls) == cut
        simulation.services.receiver().receive([ReceiptItem("1", body, receive_count=2)], deadline)
        simulation.run_for(300)
        assert (
            by_status(simulation, mailing)
            == counted(simulation, mailing)
            == {"delivered": 3, "undelivered": 1, "pending": 1}
        )


def test_receipts_are_ignored_if_they_are_off() -> None:
    with new_simulation(workers_of=WORKERS) as simulation:
        secret = simulation.services.receipt_links.secret("default")
        with pytest.raises(NotFound):
            simulation.services.receipt_gate().take(Callback("default", "", "application/json", "{}"), secret)
        assert simulation.services.receipt_links.url_for("default", "m") == ""


def test_the_address_names_the_message_and_hides_its_secret() -> None:
    with new_simulation(workers_of=WORKERS, **ON) as simulation:
        url = simulation.services.receipt_links.url_for("default", "m-1")
        secret = simulation.services.receipt_links.secret("default")
        assert url == f"https://service.example/gateway/receipts/default/{secret}?message_id=m-1"
        assert len(secret) == 40
        assert simulation.services.receipt_links.secret("other") != secret
