"""The rate of a mailing counts the time in which it could send: without its pauses, and without those of all
sending."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from tests.support.aws import Call
from tests.support.campaign import OK, Campaign, new_campaign

PEOPLE, RATE = 40, 2
REFUSED = Answer(Outcome.REFUSED, Cause.http(400), 400)


@pytest.fixture
def mailing_id(campaign: Campaign) -> str:
    """A mailing that takes 20 seconds, of which ten seconds have passed."""
    campaign.add_clients(PEOPLE)
    mailing_id = campaign.order(rate_limit=RATE)
    campaign.simulation.run_for(10)
    return mailing_id


def stats(campaign: Campaign, mailing_id: str) -> dict[str, Any]:
    reply = campaign.api.get(f"/api/mailing/{mailing_id}/stats")
    assert reply.status == 200, reply.text
    return dict(reply.json)


def hold(campaign: Campaign, seconds: float) -> timedelta:
    """Pause all sending for so long; returns how long it was."""
    began = campaign.simulation.clock.now()
    assert campaign.api.post("/api/gateway/hold", {}).status == 200
    campaign.simulation.run_for(seconds)
    assert campaign.api.post("/api/gateway/close", {}).status == 200
    return campaign.simulation.clock.now() - began


def rate_without(told: dict[str, Any], still: timedelta) -> float:
    """Messages a second between the first and the last, without so much of that time."""
    first, last = (datetime.fromisoformat(told[name]) for name in ("first_sent_at", "last_sent_at"))
    return round((told["by_status"]["sent"] - 1) / (last - first - still).total_seconds(), 3)


def read(campaign: Campaign, mailing_id: str) -> Mailing:
    return campaign.simulation.services.mailings.get(mailing_id)


def test_a_pause_of_all_sending_does_not_lower_the_rate(campaign: Campaign, mailing_id: str) -> None:
    """Expects the rate over the time of sending, and the same after later pauses and without the list of changes."""
    still = hold(campaign, 60)
    campaign.finish(mailing_id)
    told = stats(campaign, mailing_id)
    assert told["rate"] == rate_without(told, still) == pytest.approx(RATE / 1.1, abs=0.2)
    forget_the_trail(campaign)
    hold(campaign, 60)
    assert stats(campaign, mailing_id)["rate"] == told["rate"]


def forget_the_trail(campaign: Campaign) -> None:
    model = campaign.simulation.services.gateway_control._repository._model
    for row in model.query("gateway-changes"):
        row.delete()


def test_overlapping_pauses_count_once(campaign: Campaign, mailing_id: str) -> None:
    """Expects a mailing that is paused during a pause of all sending, and resumed later, to have stood still
    throughout."""
    path, began = f"/api/mailing/{mailing_id}", campaign.simulation.clock.now()
    campaign.api.post("/api/gateway/hold", {})
    campaign.simulation.run_for(20)
    campaign.api.post(f"{path}/pause", {})
    campaign.simulation.run_for(20)
    campaign.api.post("/api/gateway/close", {})
    campaign.simulation.run_for(20)
    assert campaign.api.post(f"{path}/resume", {}).status == 200
    still = campaign.simulation.clock.now() - began
    campaign.finish(mailing_id)
    told = stats(campaign, mailing_id)
    assert told["rate"] == rate_without(told, still)


def test_a_retried_mailing_keeps_the_stops_of_its_first_run(campaign: Campaign) -> None:
    """Expects neither the stops of both runs nor the days between them to lower its rate."""
    campaign.add_clients(PEOPLE)
    places: dict[int, int] = {}  # ids are drawn; which message gets which answer is not
    campaign.simulation.gateway.script = lambda gateway_id, nth: (
        REFUSED if places.setdefault(gateway_id, len(places)) % 4 == 3 else OK
    )
    mailing_id = campaign.order(rate_limit=RATE)
    campaign.simulation.run_for(10)
    still = hold(campaign, 100)
    campaign.finish(mailing_id)
    forget_the_trail(campaign)
    campaign.simulation.gateway.script = lambda gateway_id, nth: OK
    finished = read(campaign, mailing_id).finished_at
    assert finished is not None
    campaign.simulation.run_for(60)
    assert campaign.api.post(f"/api/mailing/{mailing_id}/retry", {}).status == 200
    still += campaign.simulation.clock.now() - finished
    campaign.simulation.run_for(3)
    still += hold(campaign, 50)
    campaign.finish(mailing_id)
    told = stats(campaign, mailing_id)
    assert told["by_status"]["sent"] == PEOPLE
    assert told["rate"] == rate_without(told, still)
    assert len(read(campaign, mailing_id).stops) == 2


def test_a_running_mailing_has_no_rate_while_all_sending_is_paused(campaign: Campaign, mailing_id: str) -> None:
    """Expects neither rate nor time left, and then those of the seconds after the pause."""
    before = stats(campaign, mailing_id)
    assert before["rate"] == pytest.approx(RATE / 1.1, abs=0.3)
    campaign.api.post("/api/gateway/hold", {})
    for seconds in (2, 58):
        campaign.simulation.run_for(seconds)
        told = stats(campaign, mailing_id)
        assert (told["rate"], told["seconds_left"], told["status"]) == (None, None, "running")
    campaign.api.post("/api/gateway/close", {})
    campaign.simulation.run_for(10)
    told = stats(campaign, mailing_id)
    assert told["rate"] == pytest.approx(RATE / 1.1, abs=0.6)
    assert told["seconds_left"] == pytest.approx(told["result"]["open"] / told["rate"], abs=1)


def test_holding_one_of_several_gateways_is_no_pause_for_all() -> None:
    """Expects it to be one only for a mailing that names that gateway."""
    with new_campaign(several=True) as campaign:
        campaign.add_clients(PEOPLE)
        both, one = campaign.order(rate_limit=RATE), campaign.order(rate_limit=RATE, gateway="other")
        campaign.simulation.run_for(10)
        first, other = (line.control for line in campaign.simulation.services.gateways)
        other.hold("tester")
        campaign.simulation.run_for(3)
        assert (stats(campaign, both)["rate"] is None, stats(campaign, one)["rate"] is None) == (False, True)
        first.hold("tester")
        began = campaign.simulation.clock.now()
        campaign.simulation.run_for(5)
        assert stats(campaign, both)["rate"] is None
        other.close("tester")
        stopped = campaign.simulation.clock.now()
        campaign.simulation.run_for(2)
        assert stats(campaign, both)["rate"] is not None
        first.close("tester")
        campaign.finish(both)
        campaign.finish(one)
        assert read(campaign, both).stops == ((began, stopped),)
        ((since, until),) = read(campaign, one).stops
        assert (since < began, until) == (True, stopped)


def test_a_mailing_without_a_stop_reads_no_list_of_changes(campaign: Campaign) -> None:
    """Expects earlier pauses and another rate of the gateway to cost it nothing, and to be stored nowhere in it."""
    campaign.add_clients(PEOPLE)
    hold(campaign, 5)
    mailing_id = campaign.order(rate_limit=RATE)
    campaign.simulation.run_for(10)
    campaign.api.patch("/api/gateway", {"rate": 70})
    asked = queries(campaign)
    campaign.finish(mailing_id)
    assert not any(b"gateway-changes" in body for body in asked)
    assert read(campaign, mailing_id).stops == ()
    held = campaign.order(text="Again", rate_limit=RATE)
    campaign.simulation.run_for(10)
    hold(campaign, 5)
    campaign.finish(held)
    assert sum(b"gateway-changes" in body for body in asked) == 1


def queries(campaign: Campaign) -> list[bytes]:
    """The queries of tables from now on."""
    asked: list[bytes] = []
    before = campaign.simulation.aws.before

    def note(call: Call) -> None:
        if call.operation.endswith("Query"):
            asked.append(call.body)
        before(call)

    campaign.simulation.aws.before = note
    return asked
