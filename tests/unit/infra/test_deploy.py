"""What `make deploy` refuses before it changes anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.deploy import DeployError, check_gateway
from infra.emulated import without_unknown
from infra.package import LAMBDA
from infra.parameters import Parameters
from infra.template import merge_template

ROOT = Path(__file__).resolve().parents[3]
NOWHERE = Path("/nonexistent")
KNOWN = {
    "Gateway": "http",
    "GatewayUrl": "https://gateway.example/sms",
    "GatewayHosts": "gateway.example,other.example",
}
TWILIO = {"GATEWAY": "declared", "GATEWAY_DECLARATION": "twilio", "GATEWAY_ACCOUNT": "AC1", "GATEWAY_SENDER": "Shop"}
INFOBIP = {"GATEWAY": "declared", "GATEWAY_DECLARATION": "infobip", "GATEWAY_SENDER": "Shop"}


def check(known: dict[str, str], **environ: str) -> None:
    check_gateway(Parameters.read(environ, "dev", NOWHERE).effective(known))


@pytest.mark.parametrize(
    ("known", "environ"),
    [
        ({}, {}),
        ({}, {"GATEWAY": "sandbox"}),
        (KNOWN, {"GATEWAY": "sandbox"}),
        ({}, {"GATEWAY_URL": "https://gateway.example", "GATEWAY_HOSTS": "gateway.example"}),
        (KNOWN, {}),
        (KNOWN, {"GATEWAY_URL": "https://other.example"}),
        (KNOWN, {"GATEWAY_URL": "https://new.example", "GATEWAY_HOSTS": "new.example"}),
        ({}, TWILIO),
        ({}, {"GATEWAY": "eum", "GATEWAY_SENDER": "+12065550100", "GATEWAY_MAX_PRICE": "0.05"}),
        ({}, INFOBIP | {"GATEWAY_URL": "https://abc.api.infobip.com", "GATEWAY_HOSTS": "abc.api.infobip.com"}),
    ],
)
def test_a_gateway_of_the_list_may_be_deployed(known: dict[str, str], environ: dict[str, str]) -> None:
    """What is not given is what the stack has."""
    check(known, **environ)


@pytest.mark.parametrize(
    ("known", "environ"),
    [
        ({}, {"GATEWAY_URL": "https://gateway.example"}),
        (KNOWN, {"GATEWAY_URL": "https://new.example"}),
        (KNOWN, {"GATEWAY_HOSTS": "other.example"}),
        ({}, TWILIO | {"GATEWAY_URL": "https://new.example"}),
        ({}, INFOBIP | {"GATEWAY_URL": "https://abc.api.infobip.com"}),
    ],
)
def test_a_gateway_that_no_sender_would_call_is_refused(known: dict[str, str], environ: dict[str, str]) -> None:
    """With the variable's name and the reason."""
    with pytest.raises(DeployError, match=r"^GATEWAY_URL: the gateway's "):
        check(known, **environ)


@pytest.mark.parametrize(
    "environ",
    [{"GATEWAY": "twilio"}, {"GATEWAY": "http"}, {"GATEWAY": "declared"}, TWILIO | {"GATEWAY_DECLARATION": "{}"}],
)
def test_a_kind_that_cannot_work_is_refused(environ: dict[str, str]) -> None:
    """One that does not exist, one that has no address, and one without a declaration that can be used."""
    with pytest.raises(DeployError, match=r"^GATEWAY"):
        check({}, **environ)


def test_a_mistyped_level_ends_in_one_line() -> None:
    """Of the command itself, which logs by the same variable: it names the variable, and nothing is packaged."""
    environ = {**os.environ, "LOG_LEVEL": "INFOO"}
    command = [sys.executable, "-m", "infra.deploy"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Not deployed: LOG_LEVEL: must be one of DEBUG, INFO, WARNING, ERROR: 'INFOO'\n"


def test_an_emulator_gets_no_alarm_that_it_cannot_make() -> None:
    """Expects no alarm over several metrics and no query, the other alarms, and a dashboard that names none of them."""
    template = merge_template(LAMBDA)
    left = without_unknown(template)
    gone = set(template["Resources"]) - set(left["Resources"])
    alarms = [one for one in left["Resources"].values() if one.get("Type") == "AWS::CloudWatch::Alarm"]
    assert {"HistoryQuery", "TroubleQuery"} <= gone
    assert alarms
    assert not [one for one in alarms if "Metrics" in one["Properties"]]
    assert not [name for name in gone if f"${{{name}." in str(left)]
