"""Has every function do everything that it can do, and notes which permission each of its calls needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import time, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

from botocore.exceptions import ConnectionClosedError

from chalicelib import workers
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailings import Mailing, OnUnknown
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.segments import Segment
from chalicelib.domain.statuses import MessageStatus
from chalicelib.gateways.base import Answer
from chalicelib.queues import Hint, Unit
from chalicelib.services.dispatching.checks import AT_ONCE
from chalicelib.services.mailing_fields import MailingFields
from chalicelib.storage import older_attempts
from infra.local.lambda_context import LambdaContext
from tests.contract.calls import permissions_for
from tests.contract.packaged import PARAMETERS, Permission
from tests.support.api import Api, new_api
from tests.support.aws import Call
from tests.support.receipts import delivered, tell, undelivered, write_back
from tests.support.simulation import START, Simulation, new_simulation

# SES, which the functions use on AWS.
REPORTING = {"report_to": "ops@example.com", "report_from": PARAMETERS["ReportIdentity"], "mail_url": "ses:"}
OPENS_LATER = LocalWindow(time(14), time(15))  # two hours after the start, where the late ones live


@dataclass
class Recorder:
    """Notes the calls of the function that is running; "" stands for the test itself."""

    function: Callable[[], str]
    used: defaultdict[str, set[Permission]] = field(default_factory=lambda: defaultdict(set))

    def note(self, call: Call) -> None:
        self.used[self.function()] |= permissions_for(call)


# -- tick, dispatcher, sender


def record_workers() -> dict[str, set[Permission]]:
    """What the functions that are started by the schedule and the queues need."""
    with _recorded_simulation() as (simulation, recorder):
        simulation.add_clients(300)
        simulation.add_clients(20, tag="late", timezone="Europe/Moscow")
        _a_slow_mailing(simulation)
        _a_mailing_to_one_who_is_tried_again(simulation)
        _a_mailing_with_trouble(simulation)
        _a_mailing_to_an_operator(simulation)
        _mailings_that_are_stopped(simulation)
        _more_than_a_tick_looks_at(simulation)
        _a_stalled_mailing(simulation)
        _a_mailing_over_its_budget(simulation)
        _an_import(simulation)
        _receipts(simulation)
    return {name: recorder.used[name] for name in ("tick", "dispatcher", "sender", "receiver")}


@contextmanager
def _recorded_simulation() -> Iterator[tuple[Simulation, Recorder]]:
    receipts = {"gateway_receipts": True, "public_url": "https://service.example"}
    workers_of = {"tick": 1, "dispatcher": 3, "sender": 2, "receiver": 1}
    with new_simulation(workers_of=workers_of, max_attempts=3, circuit_threshold=3, **receipts) as simulation:
        for name in simulation.runner.sources:
            simulation.runner.poll(name)  # looks up its queue, which Lambda does not do in the function's name
        scheduler = simulation.scheduler
        recorder = Recorder(lambda: scheduler.current.name.partition("-")[0] if scheduler.current else "")
        before = simulation.aws.before

        def note(call: Call) -> None:
            recorder.note(call)
            before(call)

        simulation.aws.before = note
        yield simulation, recorder


def _receipts(simulation: Simulation) -> None:
    """One receipt comes too early and goes back, one settles an unknown outcome, one says that a number cannot be
    reached."""
    simulation.gateway.script = lambda gateway_id, nth: Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
    simulation.gateway.latency = timedelta(seconds=1.5)
    mailing = simulation.create_mailing(tag="late", lasts=7200, on_unknown=OnUnknown.HOLD)
    for _ in range(100):
        simulation.run_for(0.1)
        if early := [row for row in simulation.ledger_rows().values() if row.status is MessageStatus.SENDING]:
            break
    tell(simulation, delivered(early[0]))
    simulation.run_until_finished(mailing, limit=600)
    lost, *rows = [row for row in simulation.rows(mailing) if row.key != early[0].key]
    tell(simulation, *(delivered(row) for row in rows), undelivered(lost, permanent=True))
    write_back(
        simulation, {"id": "in-1", "phone": early[0].phone_number, "text": "Hi", "message_id": early[0].message_id}
    )
    simulation.run_for(120)


def _a_mailing_over_its_budget(simulation: Simulation) -> None:
    """A mailing that is paused by its sender."""
    simulation.services.prices().put({0: ("7", "1", "RUB", "")}, "tester")
    mailing = simulation.create_mailing(tag="late", budget=Decimal(5))
    simulation.run_for(60)
    assert simulation.status(mailing) == "paused"
    simulation.services.mailing_actions.cancel(mailing.mailing_id)
    simulation.run_for(60)


def _a_slow_mailing(simulation: Simulation) -> None:
    """A mailing with a rate, so that moments are reserved and messages parked."""
    simulation.run_until_finished(simulation.create_mailing(rate_limit=40), limit=600)


def _a_mailing_to_one_who_is_tried_again(simulation: Simulation) -> None:
    """A mailing to one client, whose hint stays on the queue until their next attempt."""
    simulation.add_clients(1, tag="alone")
    failed, accepted = Answer(Outcome.FAILED, Cause.http(503), 503), Answer(Outcome.ACCEPTED)
    simulation.gateway.script = lambda gateway_id, nth: failed if nth == 1 else accepted
    simulation.run_until_finished(simulation.create_mailing(tag="alone"), limit=600)
    simulation.gateway.script = lambda gateway_id, nth: accepted


def _a_mailing_with_trouble(simulation: Simulation) -> None:
    """The circuit opens, one client's attempts are used up, and what failed is put back; a history leaves a bucket
    that counts as too large.
    """
    mailing = simulation.create_mailing(tag="late", lasts=7200)
    bad = min(
        simulation.gateway_id(mailing, client)
        for client in simulation.services.clients.list(Segment(("late",)), "", 50)[0]
    )
    failed, accepted = Answer(Outcome.FAILED, Cause.http(503), 503), Answer(Outcome.ACCEPTED)
    simulation.gateway.script = lambda gateway_id, nth: failed if gateway_id == bad or nth == 1 else accepted
    simulation.run_until_finished(mailing, limit=1800)
    simulation.gateway.script = lambda gateway_id, nth: accepted
    simulation.services.queues["send-dead"].send(["a letter of somebody else, which stays"])
    simulation.services.mailing_actions.retry_failed(mailing.mailing_id)
    _lose_one_answer(simulation)
    with mock.patch.object(older_attempts, "UNIT", 1):
        simulation.run_until_finished(mailing, limit=1800)
    simulation.services.mailing_actions.delete(mailing.mailing_id)
    simulation.run_for(120)


def _lose_one_answer(simulation: Simulation) -> None:
    """The dispatcher's next change of rows is repeated, and recognised when they are read."""
    lost: list[Call] = []

    def after(call: Call) -> None:
        task = simulation.scheduler.current
        updates = call.operation.endswith("BatchExecuteStatement") and b"UPDATE" in call.body
        if not lost and updates and task is not None and task.name.startswith("dispatcher"):
            lost.append(call)
            raise ConnectionClosedError(endpoint_url="answer lost")

    simulation.aws.after = after


def _a_mailing_to_an_operator(simulation: Simulation) -> None:
    """A mailing that is found by the other index, and held if its outcome is unknown."""
    mailing = _order(simulation, Segment(operators=("916",)), on_unknown=OnUnknown.HOLD)
    simulation.run_until_finished(mailing, limit=600)


def _mailings_that_are_stopped(simulation: Simulation) -> None:
    """Mailings cancelled while they wait, cancelled and deleted at once, and paused until their window is over."""
    actions = simulation.services.mailing_actions
    waiting, gone = (simulation.create_mailing(tag="late", lasts=9000, local_window=OPENS_LATER) for _ in range(2))
    never = simulation.create_mailing(starts_in=300, lasts=60)
    actions.pause(never.mailing_id)
    simulation.run_for(90)
    actions.cancel(waiting.mailing_id)
    actions.cancel(gone.mailing_id)
    actions.delete(gone.mailing_id)
    simulation.run_for(600)
    assert (simulation.status(waiting), simulation.status(never)) == ("cancelled", "expired")


def _more_than_a_tick_looks_at(simulation: Simulation) -> None:
    """More mailings than a tick looks at, so that it sends units for slices of them."""
    actions = simulation.services.mailing_actions
    for _ in range(AT_ONCE + 1):
        actions.pause(simulation.create_mailing(starts_in=600, lasts=60).mailing_id)
    simulation.run_for(900)


def _a_stalled_mailing(simulation: Simulation) -> None:
    """A mailing whose hints are lost, so that the tick looks how many the queue still has."""
    mailing = simulation.create_mailing()
    simulation.scheduler.run_until(
        START + timedelta(days=1), lambda: bool(simulation.queue(simulation.settings.send_queue))
    )
    simulation.queue(simulation.settings.send_queue).clear()
    simulation.run_until_finished(mailing, limit=1800)


def _an_import(simulation: Simulation) -> None:
    """An import of a changed and a new client, with tags and external ids that are set and then changed."""
    (client,), _ = simulation.services.clients.list(Segment(), "", 1)
    for ids in ("ab", "cd"):
        rows = f"{client.phone_number},changed;{ids},{ids[0]}\n+442079460000,new;{ids},{ids[1]}\n"
        simulation.services.imports.start(f"phone_number,tags,external_id\n{rows}", "tester")
        simulation.run_for(60)
    assert simulation.services.clients.count(Segment(("changed", "new"))) == 2


def _order(simulation: Simulation, segment: Segment, **fields: Any) -> Mailing:
    now = simulation.clock.now()
    window = {"start_at": now, "end_at": now + timedelta(hours=1)}
    return simulation.services.mailings.create(MailingFields("Hello", segment, **window, **fields), "tester")


def record_report() -> dict[str, set[Permission]]:
    """What the function behind the daily report's schedule needs."""
    with new_simulation(**REPORTING) as simulation:
        simulation.add_clients(10)
        simulation.run_until_finished(simulation.create_mailing())
        simulation.clock.sleep(86_400)
        recorder = Recorder(lambda: "report")
        simulation.aws.before = recorder.note
        with mock.patch.object(workers, "get_services", return_value=simulation.services):
            workers.report({}, LambdaContext("report", "r", 60, simulation.clock, "us-east-1"))
    return {"report": recorder.used["report"]}


# -- the API


def record_api() -> dict[str, set[Permission]]:
    """What the API's routes need."""
    working: list[str] = [""]
    with new_api(**REPORTING, gateway_receipts=True) as api:
        recorder = Recorder(lambda: working[-1])
        api.aws.before = recorder.note
        request = api.front.__class__.__call__

        def in_api(*arguments: Any) -> Any:
            working.append("api")
            try:
                return list(request(*arguments))
            finally:
                working.pop()

        with mock.patch.object(api.front.__class__, "__call__", in_api):
            api.get("/api/queues")  # first, for it looks up the queues, which the others then know
            _use_users(api)
            _use_clients(api)
            _use_mailings(api)
            _use_templates(api)
            _use_segments(api)
            assert api.put("/api/prices", {"currency": "EUR", "prices": [{"prefix": "+7", "price": "1"}]}).status == 200
            assert api.get("/api/prices/export").status == 200
            _use_queues(api)
            assert api.post("/api/reports/daily", {}).status == 200
    return {"api": recorder.used["api"]}


def _use_users(api: Api) -> None:
    credentials = {"username": "Anna", "password": "a long enough password"}
    api.post("/api/users", {**credentials, "role": "operator"})
    api.post("/auth-token", {**credentials, "password": "wrong"})
    api.pass_time(hours=2)
    api.post("/auth-token", credentials)
    api.get("/api/users")
    api.get("/api/users/me/tokens")
    api.patch("/api/users/Anna", {"role": "admin"})
    assert api.delete("/api/users/Anna/tokens").status == 204
    api.delete("/api/users/Anna")
    assert api.get("/health/ready").status == api.get("/metrics").status == 200


def _use_clients(api: Api) -> None:
    for number in (1, 2):
        api.post("/api/clients", {"phone_number": f"+7916123456{number}", "tag": "vip", "opted_out": True})
    (client, other) = api.get("/api/clients", query={"tag": "vip"}).json["rows"]
    headers = {"Content-Type": "text/csv", "Idempotency-Key": "unused"}
    started = api.post("/api/clients/imports", raw=b"phone_number\n+442079460000\n1\n", headers=headers)
    assert api.get(f"{started.headers['location']}/rejected").json["total"] == 1
    assert api.get("/api/clients/export").status == 200
    api.get("/api/clients", query={"operator": "916"})
    api.patch(f"/api/clients/{client['id']}", {"phone_number": "+79161234588", "timezone": "Europe/Moscow"})
    assert api.delete(f"/api/clients/{other['id']}").status == 204


def _use_mailings(api: Api) -> None:
    body = {
        "text": "Hello",
        "clients": {"tag": "vip"},
        "start_time": api.ago(seconds=1),
        "end_time": api.ahead(hours=1),
    }
    keys: tuple[dict[str, str], ...] = ({}, {"Idempotency-Key": "a"})
    first, second = (api.post("/api/mailing", body, headers=key).json["id"] for key in keys)
    assert api.post("/api/mailing/preview", body).json["matching"] == 1
    assert api.get(f"/api/mailing/{first}/preview").status == 200
    _launch(api)
    (client,) = api.get("/api/clients", query={"tag": "vip"}).json["rows"]
    for query in ({}, {"status": "running"}, {"status": "scheduled"}):
        api.get("/api/mailing", query=query)
    for query in ({"mailing": first}, {"mailing": first, "status": "failed"}, {"client": client["id"]}):
        assert api.get("/api/messages", query=query).status == 200
    assert api.get("/api/mailing/stats").status == api.get(f"/api/mailing/{first}/stats").status == 200
    assert api.get("/api/messages/export", query={"mailing": first}).status == 200
    assert api.get(f"/api/history/{first}").status == api.get(f"/api/history/{client['id']}").status == 200
    api.post(f"/api/mailing/{first}/pause")
    api.post(f"/api/mailing/{first}/resume")
    assert api.post(f"/api/mailing/{first}/cancel").status == 200
    assert api.delete(f"/api/mailing/{first}").status == 204
    assert api.get(f"/api/mailing/{second}").status == 200


def _use_templates(api: Api) -> None:
    """A template is created, renamed, listed, read and deleted."""
    body = {"name": "Greeting", "text": "Hello"}
    path = f"/api/templates/{api.post('/api/templates', body).json['id']}"
    assert api.put(path, {**body, "name": "Welcome", "version": 1}).status == 200
    for target in ("/api/templates", path, f"{path}/versions", f"{path}/versions/1"):
        assert api.get(target).status == 200
    assert api.delete(path).status == 204


def _use_segments(api: Api) -> None:
    """A segment is saved, changed, listed, read and deleted."""
    path = f"/api/segments/{api.post('/api/segments', {'name': 'All', 'clients': {}}).json['id']}"
    assert api.put(path, {"clients": {"tag": "vip"}}).status == 200
    for target in ("/api/segments", path):
        assert api.get(target).status == 200
    assert api.delete(path).status == 204


def _use_queues(api: Api) -> None:
    """A message that had failed for good is put back, and its finished mailing goes on."""
    services = api.services
    api.post("/api/clients", {"phone_number": "+79161234599", "tag": "dead"})
    times = {"start_time": api.ago(seconds=1), "end_time": api.ahead(hours=1)}
    mailing_id = api.post("/api/mailing", {"text": "Hello", "clients": {"tag": "dead"}, **times}).json["id"]
    _launch(api)
    _launch(api)
    (row,), _ = services.messages.list(mailing_id, None, "", 10)
    services.delivery._outcomes._ledger.update([(row, row.revised(api.clock.now(), status=MessageStatus.FAILED))])
    hint = Hint.of(row.key).body()
    services.queues["send-dead"].send([hint, hint, "poison"])
    assert len(api.get("/api/queues").json["rows"]) == 6
    assert api.get("/api/dead-letters").json["total"] == 3
    secret = services.receipt_links.secret("default")
    assert api.post(f"/gateway/receipts/default/{secret}", {"message_id": "m"}).status == 200
    assert api.post(f"/gateway/replies/default/{secret}", {"phone": "+79161234599", "text": "Hi"}).status == 200
    assert api.get("/api/replies").json["rows"] == []
    assert api.post("/api/dead-letters/redrive", {}).json["put_back"] == 1
    assert api.post("/api/dead-letters/discard", {"ids": ["none"]}).status == 200
    for method, path, body in (
        ("PATCH", "/api/gateway", {"rate": 5}),
        ("POST", "/api/gateway/hold", {}),
        ("POST", "/api/gateway/close", {}),
        ("GET", "/api/gateway", None),
        ("GET", "/api/gateway/changes", None),
        ("POST", "/api/gateway/test", {"phone_number": "+447700900123", "text": "Hello"}),
    ):
        assert api.request(method, path, body).status == 200


def _launch(api: Api) -> None:
    for unit in api.queued_units():
        api.services.dispatcher.handle(Unit(**unit), api.clock.now() + timedelta(minutes=1))
