"""Traces: off and unimported outside of Lambda; where they are on, what X-Ray's daemon hears."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.config import Settings
from tests.support.trace_daemon import TraceDaemon

pytestmark = pytest.mark.enable_socket
ROOT = Path(__file__).parents[2]
ON_LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "message-service-local-sender", "LAMBDA_TASK_ROOT": "/var/task"}
SAMPLED = {"_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"}
WORK = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
import app
from chalicelib.tracing import traced

def call(number):
    with traced("gateway", remote=True, message_id=f"m-{number}", nothing=None) as step:
        step.note(outcome="failed", http_status=503)
        step.fail()

with traced("GET /api/clients/{client_id}", mailing_id="m") as step:
    step.note(status=200)
with ThreadPoolExecutor(4) as pool:
    list(pool.map(call, range(20)))
print("aws_xray_sdk" in sys.modules)
"""


@pytest.fixture
def daemon() -> Iterator[TraceDaemon]:
    """One that hears all that this machine's processes tell it."""
    daemon = TraceDaemon()
    yield daemon
    daemon.stop()


def work(daemon: TraceDaemon, **environment: str) -> str:
    """What a process prints that does some traced steps."""
    given = {**environment, "AWS_XRAY_DAEMON_ADDRESS": daemon.address, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", WORK], cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_a_function_tells_each_step_with_what_it_can_be_found_by(daemon: TraceDaemon) -> None:
    """Of every thread, in the trace that Lambda has begun; a failed step is shown as one."""
    assert work(daemon, **ON_LAMBDA, **SAMPLED) == "True"
    steps = list(daemon.steps())
    assert {step["trace_id"] for step in steps} == {"1-5759e988-bd862e3fe1be46a994272793"}
    assert {step["parent_id"] for step in steps} == {"53995c3f42cd8ad8"}
    (request,) = (step for step in steps if step["name"] == "GET /api/clients/client_id")
    assert request["annotations"] == {"mailing_id": "m", "status": 200}
    calls = [step for step in steps if step["name"] == "gateway"]
    assert {step["annotations"]["message_id"] for step in calls} == {f"m-{number}" for number in range(20)}
    assert {(step["namespace"], step["fault"]) for step in calls} == {("remote", True)}
    assert calls[0]["annotations"] | {"message_id": ""} == {"message_id": "", "outcome": "failed", "http_status": 503}


@pytest.mark.parametrize(
    ("environment", "imported"),
    [
        ({}, "False"),
        ({**ON_LAMBDA, **SAMPLED, "POWERTOOLS_TRACE_DISABLED": "true"}, "False"),
        (ON_LAMBDA, "True"),
        ({**ON_LAMBDA, "_X_AMZN_TRACE_ID": SAMPLED["_X_AMZN_TRACE_ID"][:-1] + "0"}, "True"),
    ],
)
def test_nobody_is_told_where_nobody_listens(daemon: TraceDaemon, environment: dict[str, str], imported: str) -> None:
    """Outside of Lambda and where it is turned off nothing is even imported; an unsampled trace stays silent."""
    assert work(daemon, **environment) == imported
    assert daemon.heard == []


@pytest.mark.parametrize(
    ("settings", "traced"),
    [({}, False), ({"function_name": "f"}, True), ({"function_name": "f", "tracing_disabled": True}, False)],
)
def test_traces_are_on_in_functions_only(settings: dict[str, Any], traced: bool) -> None:
    """Unless they are turned off."""
    assert Settings(**settings).traced is traced
