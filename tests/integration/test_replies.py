"""Replies: what people write back is kept once, with its client, whatever gateways repeat and whoever forges it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from chalicelib.api.exposition import exposition
from chalicelib.api.replies import ReplyView
from chalicelib.domain.errors import NotFound
from chalicelib.domain.replies import MAX_TEXT, Keyword, Reply
from chalicelib.gateways.base import Callback
from chalicelib.services.receiving import replies
from chalicelib.services.receiving.received import ReceiptItem
from tests.support.receipts import delivered, tell, write_back
from tests.support.simulation import Simulation, new_simulation

WORKERS = {"tick": 1, "dispatcher": 3, "sender": 2, "receiver": 2}
ON = {"gateway_receipts": True, "public_url": "https://service.example", "retain_days": 30}
NOBODY = "+447700900123"


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with new_simulation(workers_of=WORKERS, **ON) as simulation:
        yield simulation


def said(phone: str, text: str = "Thanks", **more: Any) -> dict[str, Any]:
    return {"id": "in-1", "phone": phone, "text": text} | more


def kept(simulation: Simulation, client_id: str = "") -> list[Reply]:
    return [*simulation.services.replies().list(client_id, "", 50)[0]]


def test_a_reply_is_kept_with_its_client_and_the_message_that_it_answers(simulation: Simulation) -> None:
    [client] = simulation.add_clients(1)
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing)
    [row] = simulation.rows(mailing)
    at = simulation.clock.now() - timedelta(seconds=3)
    answer = said(client.phone_number, " Stop! ", to="+447700900999", at=at.isoformat(), message_id=row.message_id)
    write_back(simulation, answer, said(NOBODY, "Who is this?", id="in-2", message_id=row.message_id))
    simulation.run_for(20)

    stranger, reply = sorted(kept(simulation), key=lambda one: one.phone_number == client.phone_number)
    assert (reply.client_id, reply.message_id, reply.keyword) == (client.client_id, row.message_id, Keyword.STOP)
    assert (reply.text, reply.to, reply.gateway) == (" Stop! ", "+447700900999", "default")
    assert reply.at == at <= reply.received_at
    titles = simulation.services.mailings.titles([reply.mailing_id, stranger.mailing_id])
    views = [ReplyView.of(one, titles) for one in (reply, stranger)]
    assert [(one.mailing, one.mailing_name) for one in views] == [(mailing.mailing_id, mailing.title), (None, None)]
    # Nobody's number, and the message went to another.
    assert (stranger.client_id, stranger.message_id, stranger.keyword) == ("", "", None)
    assert kept(simulation, client.client_id) == [reply]
    assert simulation.services.clients.get(client.client_id).opted_out is False  # nothing acts on it yet
    assert simulation.queue(simulation.settings.receipt_queue) == []


def test_a_repeated_reply_is_kept_once(simulation: Simulation) -> None:
    without_id = {"phone": NOBODY, "text": "Yes"}
    for _ in range(2):
        write_back(simulation, said(NOBODY), said(NOBODY), without_id)
        simulation.run_for(20)
    assert sorted(reply.text for reply in kept(simulation)) == ["Thanks", "Yes"]


def test_the_newest_come_first_and_pages_lose_none(simulation: Simulation) -> None:
    for place in range(7):
        write_back(simulation, said(NOBODY, str(place), id=f"in-{place}"))
        simulation.run_for(10)
    texts: list[str] = []
    place = ""
    for _ in range(4):
        rows, place = simulation.services.replies().list("", place, 2)
        texts += [reply.text for reply in rows]
        if not place:
            break
    assert texts == ["6", "5", "4", "3", "2", "1", "0"]


def test_it_is_deleted_when_messages_are(simulation: Simulation) -> None:
    write_back(simulation, said(NOBODY))
    simulation.run_for(20)
    simulation.clock.sleep(30 * 86400 - 60)
    assert len(kept(simulation)) == 1
    simulation.clock.sleep(60)
    assert kept(simulation) == []


def test_it_is_kept_for_ever_if_messages_are() -> None:
    with new_simulation(workers_of=WORKERS, **{**ON, "retain_days": 0}) as simulation:
        write_back(simulation, said(NOBODY))
        simulation.run_for(20)
        simulation.clock.sleep(400 * 86400)
        assert len(kept(simulation)) == 1


def test_forged_and_invalid_replies_are_dropped(simulation: Simulation) -> None:
    gate = simulation.services.receipt_gate()
    body = json.dumps(said(NOBODY))
    for gateway, secret in (("default", "guessed"), ("other", simulation.services.receipt_links.secret("other"))):
        with pytest.raises(NotFound):
            gate.take_reply(Callback(gateway, "", "application/json", body), secret)
    for nonsense in ("", "{", "[]", "null", "7", '{"replies": 7}', '{"replies": [7, null]}', "a=b", "\x00\ud800"):
        gate.take_reply(
            Callback("default", "", "application/json", nonsense), simulation.services.receipt_links.secret("default")
        )
    write_back(simulation, said("MyBank"), said(""), said(NOBODY, text=["Hi"]), {"text": "Hi"})
    simulation.run_for(60)
    assert kept(simulation) == []
    assert simulation.queue(simulation.settings.receipt_queue) == []


def test_what_cannot_be_stored_or_shown_is_left_out(simulation: Simulation) -> None:
    write_back(simulation, said(NOBODY, "a\x00\ud800b" + "x" * 60_000, id="i" * 10_000, to="<script>"))
    simulation.run_for(20)
    [reply] = kept(simulation)
    assert reply.text.startswith("a?b")
    assert len(reply.text) <= MAX_TEXT
    assert reply.to == ""


def test_receipts_and_replies_of_one_batch_do_not_disturb_each_other(simulation: Simulation) -> None:
    [client] = simulation.add_clients(1)
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing)
    [row] = simulation.rows(mailing)
    write_back(simulation, said(client.phone_number))
    tell(simulation, delivered(row))
    write_back(simulation, "nonsense")
    simulation.run_for(20)
    [row] = simulation.rows(mailing)
    assert row.delivery is not None
    assert len(kept(simulation, client.client_id)) == 1


def test_replies_from_aws_come_by_its_topic(simulation: Simulation) -> None:
    event = {
        "originationNumber": NOBODY,
        "destinationNumber": "+12125550101",
        "messageKeyword": "KEYWORD_1",
        "messageBody": "СТОП",
        "inboundMessageId": "cae173d2-66b9-564c-8309-21f858e9fb84",
        "previousPublishedMessageId": "an-id-of-aws",
    }
    item = ReceiptItem("1", json.dumps({"Type": "Notification", "Message": json.dumps(event)}))
    deadline = simulation.clock.now() + timedelta(seconds=60)
    assert simulation.services.receiver().receive([item, ReceiptItem("2", json.dumps(event))], deadline) == []
    [reply] = kept(simulation)
    assert (reply.phone_number, reply.to, reply.keyword) == (NOBODY, "+12125550101", Keyword.STOP)


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_receiver_that_is_killed_anywhere_neither_loses_nor_doubles_a_reply(cut: int) -> None:
    with new_simulation(workers_of={**WORKERS, "receiver": 0}, **ON) as simulation:
        [client] = simulation.add_clients(1)
        write_back(simulation, said(client.phone_number), said(NOBODY, id="in-2"))
        [body] = simulation.bodies(simulation.settings.receipt_queue)
        deadline = simulation.clock.now() + timedelta(seconds=60)
        with simulation.killed_at(cut) as calls:
            simulation.services.receiver().receive([ReceiptItem("1", body)], deadline)
        assert len(calls) == cut
        assert simulation.services.receiver().receive([ReceiptItem("1", body, receive_count=2)], deadline) == []
        assert len(kept(simulation)) == 2
        assert len(kept(simulation, client.client_id)) == 1


def test_there_are_no_replies_if_receipts_are_off() -> None:
    with new_simulation(workers_of=WORKERS) as simulation:
        secret = simulation.services.receipt_links.secret("default")
        with pytest.raises(NotFound):
            simulation.services.receipt_gate().take_reply(Callback("default", "", "application/json", "{}"), secret)
        assert simulation.services.receipt_links.reply_url("default") == ""


def test_a_flood_is_dropped_and_counted_until_the_next_minute(simulation: Simulation) -> None:
    with mock.patch.object(replies, "MOST_A_MINUTE", 3):
        write_back(simulation, *(said(NOBODY, id=f"in-{place}") for place in range(5)))
        simulation.run_for(20)
        assert len(kept(simulation)) == 3
        assert simulation.services.gauges.read().calls.by_fate == {"kept": 3, "dropped": 2}
        simulation.run_for(60)
        write_back(simulation, said(NOBODY, id="in-9"), said(NOBODY, id="in-0"))  # one of them is known
        simulation.run_for(20)
    assert len(kept(simulation)) == simulation.services.replies().total() == 4
    assert 'message_service_replies_total{fate="dropped"} 2.0' in exposition(simulation.services.gauges.read())
    assert simulation.queue(simulation.settings.receipt_queue) == []
