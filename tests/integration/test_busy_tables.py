"""Tables that refuse writes: nothing known is lost, nobody is called twice because of it, and the load goes down."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError as TimeoutOfRead

from chalicelib.domain.messages import Outcome
from chalicelib.services.sending.table_pace import LEAST, MOST, TablePace
from tests.support.aws import Call
from tests.support.simulation import Simulation, new_simulation

THROTTLED = {"Code": "ThrottlingError", "Message": "Throughput exceeds the current capacity"}


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """With senders that take as many hints as the app lets them."""
    with new_simulation(sender_batch=None, gateway_recognises_ids=False) as simulation:
        yield simulation


def turn_away(simulation: Simulation, monkeypatch: pytest.MonkeyPatch, which: Callable[[str, int], bool]) -> list[int]:
    """Let the ledger refuse the statements of those updates for which `which` says so, given the status that is
    written and the number of the call; returns the numbers of the refused calls."""
    original = simulation.aws._handle
    numbers: dict[str, int] = {}
    turned: list[int] = []

    def handle(service: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if target.endswith("BatchExecuteStatement"):
            statements = json.loads(body)["Statements"]
            if statements[0]["Statement"].startswith("UPDATE"):
                status = _status(statements[0])
                numbers[status] = numbers.get(status, 0) + 1
                if which(status, numbers[status]):
                    turned.append(numbers[status])
                    return 200, {"Responses": [{"Error": THROTTLED} for _ in statements]}
        return original(service, target, body)

    monkeypatch.setattr(simulation.aws, "_handle", handle)
    return turned


def _status(statement: dict[str, Any]) -> str:
    """The status of the first message in the bucket that an update writes: the parameter at the place of its SET."""
    names = [part.split('"')[1] for part in statement["Statement"].split("SET ")[1:]]
    text = dict(zip(names, statement["Parameters"], strict=False))["messages"]["S"]
    return {"c": "sending", "s": "sent"}.get(text.split(",")[3][0], "")


@pytest.mark.usefixtures("sixteen_shards")
def test_refused_claims_make_no_calls(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """One portion of a batch is refused three times, and claimed later; the others are sent meanwhile."""
    turned = turn_away(simulation, monkeypatch, lambda status, nth: status == "sending" and 2 <= nth <= 4)
    simulation.add_clients(75)
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing, 300)
    assert turned
    assert simulation.counts(mailing) == {"total": 75, "sent": 75}
    assert len(simulation.gateway.log) == 75
    assert all(len(row.attempts) == 1 for row in simulation.rows(mailing))


def test_refused_outcomes_are_written_later(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes, 10 s here; nobody is called again because of it."""
    until = simulation.clock.now().timestamp() + 10
    turned = turn_away(
        simulation, monkeypatch, lambda status, nth: status == "sent" and simulation.clock.now().timestamp() < until
    )
    simulation.add_clients(75)
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing, 300)
    assert turned
    assert simulation.counts(mailing) == {"total": 75, "sent": 75}
    assert len(simulation.gateway.log) == 75


def test_a_claim_without_an_answer_is_released(simulation: Simulation) -> None:
    """Nobody knows whether it was written, and nobody may think that a call was made."""
    lost: list[str] = []

    def lose(call: Call) -> None:
        simulation.scheduler.io_point()
        if call.operation.endswith("BatchExecuteStatement") and simulation.scheduler.current is not None:
            statements = json.loads(call.body)["Statements"]
            if statements[0]["Statement"].startswith("UPDATE") and _status(statements[0]) == "sending" and not lost:
                lost.append(call.operation)
                raise TimeoutOfRead(endpoint_url="https://dynamodb.invalid")

    simulation.aws.after = lose
    simulation.add_clients(20)
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing, 300)
    assert lost
    assert simulation.counts(mailing) == {"total": 20, "sent": 20}
    outcomes = [attempt.outcome for row in simulation.rows(mailing) for attempt in row.attempts]
    assert outcomes == [Outcome.ACCEPTED] * 20


def test_a_sender_takes_fewer_at_a_time_when_tables_are_busy() -> None:
    """Half as many each time, and slowly more again."""
    pace = TablePace()
    seen = []
    for turned_away in (0, 3, 3, 3, 3, 3, 3, 0, 0):
        pace.note(turned_away)
        seen.append(pace.at_once)
    assert seen == [MOST, 500, 250, 125, 62, 31, LEAST, 75, 125]
