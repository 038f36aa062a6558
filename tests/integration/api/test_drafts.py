"""Drafts and names of mailings in the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import ClientBodyFactory, MailingBodyFactory
from tests.support.api import Api
from tests.support.campaign import Campaign

LATER = timedelta(hours=2)


def draft(api: Api, **fields: Any) -> dict:
    """A draft, as the API answers it."""
    reply = api.post("/api/mailing", MailingBodyFactory(**fields) | {"draft": True})
    assert reply.status == 201, reply.text
    return dict(reply.json)


def step(api: Api, mailing_id: str, name: str) -> int:
    """Take an action on a mailing; returns the HTTP status."""
    return api.post(f"/api/mailing/{mailing_id}/{name}").status


def test_nothing_of_a_draft_is_sent_when_its_time_comes(campaign: Campaign) -> None:
    """Expects no message and no unit, after its end either, and no count among scheduled mailings."""
    api = campaign.api
    campaign.add_clients(3)
    made = draft(api, lasts=timedelta(seconds=50))
    assert (made["status"], made["launched_at"]) == ("draft", None)
    assert api.queued_units() == []
    campaign.simulation.run_for(130)
    assert api.get(f"/api/mailing/{made['id']}").json["status"] == "draft"
    assert api.get("/api/messages").json["rows"] == []
    counted = {one["status"]: one["mailings"] for one in api.get("/api/mailing/stats").json["by_status"]}
    assert (counted["draft"], counted["scheduled"]) == (1, 0)
    assert api.get("/api/mailing", query={"status": "draft"}).json["total"] == 1


def test_a_draft_that_is_scheduled_is_sent_at_its_start(campaign: Campaign) -> None:
    """Expects it to wait for its start like any other, and a second scheduling to be refused."""
    api = campaign.api
    campaign.add_clients(3)
    mailing_id = draft(api, starts_in=timedelta(seconds=90))["id"]
    assert api.post(f"/api/mailing/{mailing_id}/schedule").json["status"] == "scheduled"
    campaign.simulation.run_for(60)
    assert api.get(f"/api/mailing/{mailing_id}").json["status"] == "scheduled"
    assert step(api, mailing_id, "schedule") == 409
    campaign.finish(mailing_id, limit=60)
    assert api.get(f"/api/mailing/{mailing_id}").json["counts"]["sent"] == 3


@pytest.mark.parametrize("action", ["schedule", "launch"])
def test_a_draft_whose_start_has_passed_is_sent_at_once(campaign: Campaign, action: str) -> None:
    """Expects it to be delivered within seconds, whether it is scheduled or launched."""
    campaign.add_clients(2)
    mailing_id = draft(campaign.api, starts_in=timedelta(minutes=-10), lasts=LATER)["id"]
    assert step(campaign.api, mailing_id, action) == 200
    campaign.finish(mailing_id, limit=30)
    assert campaign.api.get(f"/api/mailing/{mailing_id}").json["counts"]["sent"] == 2


def test_a_draft_can_be_launched_before_its_start(campaign: Campaign) -> None:
    """Expects it to start now, whatever its start is."""
    campaign.add_clients(2)
    mailing_id = draft(campaign.api, starts_in=LATER, lasts=timedelta(hours=3))["id"]
    assert step(campaign.api, mailing_id, "launch") == 200
    campaign.finish(mailing_id, limit=30)
    history = campaign.api.get(f"/api/history/{mailing_id}").json["events"]
    assert [one["status"] for one in history if one["what"] == "mailing"] == ["scheduled", "running", "finished"]


def test_a_draft_is_checked_again_when_it_is_scheduled(api: Api) -> None:
    """Expects a refusal if nobody matches now or its end has passed, and the draft to stay one."""
    mailing_id = draft(api)["id"]
    reply = api.post(f"/api/mailing/{mailing_id}/schedule")
    assert (reply.status, reply.json["code"]) == (409, "mailing_matches_nobody")
    api.post("/api/clients", ClientBodyFactory(tag="vip"))
    api.pass_time(hours=2)
    reply = api.post(f"/api/mailing/{mailing_id}/schedule")
    assert (reply.status, reply.json["code"]) == (409, "window_closed")
    assert api.get(f"/api/mailing/{mailing_id}").json["status"] == "draft"


def test_everything_of_a_draft_can_be_changed(api: Api) -> None:
    """Expects it to stay a draft, not to be launched by a change, and to be deletable at any time."""
    mailing_id = draft(api, starts_in=LATER)["id"]
    path = f"/api/mailing/{mailing_id}"
    changed = api.patch(path, {"text": "Other", "start_time": api.ahead(), "clients": {}})
    assert (changed.status, changed.json["status"], changed.json["text"]) == (200, "draft", "Other")
    assert api.put(path, MailingBodyFactory()).json["status"] == "draft"
    assert api.queued_units() == []
    for name in ("pause", "resume", "cancel", "retry"):
        assert api.post(f"{path}/{name}", {} if name == "retry" else None).status == 409
    assert api.delete(path).status == 204
    assert api.get(path).status == 404


def test_a_repeated_request_for_a_draft_creates_no_second_one(api: Api) -> None:
    """Expects the first answer again; the same body without `draft` is another request."""
    headers = {"Idempotency-Key": "one"}
    body = MailingBodyFactory(starts_in=LATER) | {"draft": True}
    first = api.post("/api/mailing", body, headers=headers)
    again = api.post("/api/mailing", body, headers=headers)
    assert (again.json["id"], again.json["status"]) == (first.json["id"], "draft")
    assert api.post("/api/mailing", body | {"draft": False}, headers=headers).status == 422


def test_a_mailing_is_called_by_its_name_or_the_beginning_of_its_text(api: Api) -> None:
    """Expects the name wherever the mailing is named, and the beginning of its text once the name is removed."""
    api.post("/api/clients", ClientBodyFactory(tag="vip"))
    named = api.post(
        "/api/mailing", MailingBodyFactory(starts_in=LATER, text="Hello") | {"name": " Spring  sale "}
    ).json
    assert named["name"] == "Spring  sale"
    path = f"/api/mailing/{named['id']}"
    assert api.get(f"{path}/stats").json["name"] == "Spring  sale"
    assert api.get("/api/mailing").json["rows"][0]["name"] == "Spring  sale"
    assert api.patch(path, {"name": None}).json["name"] == "Hello"
    assert api.patch(path, {"text": "x" * 200}).json["name"] == "x" * 59 + "…"


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb", 7])
def test_an_invalid_name_is_refused(api: Api, name: Any) -> None:
    """Expects 422 at the name."""
    reply = api.post("/api/mailing", MailingBodyFactory(starts_in=LATER) | {"name": name})
    assert reply.status == 422
    assert [error["field"] for error in reply.json["errors"]] == ["name"]
