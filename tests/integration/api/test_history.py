"""/api/history/: everything about a mailing, a message or a client, in order."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from chalicelib.services.history import SHOWN
from tests.support.api import Api
from tests.support.campaign import Campaign

OK, BROKEN = Answer(Outcome.ACCEPTED, http_status=200), Answer(Outcome.FAILED, Cause.http(503), 503)


def history(campaign: Campaign, about: str) -> dict[str, Any]:
    """The history of an id; fails unless its events are in order, and contain no phone number and no text."""
    reply = campaign.api.get(f"/api/history/{about}")
    assert reply.status == 200, reply.text
    moments = [datetime.fromisoformat(event["at"]) for event in reply.json["events"]]
    assert moments == sorted(moments)
    assert "+7916" not in reply.text
    found: dict[str, Any] = reply.json
    return found


def told(events: list[dict[str, Any]], *keys: str) -> list[tuple[Any, ...]]:
    """The values of these keys in the events."""
    return [tuple(event[key] for key in keys) for event in events]


@pytest.fixture
def tried_twice(campaign: Campaign) -> dict[str, Any]:
    """A message that was sent at the second attempt."""
    campaign.simulation.gateway.script = lambda gateway_id, nth: BROKEN if nth == 1 else OK
    mailing_id = campaign.send(1)
    (row,) = campaign.api.get("/api/messages", query={"mailing": mailing_id}).json["rows"]
    found: dict[str, Any] = row
    return found


def test_the_history_of_a_message_goes_from_order_to_end(campaign: Campaign, tried_twice: dict[str, Any]) -> None:
    """Expects each attempt with outcome, status and duration, among the events of its mailing."""
    found = history(campaign, tried_twice["id"])
    assert (found["id"], found["kind"], found["complete"]) == (tried_twice["id"], "message", True)
    own = [event for event in found["events"] if event["message"] == tried_twice["id"]]
    assert told(own, "what", "status", "number", "outcome", "duration_ms", "http_status", "reason") == [
        ("written to the ledger", None, None, None, None, None, None),
        ("attempt", None, 1, "failed", 20, 503, "HTTP 503"),
        ("attempt", None, 2, "accepted", 20, 200, None),
        ("message", "sent", None, None, None, None, None),
    ]
    others = [event for event in found["events"] if event not in own]
    assert told(others, "what", "status", "mailing", "message", "by") == [
        ("ordered", None, tried_twice["mailing"], None, "admin"),
        ("mailing", "running", tried_twice["mailing"], None, None),
        ("mailing", "finished", tried_twice["mailing"], None, None),
    ]


def test_the_history_of_a_client_has_their_messages(campaign: Campaign, tried_twice: dict[str, Any]) -> None:
    """Expects messages of all mailings; what happened to the mailings is in their own histories."""
    found = history(campaign, tried_twice["client"])
    assert (found["kind"], found["complete"]) == ("client", True)
    assert [what for (what,) in told(found["events"], "what")] == [
        "client created",
        "written to the ledger",
        "attempt",
        "attempt",
        "message",
    ]


def test_a_deleted_client_still_has_a_history(campaign: Campaign, tried_twice: dict[str, Any]) -> None:
    """Expects a client that never existed not to be found."""
    assert campaign.api.delete(f"/api/clients/{tried_twice['client']}").status == 204
    found = history(campaign, tried_twice["client"])
    assert [what for (what,) in told(found["events"], "what")].count("attempt") == 2


def test_the_history_of_a_mailing_has_its_states_and_messages(campaign: Campaign) -> None:
    """Expects pauses, too, and the first and last message sent."""
    campaign.add_clients(3)
    mailing_id = campaign.order(start_time=campaign.api.ahead(minutes=5))
    for step in ("pause", "resume"):
        assert campaign.api.post(f"/api/mailing/{mailing_id}/{step}").status == 200
    campaign.finish(mailing_id)
    found = history(campaign, mailing_id)
    assert (found["kind"], found["complete"]) == ("mailing", True)
    states = [status for what, status in told(found["events"], "what", "status") if what == "mailing"]
    assert states == ["paused", "scheduled", "running", "finished"]
    steps = [what for (what,) in told(found["events"], "what")]
    assert steps.count("attempt") == 3
    assert (steps.count("first message sent"), steps.count("last message sent")) == (1, 1)


def test_only_messages_in_trouble_are_listed_if_there_are_many(campaign: Campaign) -> None:
    """Expects a note that there are more."""
    bad: set[int] = set()

    def script(gateway_id: int, nth: int) -> Answer:
        if len(bad) < 2:
            bad.add(gateway_id)
        return Answer(Outcome.REFUSED, Cause.http(400), 400) if gateway_id in bad else OK

    campaign.simulation.gateway.script = script
    mailing_id = campaign.send(SHOWN + 10)
    found = history(campaign, mailing_id)
    assert found["complete"] is False
    assert len({event["client"] for event in found["events"] if event["client"]}) == SHOWN
    ends = [status for what, status in told(found["events"], "what", "status") if what == "message"]
    assert ends.count("failed") == 2


@pytest.mark.parametrize("about", ["nobody", "0" * 26, "a" * 16, f"{'0' * 26}-{'a' * 16}"])
def test_an_unknown_id_is_not_found(api: Api, about: str) -> None:
    """Whatever it looks like."""
    assert api.get(f"/api/history/{about}").status == 404
