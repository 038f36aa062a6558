"""The end of a window: it comes in its second, and can be moved until the mailing is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from chalicelib.domain.local_window import LocalWindow, WindowPolicy
from chalicelib.domain.mailings import Mailing
from chalicelib.services.dead_letters import DeadLetters
from chalicelib.services.dispatching import completion, reopening
from tests.support.aws import Call
from tests.support.campaign import Campaign, new_campaign
from tests.support.simulation import Simulation


@pytest.fixture
def campaign() -> Iterator[Campaign]:
    with new_campaign() as made:
        yield made


@pytest.fixture
def simulation(campaign: Campaign) -> Simulation:
    return campaign.simulation


def patch_end(campaign: Campaign, mailing: Mailing | str, **ahead: float) -> dict[str, Any]:
    """Move the end to so far from now; fails unless the API does it."""
    mailing_id = mailing if isinstance(mailing, str) else mailing.mailing_id
    reply = campaign.api.patch(f"/api/mailing/{mailing_id}", {"end_time": campaign.api.ahead(**ahead)})
    assert reply.status == 200, reply.text
    return reply.json


def statuses(simulation: Simulation, mailing: Mailing) -> dict[str, int]:
    return dict(Counter(str(row.status) for row in simulation.rows(mailing)))


def expect_all_sent(simulation: Simulation, mailing: Mailing, count: int) -> None:
    assert statuses(simulation, mailing) == {"sent": count}
    assert simulation.counts(mailing) == {"total": count, "sent": count}
    assert set(simulation.gateway.calls().values()) == {1}


# -- it comes


@pytest.mark.parametrize(("rate", "seconds"), [(5, 2), (1, 5)])
@pytest.mark.parametrize(
    "lasts", [41.3, 75.0, *(pytest.param(lasts, marks=pytest.mark.proof) for lasts in (119.0, 200.7))]
)
def test_a_mailing_is_over_two_seconds_after_its_end(
    simulation: Simulation, lasts: float, rate: int, seconds: float
) -> None:
    """Wherever it is between two ticks; nobody is called after it, and the rest expires.

    At a low rate senders hold messages whose turn is up to four seconds later.
    """
    simulation.add_clients(300)
    mailing = simulation.create_mailing(lasts=lasts, rate_limit=rate)
    if rate > 1:
        simulation.run_for(5)
        simulation.services.gateway_control.hold("tester")
        simulation.run_for(lasts - 5.5)
    else:
        simulation.run_for(lasts - 0.5)
    assert simulation.status(mailing) == "running"
    simulation.run_for(0.5 + seconds)
    assert simulation.status(mailing) == "finished"
    counts = simulation.counts(mailing)
    assert counts["sent"] + counts["expired"] == counts["total"] == 300
    assert max(call.at for call in simulation.gateway.log) < mailing.end_at


def test_a_paused_mailing_is_over_after_its_end_too(simulation: Simulation) -> None:
    """Expects everything that was not sent to be expired."""
    simulation.add_clients(60)
    mailing = simulation.create_mailing(lasts=100, rate_limit=1)
    simulation.run_for(20)
    simulation.services.mailing_actions.pause(mailing.mailing_id)
    simulation.run_for(83)
    assert simulation.status(mailing) == "finished"
    assert set(statuses(simulation, mailing)) == {"sent", "expired"}


def test_a_call_that_is_still_running_when_the_window_closes_is_waited_for(simulation: Simulation) -> None:
    """But not until the next tick: the call ends a second after the window, and the mailing within two more."""
    simulation.gateway.latency = timedelta(seconds=1.9)
    simulation.add_clients(1)
    simulation.services.gateway_control.hold("tester")
    mailing = simulation.create_mailing(lasts=61)
    simulation.run_for(58)
    simulation.services.gateway_control.close("tester")  # the next tick has it sent
    simulation.run_for(3.5)
    assert simulation.status(mailing) == "running"
    assert len(simulation.gateway.log) == 1
    simulation.run_for(3)
    assert simulation.status(mailing) == "finished"
    expect_all_sent(simulation, mailing, 1)


def test_an_end_that_is_moved_forward_counts_in_its_second(campaign: Campaign, simulation: Simulation) -> None:
    """By PATCH, to before the next tick and to long after it."""
    simulation.add_clients(150)
    for seconds in (20, 95):
        mailing = simulation.create_mailing(lasts=7200, rate_limit=1, text=f"for {seconds}")
        simulation.run_for(10)
        patch_end(campaign, mailing, seconds=seconds)
        simulation.run_for(seconds - 0.5)
        assert simulation.status(mailing) == "running"
        simulation.run_for(5.5)
        assert simulation.status(mailing) == "finished"
        assert (
            max(call.at for call in simulation.gateway.log)
            < simulation.services.mailings.get(mailing.mailing_id).end_at
        )


# -- it is moved


def slow_down(simulation: Simulation, worker: str, operation: str, seconds: float) -> None:
    """Let the AWS calls of a kind of worker take time."""
    others = simulation.aws.before

    def slowly(call: Call) -> None:
        task = simulation.scheduler.current
        if task and task.name.startswith(worker) and call.operation == operation:
            simulation.clock.sleep(seconds)
        others(call)

    simulation.aws.before = slowly


@pytest.mark.parametrize("large", [False, True])
def test_an_end_that_is_moved_while_rows_are_closed_counts(
    campaign: Campaign, simulation: Simulation, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    """Some have expired already: they are reopened, the others stay open, and everybody gets the message."""
    monkeypatch.setattr(completion, "_PAGE", 5)
    monkeypatch.setattr(reopening, "_PAGE", 5)
    monkeypatch.setattr(completion, "AT_ONCE", 50 if large else 20_000)
    simulation.add_clients(200)
    simulation.services.gateway_control.set_rate(1, "tester")
    mailing = simulation.create_mailing(lasts=70)
    slow_down(simulation, "dispatcher", "dynamodb.BatchExecuteStatement", 1.0)
    simulation.run_for(74)
    expired = statuses(simulation, mailing).get("expired", 0)
    assert 0 < expired < 120
    patch_end(campaign, mailing, hours=2)
    simulation.services.gateway_control.set_rate(None, "tester")
    simulation.run_until_finished(mailing, limit=400)
    expect_all_sent(simulation, mailing, 200)


@pytest.mark.usefixtures("sixteen_shards")
@pytest.mark.parametrize("seconds", [20, 50])
def test_a_worker_that_sleeps_while_the_end_is_moved_expires_nobody_for_good(seconds: float) -> None:
    """It read a page of rows before, and writes after all others were reopened, or after these were looked at twice."""
    with new_campaign(workers_of={"tick": 1, "dispatcher": 8, "sender": 2}) as campaign:
        simulation = campaign.simulation
        simulation.add_clients(60)
        simulation.services.gateway_control.hold("tester")
        mailing = simulation.create_mailing(lasts=70)
        slept: list[str] = []
        moved_at = simulation.clock.now() + timedelta(seconds=73)
        others = simulation.aws.before

        def sleep_before(call: Call) -> None:
            closing = call.operation == "dynamodb.BatchExecuteStatement" and b"window_closed" in call.body
            if closing and simulation.clock.now() < moved_at:
                slept.append(call.operation)
                simulation.clock.sleep(seconds)
            others(call)

        simulation.aws.before = sleep_before
        simulation.run_for(73)
        assert slept
        assert statuses(simulation, mailing) == {"queued": 60}
        patch_end(campaign, mailing, hours=2)
        simulation.run_for(seconds)
        expired = statuses(simulation, mailing).get("expired", 0)
        assert expired > 0
        simulation.run_for(60)
        assert statuses(simulation, mailing).get("expired", 0) == (expired if seconds > 30 else 0)
        simulation.services.gateway_control.close("tester")
        simulation.run_until_finished(mailing, limit=300)
        expect_all_sent(simulation, mailing, 60)


def test_clients_whose_hours_begin_after_the_old_end_are_reopened(campaign: Campaign, simulation: Simulation) -> None:
    """In New York it is four in the morning; the mailing ends at noon there, then in the evening."""
    for operator, zone in (("916", "Europe/London"), ("917", "America/New_York")):
        simulation.add_clients(10, operator=operator, timezone=zone)
    window = LocalWindow.parse("09:00", "18:00", WindowPolicy.DEFER)
    # So that it still runs: nobody in London is sent to yet.
    simulation.services.gateway_control.hold("tester")
    mailing = simulation.create_mailing(lasts=4 * 3600, local_window=window)
    simulation.run_for(120)
    assert statuses(simulation, mailing) == {"queued": 10, "expired": 10}
    patch_end(campaign, mailing, hours=10)
    simulation.run_for(10)
    assert statuses(simulation, mailing) == {"queued": 10, "waiting": 10}
    simulation.services.gateway_control.close("tester")
    simulation.run_until_finished(mailing, limit=8 * 3600)
    expect_all_sent(simulation, mailing, 20)
    zones = {client.phone_number: client.timezone for client in simulation.everybody()}
    assert all(window.allows(call.at, zones[call.phone_number]) for call in simulation.gateway.log)


def test_clients_whose_hours_still_begin_too_late_stay_expired(campaign: Campaign, simulation: Simulation) -> None:
    """Expects the mailing to end, although its end was moved."""
    simulation.add_clients(10, operator="916", timezone="Europe/London")
    simulation.add_clients(10, operator="917", timezone="America/New_York")
    window = LocalWindow.parse("09:00", "18:00", WindowPolicy.DEFER)
    mailing = simulation.create_mailing(lasts=3600, local_window=window, rate_limit=1)
    simulation.run_for(3)
    patch_end(campaign, mailing, hours=2)
    simulation.run_until_finished(mailing, limit=200)
    assert simulation.counts(mailing) == {"total": 20, "sent": 10, "expired": 10}


@pytest.mark.usefixtures("sixteen_shards")
def test_a_paused_mailing_reopens_what_expired(campaign: Campaign, simulation: Simulation) -> None:
    """The end is moved while the mailing is being closed, and the mailing is resumed later."""
    simulation.add_clients(60)
    mailing = simulation.create_mailing(lasts=70, rate_limit=1)
    simulation.run_for(10)
    simulation.services.mailing_actions.pause(mailing.mailing_id)
    slow_down(simulation, "dispatcher", "dynamodb.BatchExecuteStatement", 1.0)
    simulation.run_for(64)
    assert statuses(simulation, mailing)["expired"] > 0
    patch_end(campaign, mailing, hours=2)
    simulation.run_for(200)
    assert set(statuses(simulation, mailing)) <= {"sent", "queued", "waiting"}
    assert simulation.status(mailing) == "paused"
    simulation.services.mailing_actions.resume(mailing.mailing_id)
    simulation.run_until_finished(mailing, limit=400)
    expect_all_sent(simulation, mailing, 60)


def test_an_end_that_is_moved_twice_is_the_last_one(campaign: Campaign, simulation: Simulation) -> None:
    """Later, and then earlier again."""
    simulation.add_clients(300)
    mailing = simulation.create_mailing(lasts=600, rate_limit=1)
    simulation.run_for(20)
    patch_end(campaign, mailing, hours=2)
    simulation.run_for(20)
    patch_end(campaign, mailing, seconds=45)
    simulation.run_for(47)
    assert simulation.status(mailing) == "finished"
    assert simulation.counts(mailing)["expired"] > 200


@pytest.mark.usefixtures("sixteen_shards")
def test_a_mailing_that_is_cancelled_while_rows_are_reopened_ends(campaign: Campaign, simulation: Simulation) -> None:
    """Every row is final, sent or cancelled, whoever was reopening what."""
    simulation.add_clients(60)
    simulation.services.gateway_control.hold("tester")
    mailing = simulation.create_mailing(lasts=70)
    slow_down(simulation, "dispatcher", "dynamodb.BatchExecuteStatement", 1.0)
    simulation.run_for(74)
    assert statuses(simulation, mailing).get("expired", 0) > 0
    patch_end(campaign, mailing, hours=2)
    simulation.run_for(1.5)
    simulation.services.mailing_actions.cancel(mailing.mailing_id)
    simulation.run_for(90)
    ended = simulation.services.mailings.get(mailing.mailing_id)
    assert dict(ended.final) == statuses(simulation, mailing)
    assert set(statuses(simulation, mailing)) <= {"expired", "cancelled"}
    assert not ended.reopening


# -- once it has finished


def test_the_end_of_a_finished_mailing_is_moved_and_what_expired_is_retried(
    campaign: Campaign, simulation: Simulation
) -> None:
    """What one error suggests, the other allows: `retry` asks for the end to be moved, and `PATCH` moves it."""
    simulation.add_clients(60)
    mailing = simulation.create_mailing(lasts=30, rate_limit=1)
    simulation.run_for(40)
    api, path = campaign.api, f"/api/mailing/{mailing.mailing_id}"
    expired = simulation.counts(mailing)["expired"]
    assert expired > 25
    assert "set a later end first" in api.post(f"{path}/retry", {}).json["detail"]
    told = api.patch(path, {"text": "Another", "end_time": api.ahead(hours=1)})
    assert told.status == 409
    assert "only budget, end_time" in told.json["detail"]
    moved = patch_end(campaign, mailing, hours=1)
    assert (moved["status"], moved["counts"]["expired"]) == ("finished", expired)
    simulation.run_for(120)
    assert simulation.counts(mailing)["expired"] == expired
    assert api.post(f"{path}/retry", {}).json["status"] == "running"
    simulation.run_until_finished(mailing, limit=300)
    expect_all_sent(simulation, mailing, 60)


def test_a_retry_reopens_failed_and_expired_messages(campaign: Campaign, simulation: Simulation) -> None:
    """Both in one mailing, each with its attempts."""
    mailing_id = campaign.give_up(3, end_time=campaign.api.ahead(seconds=30), rate_limit=1)
    mailing = simulation.services.mailings.get(mailing_id)
    simulation.add_clients(0)
    before = statuses(simulation, mailing)
    patch_end(campaign, mailing_id, hours=1)
    campaign.api.post(f"/api/mailing/{mailing_id}/retry", {})
    simulation.run_until_finished(mailing, limit=300)
    assert before["failed"] == 3
    assert statuses(simulation, mailing) == {"sent": 8}


def test_a_retry_without_a_moved_end_reopens_only_failed_messages(campaign: Campaign, simulation: Simulation) -> None:
    """Clients who could not be called in time cannot be called now."""
    simulation.add_clients(5, tag="vip", operator="917", timezone="America/New_York")
    mailing_id = campaign.give_up(2, local_window={"from": "09:00", "until": "18:00"})
    mailing = simulation.services.mailings.get(mailing_id)
    assert statuses(simulation, mailing) == {"sent": 5, "failed": 2, "expired": 5}
    campaign.api.post(f"/api/mailing/{mailing_id}/retry", {})
    simulation.run_until_finished(mailing, limit=300)
    assert statuses(simulation, mailing) == {"sent": 7, "expired": 5}


# -- a retry that is cancelled


def test_a_retry_that_is_cancelled_at_once_shows_its_true_state_at_once(
    campaign: Campaign, simulation: Simulation
) -> None:
    """Messages that were not reopened yet stay failed, and the mailing is over in a second."""
    mailing_id = campaign.give_up(3)
    campaign.api.post(f"/api/mailing/{mailing_id}/retry", {})
    answer = campaign.api.post(f"/api/mailing/{mailing_id}/cancel").json
    assert (answer["status"], answer["counts"]["failed"], answer["counts"]["queued"]) == ("cancelled", 3, 0)
    mailing = simulation.services.mailings.get(mailing_id)
    for seconds in (1, 5, 60, 120):
        simulation.run_for(seconds)
        assert simulation.counts(mailing) == {"total": 8, "sent": 5, "failed": 3}
        assert statuses(simulation, mailing) == {"sent": 5, "failed": 3}
        assert simulation.services.mailings.get(mailing_id).final


@pytest.mark.parametrize("after", [0.05, 0.3, 1.2])
def test_a_retry_that_is_cancelled_later_ends_within_seconds(
    campaign: Campaign, simulation: Simulation, after: float
) -> None:
    """What was reopened and not sent is cancelled; what is being sent at this moment is sent."""
    mailing_id = campaign.give_up(3)
    simulation.gateway.latency = timedelta(seconds=1)
    campaign.api.post(f"/api/mailing/{mailing_id}/retry", {})
    simulation.run_for(after)
    campaign.api.post(f"/api/mailing/{mailing_id}/cancel")
    simulation.run_for(5)
    ended = simulation.services.mailings.get(mailing_id)
    assert dict(ended.final) == statuses(simulation, ended)
    assert ended.final
    assert set(statuses(simulation, ended)) <= {"sent", "cancelled", "failed"}


def test_a_retry_that_is_cancelled_halfway_leaves_nothing_open(campaign: Campaign, simulation: Simulation) -> None:
    """The dispatcher that reopens messages sleeps through the cancelling, and writes after it."""
    mailing_id = campaign.give_up(3)
    slept: list[float] = []
    others = simulation.aws.before

    def sleep_once(call: Call) -> None:
        if call.operation == "dynamodb.BatchExecuteStatement" and b"put_back" in call.body and not slept:
            slept.append(1)
            simulation.clock.sleep(10)
        others(call)

    simulation.aws.before = sleep_once
    campaign.api.post(f"/api/mailing/{mailing_id}/retry", {})
    simulation.run_for(2)
    assert slept
    campaign.api.post(f"/api/mailing/{mailing_id}/cancel")
    simulation.run_for(100)
    ended = simulation.services.mailings.get(mailing_id)
    assert ended.final
    assert dict(ended.final) == statuses(simulation, ended)
    assert set(statuses(simulation, ended)) <= {"sent", "cancelled", "failed"}


# -- dead letters


def test_dead_letters_of_sent_messages_reopen_no_mailing(campaign: Campaign, simulation: Simulation) -> None:
    """They were reopened by a retry that left the dead letters, and sent: the mailing stays as it is."""
    mailing_id = campaign.give_up(3)
    with mock.patch.object(DeadLetters, "settle"):
        campaign.api.post(f"/api/mailing/{mailing_id}/retry", {})
        mailing = simulation.services.mailings.get(mailing_id)
        simulation.run_until_finished(mailing)
    before = simulation.services.mailings.get(mailing_id)
    assert campaign.api.post("/api/dead-letters/redrive", {}).json == {"put_back": 0, "settled": 3, "refused": {}}
    assert simulation.services.mailings.get(mailing_id) == before


def test_two_retries_at_once_leave_nothing_open(campaign: Campaign, simulation: Simulation) -> None:
    """One is done while the other is halfway: the mailing does not end before both are."""
    mailing_id = campaign.give_up(3)
    mailing = simulation.services.mailings.get(mailing_id)
    one, two = [row.client_id for row in simulation.rows(mailing) if row.status == "failed"][:2]
    others, nested = simulation.aws.before, []

    def second(call: Call) -> None:
        if call.operation == "dynamodb.BatchExecuteStatement" and not nested:
            nested.append(1)
            assert simulation.services.dead_letters.put_back(mailing_id, [two]) == (1, set())
            simulation.run_for(70)
            assert simulation.status(mailing) == "running"
        others(call)

    simulation.aws.before = second
    assert simulation.services.dead_letters.put_back(mailing_id, [one]) == (1, set())
    assert nested
    simulation.run_until_finished(mailing, limit=200)
    assert statuses(simulation, mailing) == {"sent": 7, "failed": 1}
    assert simulation.counts(mailing) == {"total": 8, "sent": 7, "failed": 1}
