"""A run in which every function works and messages come to every end, with all that it has written to its logs."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from chalicelib.domain.buckets import UNDIVIDED
from chalicelib.domain.messages import Message, Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.statuses import MessageStatus
from chalicelib.gateways.base import Answer
from chalicelib.observability import logger
from chalicelib.queues import hints_for
from tests.support.api import PASSWORD
from tests.support.campaign import Campaign, new_campaign
from tests.support.receipts import delivered, tell, undelivered, write_back
from tests.support.simulation import Simulation

OK = Answer(Outcome.ACCEPTED)
REFUSED = Answer(Outcome.REFUSED, Cause.http(400), 400)
UNKNOWN = Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
FAILED = Answer(Outcome.FAILED, Cause.http(503), 503)
LATER = Answer(Outcome.FAILED, Cause.http(503), 503, retry_after=600)
THROTTLED = Answer(Outcome.THROTTLED, Cause.http(429), 429)
BLOCKED = Answer(Outcome.BLOCKED, Cause.http(402), 402)
TEXT = "the words of a mailing"
WORKERS = {"tick": 1, "dispatcher": 3, "sender": 2, "receiver": 1}


@dataclass
class FullRun:
    """What was written, and what stands in the ledger and must not stand in the logs."""

    log: str = ""
    statuses: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    mailings: list[str] = field(default_factory=list)
    phone_numbers: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)

    @property
    def records(self) -> list[dict[str, Any]]:
        """Every record of the logger, parsed; those with metrics are not among them."""
        lines = [json.loads(line) for line in self.log.splitlines()]
        return [line for line in lines if "_aws" not in line]


@contextmanager
def captured() -> Iterator[io.StringIO]:
    """What functions write meanwhile: the logger's records, of every level, and the metrics."""
    text = io.StringIO()
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    level, stream = logger.log_level, handler.setStream(text)
    logger.setLevel("DEBUG")
    try:
        with contextlib.redirect_stdout(text):
            yield text
    finally:
        logger.setLevel(level)
        handler.setStream(stream)


@lru_cache(maxsize=1)
def full_run() -> FullRun:
    """The run, made once for all tests that look at it."""
    run = FullRun()
    with TemporaryDirectory() as directory, captured() as text:
        mail = {"report_to": "ops@example.com", "report_from": "reports@example.com"}
        with new_campaign(
            workers_of=WORKERS,
            **mail,
            mail_url=Path(directory).as_uri(),
            circuit_threshold=3,
            log_accepted=True,
            gateway_receipts=True,
        ) as campaign:
            _everything(campaign, run)
            _look(campaign, run)
    run.log = text.getvalue()
    return run


def _order(campaign: Campaign, run: FullRun, tag: str, **fields: Any) -> str:
    times = {"start_time": campaign.api.ago(seconds=1), "end_time": campaign.api.ahead(hours=2)}
    mailing_id = campaign.order(text=f"{TEXT} to {tag}", clients={"tag": tag}, **{**times, **fields})
    run.mailings.append(mailing_id)
    return mailing_id


@contextmanager
def _one_claim_turned_away(simulation: Simulation) -> Iterator[None]:
    """The ledger is too busy for the first claims of all senders."""
    original, left = simulation.aws._handle, 12

    def handle(service: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        nonlocal left
        if left and target.endswith("BatchExecuteStatement") and b"UPDATE" in body:
            left -= 1
            return 200, {"Responses": [{"Error": {"Code": "ThrottlingError"}} for _ in json.loads(body)["Statements"]]}
        return original(service, target, body)

    with mock.patch.object(simulation.aws, "_handle", handle):
        yield


def _receipts(simulation: Simulation, mailing_id: str, skipped: Message) -> None:
    """Of each kind: what is applied, and what is dropped for each reason."""
    sent = [
        row for row in simulation.rows(simulation.services.mailings.get(mailing_id)) if row.status is MessageStatus.SENT
    ]
    first, second, third, *_ = sent
    tell(simulation, delivered(first), undelivered(second, reason="phone_unreachable"))
    tell(simulation, delivered(third, phone="+79999999999"), delivered(skipped))
    tell(simulation, {"message_id": "nonsense", "status": "delivered"}, {"message_id": first.message_id, "status": "?"})
    tell(simulation, {"message_id": "nonsense", "status": "delivered"})
    write_back(simulation, {"id": "in-1", "phone": first.phone_number, "text": "Thanks"})
    simulation.run_for(30)


def _everything(campaign: Campaign, run: FullRun) -> None:
    simulation, api = campaign.simulation, campaign.api
    campaign.add_clients(30, tag="many")
    campaign.add_clients(3, tag="deaf", opted_out=True)
    campaign.add_clients(3, tag="asleep", timezone="Pacific/Honolulu")
    answers = [REFUSED, UNKNOWN, FAILED, LATER]
    places: dict[int, int] = {}

    def trouble(gateway_id: int, nth: int) -> Answer:
        place = places.setdefault(gateway_id, len(places))
        if nth == 1 and place in (12, 15):
            return THROTTLED if place == 12 else BLOCKED
        return OK if place >= len(answers) or (place == 3 and nth > 1) else answers[place]

    simulation.gateway.script = trouble
    with _one_claim_turned_away(simulation):
        campaign.finish(_order(campaign, run, "many"))
    deaf = _order(campaign, run, "deaf")
    campaign.finish(deaf)
    [skipped, *_] = simulation.rows(simulation.services.mailings.get(deaf))
    _receipts(simulation, run.mailings[0], skipped)
    simulation.gateway.script = lambda gateway_id, nth: OK
    assert api.patch("/api/gateway", {"rate": 2}).status == 200
    simulation.clock.sleep(2)  # until senders know of it
    slowed = _order(campaign, run, "many")
    simulation.run_for(3)
    # More hints than the rate lets through, as a queue may give out what it has given out before.
    rows = simulation.rows(simulation.services.mailings.get(slowed))
    simulation.services.queues["send"].send(hints_for(slowed, [row.client_id for row in rows], UNDIVIDED))
    campaign.finish(slowed)
    assert api.patch("/api/gateway", {"rate": None}).status == 200
    down = simulation.clock.now()
    simulation.gateway.script = lambda gateway_id, nth: (
        FAILED if (simulation.clock.now() - down).total_seconds() < 30 else OK
    )
    campaign.finish(_order(campaign, run, "many"))
    hours = {"from": "09:00", "until": "21:00"}
    campaign.finish(_order(campaign, run, "asleep", local_window=hours))  # ends before it is morning there
    simulation.services.prices().put({0: ("7", "1", "RUB", "")}, "tester")
    dear = _order(campaign, run, "many", budget="5")
    simulation.run_for(30)
    assert api.post(f"/api/mailing/{dear}/cancel").status == 200
    cancelled = _order(campaign, run, "asleep", local_window=hours, end_time=api.ahead(days=2))
    simulation.run_for(30)
    assert api.post(f"/api/mailing/{cancelled}/cancel").status == 200
    simulation.run_for(90)
    assert api.get("/api/nothing").status == api.get("/api/mailing/nobody").status == 404
    assert api.post("/api/clients", {"phone_number": "+79169999999", "tag": "x" * 999}).status == 422
    assert api.post("/auth-token", {"username": "admin", "password": "the wrong password"}).status == 401
    run.secrets.add(api.post("/auth-token", {"username": "admin", "password": PASSWORD}).json["token"])


def _look(campaign: Campaign, run: FullRun) -> None:
    api = campaign.api
    for status, count in api.get("/api/mailing/stats").json["messages"].items():
        run.statuses[status] = count
    (message,) = api.get("/api/messages", query={"mailing": run.mailings[0], "limit": 1}).json["rows"]
    assert api.get(f"/api/messages/{message['id']}").status == 200
    run.calls = len(campaign.simulation.gateway.log)
    clients = api.get("/api/clients", query={"limit": 200}).json["rows"]
    run.phone_numbers = {client["phone_number"] for client in clients} | {"+79169999999"}
    run.secrets |= {api.token, PASSWORD, "the wrong password"}
