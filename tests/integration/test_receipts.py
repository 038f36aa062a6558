"""Receipts: what gateways say later of messages reaches the ledger and the counts, whenever and however it comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from chalicelib.domain.deliveries import deliveries_of, word_of
from chalicelib.domain.errors import NotFound
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import Message, Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.statuses import MessageStatus
from chalicelib.gateways.base import Answer, Callback
from chalicelib.services.receiving.received import ReceiptItem
from tests.support.receipts import delivered, tell, undelivered
from tests.support.world import World, new_world

WORKERS = {"tick": 1, "dispatcher": 3, "sender": 2, "receiver": 2}
ON = {"gateway_receipts": True, "public_url": "https://service.example"}
LOST = Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))


@pytest.fixture
def world() -> Iterator[World]:
    """With a gateway that recognises no ids, cannot be asked, and gives receipts."""
    with new_world(workers_of=WORKERS, gateway_recognises_ids=False, **ON) as world:
        world.gateway.asked = lambda gateway_id, nth: Answer(Outcome.UNCLEAR)
        yield world


def sent(world: World, clients: int = 3) -> tuple[Mailing, list[Message]]:
    """A mailing that has ended, and its messages."""
    world.add_clients(clients)
    mailing = world.create_mailing()
    world.run_until_finished(mailing)
    return mailing, world.rows(mailing)


def words(world: World, mailing: Mailing) -> Counter[str]:
    """What the ledger says of its messages."""
    return Counter(str(word_of(row, world.clock.now())) for row in world.rows(mailing))


def counted(world: World, mailing: Mailing) -> dict[str, int]:
    """What the mailing's counters say."""
    state, tally = world.services.statistics.detail(mailing.mailing_id)
    found = deliveries_of(tally.counters, state.statistics.by_status["sent"], tally.last_sent_at, world.clock.now())
    return {str(word): count for word, count in found.words.items() if count}


def test_receipts_are_written_and_counted(world: World) -> None:
    mailing, [first, second, third] = sent(world)
    before = {row.client_id: row.revision for row in world.rows(mailing)}
    world.clock.sleep(7)
    price = {"parts": 2, "price": "0.05", "currency": "EUR"}
    tell(world, delivered(first, **price), undelivered(second, permanent=True, reason="number_invalid"))
    world.run_for(20)

    assert words(world, mailing) == {"delivered": 1, "undelivered": 1, "pending": 1}
    assert counted(world, mailing) == {"delivered": 1, "undelivered": 1, "pending": 1}
    assert world.services.gauges.read().calls.by_word == {"delivered": 1, "undelivered": 1}
    rows = {row.client_id: row for row in world.rows(mailing)}
    told, failed = rows[first.client_id].delivery, rows[second.client_id].delivery
    assert told is not None
    assert (told.parts, told.price) == (2, "0.05 EUR")
    assert failed is not None
    assert (failed.cause, failed.permanent) == (Cause(Reason.NUMBER_INVALID), True)
    assert rows[third.client_id].delivery is None
    assert {row.client_id: row.revision for row in rows.values()} == before  # what senders write by stays


def test_silence_for_73_hours_is_no_word(world: World) -> None:
    mailing, [first, *_] = sent(world)
    tell(world, delivered(first))
    world.run_for(20)
    world.clock.sleep(72 * 3600)
    assert words(world, mailing) == {"delivered": 1, "pending": 2}
    world.clock.sleep(3600)
    assert words(world, mailing) == counted(world, mailing) == {"delivered": 1, "no_word": 2}


def test_twice_and_out_of_order_changes_nothing_and_delivered_never_goes_back(world: World) -> None:
    mailing, [first, second, _] = sent(world)
    tell(world, delivered(first), delivered(first), undelivered(second))
    world.run_for(20)
    for receipt in (undelivered(first, permanent=True), {**delivered(first), "status": "pending"}, delivered(second)):
        tell(world, receipt)
        world.run_for(20)
    assert words(world, mailing) == counted(world, mailing) == {"delivered": 2, "pending": 1}


def test_one_that_comes_before_the_outcome_is_written_waits_for_it(world: World) -> None:
    world.add_clients(1)
    said: list[str] = []

    def speak_first(gateway_id: int, nth: int) -> Answer:
        [row] = world.ledger_rows().values()
        if not said:
            tell(world, delivered(row))
            said.append(row.status)
        world.clock.sleep(1.5)
        return Answer(Outcome.ACCEPTED)

    world.gateway.script = speak_first
    mailing = world.create_mailing()
    world.run_for(60)
    assert said == [MessageStatus.SENDING]
    assert words(world, mailing) == counted(world, mailing) == {"delivered": 1}
    assert len(world.gateway.log) == 1


@pytest.mark.parametrize("word", ["delivered", "undelivered", "pending"])
def test_a_receipt_settles_an_unknown_outcome(world: World, word: str) -> None:
    world.gateway.script = lambda gateway_id, nth: LOST
    world.add_clients(1)
    mailing = world.create_mailing(lasts=7200)
    world.run_for(20)
    [row] = world.rows(mailing)
    assert (row.status, row.ask) == (MessageStatus.WAITING, True)  # it can come by a receipt, so that is waited for

    tell(world, {**delivered(row), "status": word})
    world.run_for(120)
    assert world.counts(mailing)["sent"] == 1
    assert words(world, mailing) == {word: 1}
    assert len(world.gateway.log) == 1
    assert world.status(mailing) == "finished"


def test_without_a_word_nobody_knows(world: World) -> None:
    world.gateway.script = lambda gateway_id, nth: LOST
    world.add_clients(1)
    mailing = world.create_mailing(lasts=7200)
    world.run_until_finished(mailing, limit=7300)
    assert world.counts(mailing) == {"total": 1, "unknown": 1}
    assert len(world.gateway.log) == 1

    [row] = world.rows(mailing)
    tell(world, delivered(row))  # late, when the mailing has ended
    world.run_for(300)
    assert world.counts(mailing) == {"total": 1, "sent": 1}
    assert counted(world, mailing) == {"delivered": 1}


def test_forged_receipts_are_dropped(world: World) -> None:
    mailing, [first, second, _] = sent(world)
    tell(world, {**delivered(first), "phone": "+79999999999"})
    tell(world, {**delivered(second), "message_id": second.message_id[:-3] + "aaa"})
    tell(world, {"message_id": "nonsense", "status": "delivered"}, {"status": "delivered"})
    with pytest.raises(NotFound):
        world.services.receipt_gate().take(Callback("default", "", "application/json", "{}"), "guessed")
    secret = world.services.receipt_links.secret("other")
    with pytest.raises(NotFound):
        world.services.receipt_gate().take(Callback("other", "", "application/json", "{}"), secret)
    world.run_for(30)
    assert words(world, mailing) == {"pending": 3}
    assert counted(world, mailing) == {"pending": 3}
    assert world.queue(world.settings.receipt_queue) == []


def test_what_was_refused_is_not_called_sent(world: World) -> None:
    world.gateway.script = lambda gateway_id, nth: Answer(Outcome.REFUSED, Cause.http(400), 400)
    mailing, [row] = sent(world, 1)
    tell(world, undelivered(row))
    world.run_for(20)
    assert world.counts(mailing)["failed"] == 1


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_receiver_that_is_killed_anywhere_loses_and_doubles_nothing(cut: int) -> None:
    with new_world(workers_of={**WORKERS, "receiver": 0}, gateway_recognises_ids=False, **ON) as world:
        mailing, rows = sent(world, 5)
        tell(world, *(delivered(row) for row in rows[:3]), undelivered(rows[3]))
        [body] = world.bodies(world.settings.receipt_queue)
        deadline = world.clock.now() + timedelta(seconds=60)
        with world.killed_at(cut) as calls:
            world.services.receiver().receive([ReceiptItem("1", body)], deadline)
        assert len(calls) == cut
        world.services.receiver().receive([ReceiptItem("1", body, receive_count=2)], deadline)
        world.run_for(300)
        assert words(world, mailing) == counted(world, mailing) == {"delivered": 3, "undelivered": 1, "pending": 1}


def test_a_receipt_says_nothing_where_they_are_off() -> None:
    with new_world(workers_of=WORKERS) as world:
        secret = world.services.receipt_links.secret("default")
        with pytest.raises(NotFound):
            world.services.receipt_gate().take(Callback("default", "", "application/json", "{}"), secret)
        assert world.services.receipt_links.url_for("default", "m") == ""


def test_the_address_names_the_message_and_hides_its_secret() -> None:
    with new_world(workers_of=WORKERS, **ON) as world:
        url = world.services.receipt_links.url_for("default", "m-1")
        secret = world.services.receipt_links.secret("default")
        assert url == f"https://service.example/gateway/receipts/default/{secret}?message_id=m-1"
        assert len(secret) == 40
        assert world.services.receipt_links.secret("other") != secret
