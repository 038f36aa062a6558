"""/admin/queues: dead letters, put back or discarded."""

from __future__ import annotations

import html
import re
from unittest import mock

import pytest

from chalicelib.admin import queues
from chalicelib.services import dead_letters
from tests.support.browsing import Browser, text_of
from tests.support.campaign import Campaign


def letters(campaign: Campaign) -> list[str]:
    """The ids of the dead letters."""
    return [letter["id"] for letter in campaign.api.get("/api/dead-letters").json["rows"]]


def test_an_empty_dead_letter_queue_says_what_it_is_for(browser: Browser) -> None:
    """Expects an explanation of what comes here, and no buttons."""
    page = text_of(browser.get("/admin/queues"))
    assert "There are no failed messages" in page
    assert "Retry" not in page


def test_dead_letters_are_shown_with_reason_and_number(campaign: Campaign, on_call: Browser) -> None:
    """Expects each message by its number, with its status and reason, and the mailing by its name or text."""
    campaign.give_up(2)
    page = on_call.get("/admin/queues")
    text = text_of(page)
    assert "2 messages, the oldest failed on 2 Mar 2026, 09:0" in text
    assert text.count(" all attempts failed (3), last: HTTP 500 Retry Discard") == 2
    assert len(re.findall(r"\+7\d{10} failed", text)) == 2
    assert page.text.count('href="/admin/messages/') == 2
    assert page.text.count('href="/admin/mailings/') == 1


def test_failed_messages_are_grouped_by_mailing_and_reason(campaign: Campaign, on_call: Browser) -> None:
    """Expects each group's buttons to have its number, and to act on its own messages only."""
    campaign.give_up(2)
    mailing_id = campaign.api.get("/api/dead-letters").json["rows"][0]["mailing"]
    campaign.simulation.services.queues["send-dead"].send(["poison"])
    page = on_call.get("/admin/queues")
    text = text_of(page)
    assert "HTTP 500 2 2 Mar 2026" in text
    assert "Retry 2 messages Discard 2 messages" in text
    assert "Retry 3 messages Discard 3 messages" in text
    (group,) = set(re.findall(r'href="(/admin/queues/redrive\?mailing=[^"]*)"', page.text))
    group = html.unescape(group)
    assert mailing_id in group
    narrowed = text_of(on_call.get(group.replace("/redrive", "")))
    assert narrowed.count(" Retry Discard") == 2
    assert "poison" not in narrowed
    question = on_call.get(group)
    assert "Retry 2 messages?" in text_of(question)
    meant = re.findall(r'name="id" value="([^"]+)"', question.text)
    assert "2 messages are being retried." in text_of(on_call.post("/admin/queues/redrive", {"id": meant}))
    question = on_call.get("/admin/queues/discard?mailing=-")
    meant = re.findall(r'name="id" value="([^"]+)"', question.text)
    assert "1 failed message was discarded." in text_of(on_call.post("/admin/queues/discard", {"id": meant}))
    assert "There are no failed messages" in text_of(on_call.get("/admin/queues"))


def test_one_dead_letter_is_put_back(campaign: Campaign, on_call: Browser) -> None:
    """Expects its message to be sent again, and the others to stay."""
    campaign.give_up(3)
    ids = letters(campaign)
    on_call.get("/admin/queues")
    page = text_of(on_call.post("/admin/queues/redrive", {"id": ids[0]}))
    assert "1 message is being retried." in page
    assert "2 messages, the oldest failed" in page
    calls = len(campaign.simulation.gateway.log)
    campaign.simulation.run_for(60)
    assert len(campaign.simulation.gateway.log) == calls + 1


def test_all_dead_letters_are_put_back(campaign: Campaign, on_call: Browser) -> None:
    """Expects nothing to be left but what is not a message of ours, which stays with its reason."""
    campaign.give_up(3)
    campaign.simulation.services.queues["send-dead"].send(["poison"])
    on_call.get("/admin/queues")
    page = text_of(on_call.post("/admin/queues/redrive"))
    assert "3 messages are being retried." in page
    assert "1 could not be retried: this is not a message of this service." in page
    assert "poison" in page


def test_dead_letters_are_discarded_after_a_question(campaign: Campaign, on_call: Browser) -> None:
    """Expects the question to change nothing; then the chosen one to be gone, then all."""
    campaign.give_up(3)
    ids = letters(campaign)
    assert "Discard this failed message?" in text_of(on_call.get(f"/admin/queues/discard?id={ids[0]}"))
    assert "3 messages, the oldest failed" in text_of(on_call.get("/admin/queues"))
    page = text_of(on_call.post("/admin/queues/discard", {"id": ids[0]}))
    assert "1 failed message was discarded." in page
    question = on_call.get("/admin/queues/discard")
    assert "Discard 2 failed messages?" in text_of(question)
    meant = re.findall(r'name="id" value="([^"]+)"', question.text)
    assert sorted(meant) == sorted(ids[1:])
    assert "There are no failed messages" in text_of(on_call.post("/admin/queues/discard", {"id": meant}))


def test_a_dead_letter_that_is_gone_by_then_is_no_error(browser: Browser) -> None:
    """Expects the page of the queues to say so."""
    page = text_of(browser.get("/admin/queues/discard?id=00000000-0000-0000-0000-000000000000"))
    assert "This message is no longer there" in page
    assert "There are no failed messages" in page


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a look show two letters instead of a thousand, and a search for a named one go through four."""
    monkeypatch.setattr(dead_letters, "_LOOK", 2)
    monkeypatch.setattr(dead_letters, "_LOOK_FOR", 4)
    monkeypatch.setattr(queues, "MOST", 2)


@pytest.mark.usefixtures("few")
def test_it_is_said_if_there_are_more_failed_messages_than_shown(campaign: Campaign, on_call: Browser) -> None:
    """Expects page and questions to say that these are not all, and actions to apply to the named ones."""
    campaign.give_up(5)
    page = text_of(on_call.get("/admin/queues"))
    assert "5 messages. This page shows, counts, retries and discards 2 of them at a time" in page
    assert "the oldest failed" not in page
    for question in (on_call.get("/admin/queues/redrive"), on_call.get("/admin/queues/discard")):
        assert "Only 2 failed messages are looked at at a time: there may be more of these." in text_of(question)
    assert "2 messages are being retried." in text_of(on_call.post("/admin/queues/redrive"))
    assert "3 messages. This page shows" in text_of(on_call.get("/admin/queues"))


@pytest.mark.usefixtures("few")
def test_a_named_message_is_searched_for_beyond_the_first_look(campaign: Campaign, on_call: Browser) -> None:
    """Expects it to be found among more than one look holds, and those that are not found to be reported."""
    campaign.give_up(3)
    with mock.patch.object(dead_letters, "_LOOK", 1000):
        ids = letters(campaign)
    on_call.get("/admin/queues")
    assert "1 message is being retried." in text_of(on_call.post("/admin/queues/redrive", {"id": ids[2]}))
    page = text_of(on_call.post("/admin/queues/redrive", {"id": ids[2]}))
    assert "1 could not be retried: this failed message is no longer there, or somebody else is working on it." in page
    page = text_of(on_call.post("/admin/queues/discard", {"id": ids[1:]}))
    assert "1 failed message was discarded. 1 is no longer there, or somebody else is working on it." in page
    assert letters(campaign) == ids[:1]


def test_a_deleted_mailing_is_marked_as_deleted(campaign: Campaign, on_call: Browser) -> None:
    """Expects its failed messages to stay, without a link to the mailing."""
    campaign.give_up(1)
    (mailing_id,) = (one["mailing"] for one in campaign.api.get("/api/dead-letters").json["rows"])
    assert f'href="/admin/mailings/{mailing_id}"' in on_call.get("/admin/queues").text
    assert campaign.api.delete(f"/api/mailing/{mailing_id}").status == 204
    page = on_call.get("/admin/queues").text
    assert "a deleted mailing" in page
    assert f'href="/admin/mailings/{mailing_id}"' not in page
