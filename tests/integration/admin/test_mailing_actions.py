"""Launching, pausing, resuming, cancelling and deleting in the admin UI, each after a question that counts people."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from chalicelib.admin.mailing_actions import actions_of
from chalicelib.domain.statuses import MailingStatus
from tests.factories import START, MailingFactory
from tests.support.browsing import Browser, carried, text_of
from tests.support.campaign import Campaign


def question(browser: Browser, mailing_id: str, action: str) -> str:
    """The question before an action, on a page whose button does it."""
    page = browser.get(f"/admin/mailings/{mailing_id}/{action}")
    assert page.status == 200
    assert f'action="/admin/mailings/{mailing_id}/{action}"' in page.text
    return text_of(page)


def act(browser: Browser, mailing_id: str, action: str) -> str:
    """Do it; returns the page that follows."""
    path = f"/admin/mailings/{mailing_id}/{action}"
    reply = browser.post(path, carried(browser.get(path)) | {"step": "send"}, follow=False)
    assert reply.status == 303, text_of(reply)
    return reply.headers["location"]


def status(campaign: Campaign, mailing_id: str) -> str:
    """The mailing's status."""
    return str(campaign.api.get(f"/api/mailing/{mailing_id}").json["status"])


@pytest.fixture
def half_sent(campaign: Campaign) -> tuple[str, int]:
    """A mailing to 60 people that is being sent, and how many have got it."""
    campaign.add_clients(60)
    mailing_id = campaign.order(text="Half way", rate_limit=2)
    campaign.simulation.run_for(15)
    sent = campaign.api.get(f"/api/mailing/{mailing_id}").json["counts"]["sent"]
    assert 10 < sent < 50
    return mailing_id, sent


def test_a_mailing_is_launched_after_a_question(campaign: Campaign, on_call: Browser) -> None:
    """Expects how many people it reaches and leaves out, nothing done by asking, and then a start at once."""
    campaign.add_clients(5)
    campaign.add_clients(2, opted_out=True)
    mailing_id = campaign.order(text="Now or later", starts_in=timedelta(hours=3))
    asked = question(on_call, mailing_id, "launch")
    assert "Send this mailing now? 5 people will get it 2 will not get it: opted out" in asked
    assert "As people will get it Now or later" in asked
    assert status(campaign, mailing_id) == "scheduled"
    assert act(on_call, mailing_id, "launch") == f"/admin/mailings/{mailing_id}"
    campaign.finish(mailing_id)
    assert campaign.api.get(f"/api/mailing/{mailing_id}").json["counts"]["sent"] == 5


def test_a_running_mailing_is_paused_and_goes_on(
    campaign: Campaign, on_call: Browser, half_sent: tuple[str, int]
) -> None:
    """Expects both questions to count who has got it and who waits."""
    mailing_id, sent = half_sent
    asked = question(on_call, mailing_id, "pause")
    assert f"{60 - sent} people will wait until you resume it. {sent} already got it." in asked
    act(on_call, mailing_id, "pause")
    assert status(campaign, mailing_id) == "paused"
    assert re.search(r"\d\d people will get it. \d\d already got it.", question(on_call, mailing_id, "resume"))
    act(on_call, mailing_id, "resume")
    campaign.finish(mailing_id)


def test_a_running_mailing_is_cancelled(campaign: Campaign, on_call: Browser, half_sent: tuple[str, int]) -> None:
    """Expects those who will not get it to be counted, and their messages to be cancelled."""
    mailing_id, sent = half_sent
    asked = question(on_call, mailing_id, "cancel")
    assert f"Cancel this mailing? Half way {60 - sent} people will not get it. {sent} already got it." in asked
    act(on_call, mailing_id, "cancel")
    campaign.simulation.run_for(90)
    counts = campaign.api.get(f"/api/mailing/{mailing_id}").json["counts"]
    assert counts["sent"] + counts["cancelled"] == 60


def test_questions_about_a_scheduled_mailing_count_those_who_match(campaign: Campaign, on_call: Browser) -> None:
    """Expects the segment's size, since nobody has a message yet."""
    campaign.add_clients(7)
    mailing_id = campaign.order(starts_in=timedelta(hours=3))
    assert "7 people will not get it until you resume it." in question(on_call, mailing_id, "pause")
    act(on_call, mailing_id, "pause")
    asked = question(on_call, mailing_id, "resume")
    assert "7 people will get it. It starts on 2 Mar 2026, 12:00 , or right away if that time has passed." in asked
    assert "7 people will not get it. A cancelled mailing cannot be resumed." in question(on_call, mailing_id, "cancel")
    act(on_call, mailing_id, "cancel")
    assert status(campaign, mailing_id) == "cancelled"


def test_an_ended_mailing_is_deleted(campaign: Campaign, on_call: Browser) -> None:
    """Expects the question to say how many messages are deleted with it, and then the list."""
    mailing_id = campaign.send(4)
    asked = question(on_call, mailing_id, "delete")
    assert "The messages to 4 people and their history will be deleted too. This cannot be undone." in asked
    assert act(on_call, mailing_id, "delete") == "/admin/mailings"
    assert "The mailing was deleted." in text_of(on_call.get("/admin/mailings"))
    assert campaign.api.get(f"/api/mailing/{mailing_id}").status == 404


def test_an_action_that_is_no_longer_possible_is_explained(campaign: Campaign, on_call: Browser) -> None:
    """Expects the question again with the reason; 404 for a mailing that is gone."""
    mailing_id = campaign.send(2)
    on_call.get(f"/admin/mailings/{mailing_id}/pause")
    page = on_call.post(f"/admin/mailings/{mailing_id}/pause")
    assert page.status == 409
    assert "this mailing is finished and cannot become paused" in text_of(page)
    assert "Pause this mailing?" in text_of(page)
    assert on_call.get("/admin/mailings/01ARZ3NDEKTSV4RRFFQ69G5FAV/pause").status == 404
    assert on_call.post("/admin/mailings/01ARZ3NDEKTSV4RRFFQ69G5FAV/pause").status == 404


@pytest.mark.parametrize(
    ("given", "launched", "actions"),
    [
        ("draft", False, ["schedule", "launch", "delete"]),
        ("scheduled", False, ["launch", "pause", "cancel", "delete"]),
        ("running", True, ["pause", "cancel"]),
        ("paused", True, ["resume", "cancel"]),
        ("paused", False, ["resume", "cancel", "delete"]),
        ("finished", True, ["delete"]),
        ("cancelled", True, ["delete"]),
        ("expired", False, ["delete"]),
    ],
)
def test_only_possible_actions_are_offered(given: str, launched: bool, actions: list[str]) -> None:
    """Expects the buttons for each status."""
    mailing = MailingFactory(status=MailingStatus(given), launched_at=START if launched else None)
    assert actions_of(mailing) == actions
