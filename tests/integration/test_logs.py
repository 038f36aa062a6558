"""The log: JSON for every event, request and call of the gateway, with ids to search for, and nothing private."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from typing import Any

import pytest

from chalicelib.domain.messages import LOOK_UPS, Outcome, parse_message_id
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from chalicelib.observability import invocation, logger
from tests.support.api import Api, new_api
from tests.support.campaign import new_campaign
from tests.support.full_run import TEXT, FullRun, captured, full_run

pytestmark = pytest.mark.xdist_group("package")  # tests/contract/test_monitoring.py looks at the same run

FUNCTIONS = {"api", "tick", "report", "dispatcher", "sender", "receiver"}


@pytest.fixture(scope="module")
def run() -> FullRun:
    """A run in which every function works and messages end in every way, logged at the lowest level."""
    return full_run()


def _named(run: FullRun, message: str) -> list[dict[str, Any]]:
    found = [record for record in run.records if record["message"] == message]
    assert found, message
    return found


def _told_messages(run: FullRun) -> list[dict[str, Any]]:
    return [entry for record in _named(run, "messages delivered") for entry in record["messages"]]


def test_every_record_is_json_with_time_level_and_function(run: FullRun) -> None:
    """Expects UTC, the function that was running, and the id of its invocation."""
    for record in run.records:
        assert datetime.fromisoformat(record["timestamp"]).utcoffset() is not None
        assert record["timestamp"].endswith("+00:00")
        assert record["level"] in ("DEBUG", "INFO", "WARNING", "ERROR")
        assert record["function"] in FUNCTIONS
        assert record["request_id"]


def test_nothing_private_is_in_the_log(run: FullRun) -> None:
    """Expects no phone number in any form, no text of a mailing, no password and no token in the whole log."""
    assert len(run.phone_numbers) > 30
    private = run.secrets | {TEXT} | {number.lstrip("+") for number in run.phone_numbers}
    assert [text for text in private if text in run.log] == []


def test_every_attempt_is_logged_with_ids_outcome_and_duration(run: FullRun) -> None:
    """Expects as many as the gateway got calls."""
    attempts = [entry for entry in _told_messages(run) if "outcome" in entry]
    assert len(attempts) == run.calls
    for entry in attempts:
        mailing_id, client_id = parse_message_id(entry["message_id"])
        assert mailing_id in run.mailings
        assert client_id == entry["client_id"]
        assert entry["duration_ms"] == 20
        assert entry["attempt"] >= 1
        assert datetime.fromisoformat(entry["at"])
    assert {entry["outcome"] for entry in attempts} == {outcome.value for outcome in Outcome if outcome not in LOOK_UPS}


def test_accepted_messages_are_counted_but_not_named_by_default() -> None:
    """Expects the ids of all others, also of those that were refused before."""
    with captured() as text, new_campaign() as campaign:
        refused: list[int] = []

        def three_in_vain(gateway_id: int, nth: int) -> Answer:
            if len(refused) < 3 and gateway_id not in refused:
                refused.append(gateway_id)
            return Answer(Outcome.REFUSED, Cause.http(400), 400) if gateway_id in refused else Answer(Outcome.ACCEPTED)

        campaign.simulation.gateway.script = three_in_vain
        mailing_id = campaign.send(30)
    records = [json.loads(line) for line in text.getvalue().splitlines() if '"messages delivered"' in line]
    assert {record["mailing_id"] for record in records} == {mailing_id}
    assert sum(record["accepted"] for record in records) == 27
    named = [entry for record in records for entry in record.get("messages", [])]
    assert [(entry["status"], entry["outcome"]) for entry in named] == [("failed", "refused")] * 3


def test_messages_that_are_not_called_are_logged_too(run: FullRun) -> None:
    """Expects those that wait, with the reason and the time."""
    waiting = [entry for entry in _told_messages(run) if entry["status"] == "waiting"]
    assert {entry["reason"] for entry in waiting} >= {"circuit_open", "rate_limit"}
    assert all(datetime.fromisoformat(entry["due_at"]) for entry in waiting)


def test_a_mailing_can_be_followed_from_order_to_end(run: FullRun) -> None:
    """Expects a record for each step, all with its id."""
    first = run.mailings[0]
    steps = [record["message"] for record in run.records if record.get("mailing_id") == first]
    wanted = ["mailing created", "mailing launched", "shards dispatched", "messages delivered", "mailing ended"]
    assert [step for step in dict.fromkeys(steps) if step in wanted] == wanted
    cancelled = [record for record in _named(run, "mailing changed") if record["status"] == "cancelled"]
    assert {record["mailing_id"] for record in cancelled} == set(run.mailings[-2:])


def test_every_request_is_logged_with_route_status_and_user(run: FullRun) -> None:
    """Expects the ids that it was about, and the route rather than the path."""
    requests = _named(run, "request")
    ordered = [one for one in requests if (one["route"], one["method"], one["status"]) == ("/api/mailing", "POST", 201)]
    assert [one["mailing_id"] for one in ordered] == run.mailings
    assert {one["username"] for one in ordered} == {"admin"}
    assert all(one["duration_ms"] >= 0 for one in requests)
    assert {one["status"] for one in requests} >= {200, 201, 401, 404, 422}


@pytest.fixture
def api() -> Any:
    """An empty service."""
    with new_api() as made:
        yield made


def test_a_request_is_found_by_the_id_in_its_answer(api: Api) -> None:
    """Expects x-amzn-RequestId in its record, and in those of an error."""
    with captured() as text:
        reply = api.get("/api/mailing/nobody")
        api.aws.before = lambda call: 1 // (b"-mailings" not in call.body)
        failed = api.get("/api/mailing")
    records = [json.loads(line) for line in text.getvalue().splitlines() if '"_aws"' not in line]
    found = {(one["request_id"], one["message"]) for one in records if one["function"] == "api"}
    assert found == {
        (reply.headers["x-amzn-requestid"], "request"),
        (failed.headers["x-amzn-requestid"], "request"),
        (failed.headers["x-amzn-requestid"], "request failed"),
    }


@pytest.mark.parametrize(
    "path", ["/api/clients/+79161234567", "/api/clients/%2B79161234567", "/api/messages/79161234567"]
)
def test_part_of_a_path_is_logged_only_if_it_is_an_id(api: Api, path: str) -> None:
    """Expects no trace of a phone number in the place of an id."""
    with captured() as text:
        assert api.get(path).status == 404
        api.get("/api/messages", query={"client": "+79161234567"})
    assert '"message":"request"' in text.getvalue()
    assert "9161234567" not in text.getvalue()


def test_invocations_at_the_same_time_keep_their_keys_apart() -> None:
    """In threads of one process, as the local environment runs them."""
    both = threading.Barrier(2)

    def work(name: str) -> None:
        with invocation("sender", name):
            both.wait(10)
            logger.info("here")
            both.wait(10)

    with captured() as text:
        threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        logger.info("after")
    records = [json.loads(line) for line in text.getvalue().splitlines()]
    assert sorted(record.get("request_id", "") for record in records) == ["", "one", "two"]
