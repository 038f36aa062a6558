"""/health and /health/ready: whether the service is alive, and whether it can work."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from unittest import mock

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from chalicelib import __version__
from chalicelib.aws_clients import aws_client
from chalicelib.bootstrap import build
from chalicelib.config import Settings
from chalicelib.domain.errors import NotReady
from tests.support.api import Api
from tests.support.aws import Call


def _refuse(call: Call) -> None:
    raise EndpointConnectionError(endpoint_url="refused")


def _lose_the_table(call: Call) -> None:
    if call.operation.startswith("dynamodb."):
        raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "BatchGetItem")


def test_it_is_alive_whatever_fails_behind_it(api: Api) -> None:
    """Expects an answer without a token, and without a single call."""
    api.aws.before = _refuse
    reply = api.get("/health", token="")
    assert (reply.status, reply.json) == (200, {"status": "ok", "version": __version__})
    assert api.aws.calls == []


def test_the_root_redirects_browsers_to_the_admin_ui_and_lists_addresses_for_programs(api: Api) -> None:
    browser = api.get("/", token="", headers={"Accept": "text/html,application/xhtml+xml"})
    assert (browser.status, browser.headers["location"], browser.text) == (303, "/admin", "")
    told = api.get("/", token="").json
    assert (told["admin"], told["docs"]) == ("/admin", "/api/docs/")
    for path in (told["docs"], told["health"]):
        assert api.get(path, token="").status == 200
    for path in told["api"].values():
        assert api.get(path).status in (200, 405), path


def test_it_is_ready_when_everything_answers(api: Api) -> None:
    """Expects an answer without a token; all tables and every queue are asked at once."""
    reply = api.get("/health/ready", token="")
    assert (reply.status, reply.json) == (200, {"status": "ready", "circuit": "closed"})
    assert sorted(set(api.aws.calls)) == ["dynamodb.BatchGetItem", "sqs.GetQueueAttributes", "sqs.GetQueueUrl"]
    assert api.aws.calls.count("dynamodb.BatchGetItem") == 1
    assert api.aws.calls.count("sqs.GetQueueAttributes") == 6


def test_it_names_a_circuit_that_is_not_closed_and_stays_ready(api: Api) -> None:
    """Mailings are accepted while the gateway is failing, and an operator must be able to close the circuit."""
    api.post("/api/gateway/hold", {})
    assert api.get("/health/ready").json == {"status": "ready", "circuit": "held"}
    api.post("/api/gateway/close", {})
    api.services.gateway_control._update(lambda control: control.tripped(api.clock.now(), 0.0))
    assert api.get("/health/ready").json == {"status": "ready", "circuit": "open"}


def test_it_is_not_ready_with_a_damaged_key_of_client_ids(api: Api) -> None:
    """Expects the key to be named, as nobody can be added or found by number until it is restored."""
    table, place = api.services.settings.clients_table, {"client_id": {"S": "key"}}
    dynamodb = aws_client("dynamodb")
    dynamodb.put_item(TableName=table, Item={**place, "id_key": {"S": "ab"}, "unkeyed": {"BOOL": False}})
    reply = api.get("/health/ready", token="")
    assert (reply.status, reply.json["detail"]) == (503, "no answer in time from: the key of the clients' ids")
    dynamodb.put_item(TableName=table, Item={**place, "id_key": {"S": "ab" * 32}, "unkeyed": {"BOOL": False}})
    assert api.get("/health/ready").status == 200


@pytest.mark.parametrize("trouble", [_refuse, _lose_the_table])
def test_it_is_not_ready_while_a_table_does_not_answer(api: Api, trouble: Callable[[Call], None]) -> None:
    """Expects a problem that says so, and success at the next request."""
    api.aws.before = trouble
    reply = api.get("/health/ready", token="")
    assert reply.status == 503
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["type"] == "/problems/unavailable"
    assert "no answer in time from: tables" in reply.json["detail"]
    api.aws.before = lambda call: None
    assert api.get("/health/ready").status == 200


def test_it_names_the_queue_that_does_not_answer(api: Api) -> None:
    """Expects the others to be asked all the same, and not to be named."""

    def refuse(call: Call) -> None:
        if b"-send-dead" in call.body:
            raise ClientError({"Error": {"Code": "QueueDoesNotExist"}}, call.operation)

    api.aws.before = refuse
    reply = api.get("/health/ready")
    assert (reply.status, reply.json["detail"]) == (
        503,
        "no answer in time from: queue message-service-local-send-dead",
    )


def test_it_does_not_wait_for_hanging_calls_one_after_the_other(api: Api) -> None:
    """Each call waits for its time-out: expects the rest not to be asked after a few seconds, and to count as
    silent."""

    def hang(call: Call) -> None:
        api.pass_time(seconds=2)
        raise ReadTimeoutError(endpoint_url="hangs")

    started = api.clock.now()
    api.aws.before = hang
    reply = api.get("/health/ready")
    assert reply.status == 503
    assert reply.json["detail"].count("queue ") == 6
    assert (api.clock.now() - started).total_seconds() <= 5


def test_it_gives_up_a_host_that_never_answers_within_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With real sockets and the time-outs of the clients that are made for this."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        unused = mock.sentinel.client  # of these only the probe's own clients are asked
        services = build(Settings(gateway="sandbox"), dynamodb=unused, sqs=unused)
        started = time.monotonic()
        with pytest.raises(NotReady):
            services.readiness.check()
        assert time.monotonic() - started < 8
