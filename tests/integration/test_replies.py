"""Replies: what people write back is kept once, with whose it is, however gateways tell it and whoever forges it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from chalicelib.api.exposition import exposition
from chalicelib.domain.errors import NotFound
from chalicelib.domain.replies import MAX_TEXT, Keyword, Reply
from chalicelib.gateways.base import Callback
from chalicelib.services.receiving import replies
from chalicelib.services.receiving.received import ReceiptItem
from tests.support.receipts import delivered, tell, write_back
from tests.support.world import World, new_world

WORKERS = {"tick": 1, "dispatcher": 3, "sender": 2, "receiver": 2}
ON = {"gateway_receipts": True, "public_url": "https://service.example", "retain_days": 30}
NOBODY = "+447700900123"


@pytest.fixture
def world() -> Iterator[World]:
    with new_world(workers_of=WORKERS, **ON) as world:
        yield world


def said(phone: str, text: str = "Thanks", **more: Any) -> dict[str, Any]:
    return {"id": "in-1", "phone": phone, "text": text} | more


def kept(world: World, client_id: str = "") -> list[Reply]:
    return [*world.services.replies().list(client_id, "", 50)[0]]


def test_a_reply_is_kept_with_its_client_and_the_message_that_it_answers(world: World) -> None:
    [client] = world.add_clients(1)
    mailing = world.create_mailing()
    world.run_until_finished(mailing)
    [row] = world.rows(mailing)
    at = world.clock.now() - timedelta(seconds=3)
    answer = said(client.phone_number, " Stop! ", to="+447700900999", at=at.isoformat(), message_id=row.message_id)
    write_back(world, answer, said(NOBODY, "Who is this?", id="in-2", message_id=row.message_id))
    world.run_for(20)

    stranger, reply = sorted(kept(world), key=lambda one: one.phone_number == client.phone_number)
    assert (reply.client_id, reply.message_id, reply.keyword) == (client.client_id, row.message_id, Keyword.STOP)
    assert (reply.text, reply.to, reply.gateway) == (" Stop! ", "+447700900999", "default")
    assert reply.at == at <= reply.received_at
    # Nobody's number, and the message went to another.
    assert (stranger.client_id, stranger.message_id, stranger.keyword) == ("", "", None)
    assert kept(world, client.client_id) == [reply]
    assert world.services.clients.get(client.client_id).opted_out is False  # nothing acts on it yet
    assert world.queue(world.settings.receipt_queue) == []


def test_told_twice_it_is_kept_once(world: World) -> None:
    without_id = {"phone": NOBODY, "text": "Yes"}
    for _ in range(2):
        write_back(world, said(NOBODY), said(NOBODY), without_id)
        world.run_for(20)
    assert sorted(reply.text for reply in kept(world)) == ["Thanks", "Yes"]


def test_the_newest_come_first_and_pages_lose_none(world: World) -> None:
    for place in range(7):
        write_back(world, said(NOBODY, str(place), id=f"in-{place}"))
        world.run_for(10)
    texts: list[str] = []
    place = ""
    for _ in range(4):
        rows, place = world.services.replies().list("", place, 2)
        texts += [reply.text for reply in rows]
        if not place:
            break
    assert texts == ["6", "5", "4", "3", "2", "1", "0"]


def test_it_is_forgotten_when_messages_are(world: World) -> None:
    write_back(world, said(NOBODY))
    world.run_for(20)
    world.clock.sleep(30 * 86400 - 60)
    assert len(kept(world)) == 1
    world.clock.sleep(60)
    assert kept(world) == []


def test_it_is_kept_for_ever_if_messages_are() -> None:
    with new_world(workers_of=WORKERS, **{**ON, "retain_days": 0}) as world:
        write_back(world, said(NOBODY))
        world.run_for(20)
        world.clock.sleep(400 * 86400)
        assert len(kept(world)) == 1


def test_forged_and_nonsense_ones_are_dropped(world: World) -> None:
    gate = world.services.receipt_gate()
    body = json.dumps(said(NOBODY))
    for gateway, secret in (("default", "guessed"), ("other", world.services.receipt_links.secret("other"))):
        with pytest.raises(NotFound):
            gate.take_reply(Callback(gateway, "", "application/json", body), secret)
    for nonsense in ("", "{", "[]", "null", "7", '{"replies": 7}', '{"replies": [7, null]}', "a=b", "\x00\ud800"):
        gate.take_reply(
            Callback("default", "", "application/json", nonsense), world.services.receipt_links.secret("default")
        )
    write_back(world, said("MyBank"), said(""), said(NOBODY, text=["Hi"]), {"text": "Hi"})
    world.run_for(60)
    assert kept(world) == []
    assert world.queue(world.settings.receipt_queue) == []


def test_what_cannot_be_stored_or_shown_is_left_out(world: World) -> None:
    write_back(world, said(NOBODY, "a\x00\ud800b" + "x" * 60_000, id="i" * 10_000, to="<script>"))
    world.run_for(20)
    [reply] = kept(world)
    assert reply.text.startswith("a?b")
    assert len(reply.text) <= MAX_TEXT
    assert reply.to == ""


def test_receipts_and_replies_of_one_batch_do_not_disturb_each_other(world: World) -> None:
    [client] = world.add_clients(1)
    mailing = world.create_mailing()
    world.run_until_finished(mailing)
    [row] = world.rows(mailing)
    write_back(world, said(client.phone_number))
    tell(world, delivered(row))
    write_back(world, "nonsense")
    world.run_for(20)
    [row] = world.rows(mailing)
    assert row.delivery is not None
    assert len(kept(world, client.client_id)) == 1


def test_aws_tells_by_its_topic(world: World) -> None:
    event = {
        "originationNumber": NOBODY,
        "destinationNumber": "+12125550101",
        "messageKeyword": "KEYWORD_1",
        "messageBody": "СТОП",
        "inboundMessageId": "cae173d2-66b9-564c-8309-21f858e9fb84",
        "previousPublishedMessageId": "an-id-of-aws",
    }
    item = ReceiptItem("1", json.dumps({"Type": "Notification", "Message": json.dumps(event)}))
    deadline = world.clock.now() + timedelta(seconds=60)
    assert world.services.receiver().receive([item, ReceiptItem("2", json.dumps(event))], deadline) == []
    [reply] = kept(world)
    assert (reply.phone_number, reply.to, reply.keyword) == (NOBODY, "+12125550101", Keyword.STOP)


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_receiver_that_is_killed_anywhere_loses_and_doubles_nothing(cut: int) -> None:
    with new_world(workers_of={**WORKERS, "receiver": 0}, **ON) as world:
        [client] = world.add_clients(1)
        write_back(world, said(client.phone_number), said(NOBODY, id="in-2"))
        [body] = world.bodies(world.settings.receipt_queue)
        deadline = world.clock.now() + timedelta(seconds=60)
        with world.killed_at(cut) as calls:
            world.services.receiver().receive([ReceiptItem("1", body)], deadline)
        assert len(calls) == cut
        assert world.services.receiver().receive([ReceiptItem("1", body, receive_count=2)], deadline) == []
        assert len(kept(world)) == 2
        assert len(kept(world, client.client_id)) == 1


def test_there_are_none_where_receipts_are_off() -> None:
    with new_world(workers_of=WORKERS) as world:
        secret = world.services.receipt_links.secret("default")
        with pytest.raises(NotFound):
            world.services.receipt_gate().take_reply(Callback("default", "", "application/json", "{}"), secret)
        assert world.services.receipt_links.reply_url("default") == ""


def test_a_flood_is_dropped_and_counted_and_the_next_minute_is_another(world: World) -> None:
    with mock.patch.object(replies, "MOST_A_MINUTE", 3):
        write_back(world, *(said(NOBODY, id=f"in-{place}") for place in range(5)))
        world.run_for(20)
        assert len(kept(world)) == 3
        assert world.services.gauges.read().calls.by_fate == {"kept": 3, "dropped": 2}
        world.run_for(60)
        write_back(world, said(NOBODY, id="in-9"), said(NOBODY, id="in-0"))  # one of them is known
        world.run_for(20)
    assert len(kept(world)) == world.services.replies().total() == 4
    assert 'message_service_replies_total{fate="dropped"} 2.0' in exposition(world.services.gauges.read())
    assert world.queue(world.settings.receipt_queue) == []
