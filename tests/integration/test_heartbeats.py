"""Heartbeats: stopped workers are reported by /health/ready, /metrics and the overview, and others are not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from app import app
from chalicelib import bootstrap
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.heartbeats import Heartbeat, Worker, silent
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from chalicelib.observability import MAILINGS_STALLED, invocation
from infra.local.workers import beat
from tests.factories import START
from tests.support.browsing import Browser, text_of
from tests.support.campaign import BROKEN, OK, Campaign, new_campaign
from tests.support.emf import emitted
from tests.support.full_run import captured


@pytest.fixture
def service() -> Iterator[Campaign]:
    """A service that sends, with a browser."""
    with new_campaign() as made:
        yield made


def metric(campaign: Campaign, name: str) -> float:
    """One line of /metrics."""
    found = re.search(rf"^message_service_{re.escape(name)} (\S+)$", campaign.api.get("/metrics").text, re.MULTILINE)
    assert found, name
    return float(found[1])


def test_stopped_senders_are_reported(service: Campaign) -> None:
    """Expects no trouble at first, and within 45 seconds a 503 that names them, the metric, and a warning in the UI."""
    service.simulation.services.heartbeats.beat(Worker.SENDER)
    browser = Browser(service.api)
    browser.sign_in()
    assert service.api.get("/health/ready").status == 200
    assert "has stopped" not in text_of(browser.get("/admin"))
    service.simulation.run_for(45)
    reply = service.api.get("/health/ready")
    assert (reply.status, "sender, last seen 2026-03-02 09:00:0" in reply.json["detail"]) == (503, True)
    assert metric(service, 'worker_unheard_seconds{worker="sender"}') >= 45
    for path in ("/admin", "/admin/overview/now"):
        assert re.search(
            r"The message sender has stopped. It was last active on .*2 Mar 2026, 09:00:0\d.*restart the service",
            browser.get(path).text,
            re.DOTALL,
        )
    service.simulation.services.heartbeats.beat(Worker.SENDER)
    assert service.api.get("/health/ready").status == 200
    assert "has stopped" not in text_of(browser.get("/admin"))


def test_a_stopped_tick_is_reported(service: Campaign) -> None:
    """Expects a heartbeat of the tick every minute, but none of workers that only work when there is work."""
    service.simulation.run_for(600)
    assert service.api.get("/health/ready").status == 200
    for task in service.simulation.scheduler.tasks:
        if task.name.startswith("tick"):
            service.simulation.scheduler.freeze(task)
    service.simulation.run_for(200)
    assert "tick, last seen 2026-03-02 09:10:0" in service.api.get("/health/ready").json["detail"]


def test_one_heartbeat_is_written_in_ten_seconds(service: Campaign) -> None:
    """Expects many threads that look every second to make six writes a minute, and a failing table to stop nobody."""
    beats = service.simulation.services.heartbeats
    service.simulation.aws.calls.clear()
    for _ in range(60):
        beats.beat(Worker.DISPATCHER)
        service.simulation.clock.sleep(1)
    assert len(service.simulation.aws.calls) <= 6

    def refuse(call: object) -> None:
        raise Unavailable("no table")

    service.simulation.aws.before = refuse
    service.simulation.clock.sleep(11)
    beats.beat(Worker.DISPATCHER)


def freeze(campaign: Campaign, worker: str, frozen: bool = True) -> None:
    """Stop all workers of a kind where they are, or let them go on."""
    scheduler = campaign.simulation.scheduler
    for task in scheduler.tasks:
        if task.name.startswith(worker):
            (scheduler.freeze if frozen else scheduler.thaw)(task)


def ticked(campaign: Campaign) -> float:
    """What a tick measures now."""
    with captured() as text, invocation("tick"):
        campaign.simulation.services.dispatcher.tick(campaign.simulation.clock.now() + timedelta(minutes=1))
    measured = [one.values for one in emitted(text.getvalue()) if one.name == MAILINGS_STALLED.name]
    ((value,),) = measured
    return value


def told(campaign: Campaign) -> set[float]:
    """The metrics of /metrics and of the tick; fails unless they agree."""
    return {metric(campaign, "stalled_mailings"), ticked(campaign)}


@pytest.mark.parametrize("worker", ["sender", "dispatcher"])
def test_a_mailing_without_progress_is_stalled(service: Campaign, worker: str) -> None:
    """Expects the metrics and a warning in the UI after five minutes, but not if it is paused or makes progress."""
    service.add_clients(20)
    mailing_id = service.order()
    launched = lambda: service.api.get(f"/api/mailing/{mailing_id}").json["status"] == "running"  # noqa: E731
    assert service.simulation.scheduler.run_until(START + timedelta(seconds=5), launched)
    freeze(service, worker)
    service.simulation.run_for(250)
    assert told(service) == {0}
    service.simulation.run_for(100)
    assert told(service) == {1}
    browser = Browser(service.api)
    browser.sign_in()
    assert "nothing has been sent for five minutes" in text_of(browser.get("/admin"))
    service.api.post(f"/api/mailing/{mailing_id}/pause")
    service.simulation.run_for(400)
    assert told(service) == {0}
    service.api.post(f"/api/mailing/{mailing_id}/resume")
    freeze(service, worker, frozen=False)
    service.finish(mailing_id)
    assert told(service) == {0}
    assert "nothing has been sent for five minutes" not in text_of(browser.get("/admin"))


def test_a_mailing_that_nobody_launches_is_stalled_too(service: Campaign) -> None:
    """Expects the tick to report it: the alarm about late starts knows only mailings that do start."""
    service.add_clients(1)
    freeze(service, "dispatcher")
    service.order()
    service.simulation.run_for(240)
    assert ticked(service) == 0
    service.simulation.run_for(100)
    assert ticked(service) == 1
    assert metric(service, "overdue_seconds") == 340


def test_a_mailing_that_waits_for_local_hours_is_not_stalled(service: Campaign) -> None:
    """Expects no alarm while everybody sleeps for hours, though nothing is sent."""
    service.add_clients(5, timezone="Asia/Vladivostok")
    service.order(local_window={"from": "09:00", "until": "12:00"}, end_time="2026-03-04T09:00:00Z")
    service.simulation.run_for(3600)
    assert (len(service.simulation.gateway.log), told(service)) == (0, {0})


def test_an_open_circuit_has_an_alarm_of_its_own(service: Campaign) -> None:
    """Expects none for a mailing that waits for the gateway, nor in the minutes after the circuit is closed."""
    service.add_clients(20)
    service.api.post("/api/gateway/hold", {"reason": "a test"})
    mailing_id = service.order()
    service.simulation.run_for(1800)
    assert told(service) == {0}
    freeze(service, "sender")
    service.api.post("/api/gateway/close", {})
    service.simulation.run_for(200)
    assert told(service) == {0}
    service.simulation.run_for(1200)
    assert told(service) == {1}
    freeze(service, "sender", frozen=False)
    service.finish(mailing_id)


def test_a_pause_that_the_gateway_asked_for_is_not_reported(service: Campaign) -> None:
    """Expects no alarm while nothing may be sent."""
    busy = Answer(Outcome.THROTTLED, Cause.http(429), 429, retry_after=300)
    service.simulation.gateway.script = lambda gateway_id, nth: (
        busy if len(service.simulation.gateway.log) < 200 else OK
    )
    service.add_clients(60)
    mailing_id = service.order()
    for _ in range(40):
        service.simulation.run_for(20)
        assert told(service) == {0}
    service.finish(mailing_id)


def test_senders_that_come_only_for_work_are_reported_only_if_work_waits(service: Campaign) -> None:
    """Expects no report in an idle service, and one within two minutes if senders do not take what waits."""
    service.send(3)
    service.simulation.run_for(1200)
    assert state(service) == {"state": "idle", "since": None, "running": 0, "paused": [], "silent": []}
    freeze(service, "sender")
    service.add_clients(3)
    mailing_id = service.order()
    service.simulation.run_for(10)
    assert state(service)["state"] == "waiting"
    service.simulation.run_for(110)
    told = state(service)
    assert (told["state"], [one["worker"] for one in told["silent"]]) == ("silent", ["sender"])
    assert told["since"] == told["silent"][0]["seen_at"] < "2026-03-02T09:01"
    assert service.api.get("/health/ready").status == 503
    freeze(service, "sender", frozen=False)
    service.simulation.run_for(11)
    assert (state(service)["silent"], service.api.get("/health/ready").status) == ([], 200)
    service.finish(mailing_id)


def test_senders_that_never_came_are_reported(service: Campaign) -> None:
    """Expects a warning on every page, without a time at which they were last seen."""
    freeze(service, "sender")
    service.add_clients(1)
    service.order()
    service.simulation.run_for(130)
    assert state(service)["silent"] == [{"worker": "sender", "seen_at": None}]
    assert "sender, never seen" in service.api.get("/health/ready").json["detail"]
    browser = Browser(service.api)
    browser.sign_in()
    for path in ("/admin", "/admin/clients"):
        assert "The message sender has not been seen yet. Nothing may be sent." in text_of(browser.get(path))


def test_every_page_says_who_paused_sending(service: Campaign) -> None:
    """Expects name, time and reason, also after somebody else has changed the rate, and on a mailing's page too."""
    browser = Browser(service.api)
    browser.sign_in()
    assert "No mailing is running." in text_of(browser.get("/admin/clients"))
    service.add_clients(9)
    mailing_id = service.order(rate_limit=1)
    service.simulation.run_for(3)
    assert "Messages are being sent." in text_of(browser.get("/admin/clients"))
    service.simulation.services.gateway_control.hold("olga", "wrong number")
    service.simulation.run_for(10)
    service.api.patch("/api/gateway", {"rate": 7})
    told = state(service)
    assert (told["state"], told["paused"][0]["by"], told["paused"][0]["reason"]) == ("held", "olga", "wrong number")
    line = text_of(browser.get("/admin/clients"))
    assert "Sending is paused by olga since 2 Mar 2026, 09:00" in line
    assert "wrong number" in line
    assert "paused by olga" in browser.get("/admin/sending").text
    assert text_of(browser.get(f"/admin/mailings/{mailing_id}")).count("Sending is paused by olga") == 2
    service.api.post("/api/gateway/close", {})
    service.simulation.run_for(3)
    assert state(service)["state"] == "sending"


def test_a_failing_gateway_is_reported_with_its_beginning(service: Campaign) -> None:
    """Expects it on every page while the circuit is open, and not after it is closed."""
    service.simulation.gateway.script = lambda gateway_id, nth: BROKEN
    service.add_clients(20)
    service.order()
    service.simulation.run_for(60)
    told = state(service)
    assert (told["state"], told["since"] is not None, told["paused"][0]["circuit"]) == ("trouble", True, "open")
    browser = Browser(service.api)
    browser.sign_in()
    assert "the gateway has been in trouble since 2 Mar 2026, 09:00" in text_of(browser.get("/admin/clients"))


def test_a_page_says_so_if_the_state_is_unknown(service: Campaign) -> None:
    """Expects the page, with a note that it is not known whether anything is sent."""
    browser = Browser(service.api)
    browser.sign_in()
    with mock.patch.object(service.simulation.services.sending, "look", side_effect=Unavailable("settings")):
        assert "It is not known whether messages are being sent" in text_of(browser.get("/admin/account"))


def state(campaign: Campaign) -> dict[str, Any]:
    """The answer of /api/sending."""
    reply = campaign.api.get("/api/sending")
    assert reply.status == 200, reply.text
    return dict(reply.json)


@pytest.mark.parametrize(("later", "told"), [(0, False), (34, False), (36, True), (-3600, True)])
def test_a_heartbeat_is_overdue_after_its_time(later: int, told: bool) -> None:
    """Expects one from before the clock was set back not to count, until the worker reports again."""
    beat = Heartbeat(Worker.SENDER, START, START + timedelta(seconds=35))
    assert (silent([beat], START + timedelta(seconds=later)) == [beat]) is told


def test_every_worker_of_a_local_run_can_report(service: Campaign) -> None:
    """Expects a heartbeat of each worker whose silence is reported, and no failure of the others."""
    with mock.patch.object(bootstrap, "get_services", return_value=service.simulation.services):
        for source in app.event_sources:
            beat(source.name)
    heard = {one.worker for one in service.simulation.services.heartbeats.read() if one.at}
    assert heard == set(Worker)
