"""Settings: read from the environment once, named where they are wrong."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib import setting_checks
from chalicelib.config import _VARIABLES, Settings
from chalicelib.emails.post import POSTS
from chalicelib.services import gateway_control
from chalicelib.services.sending import delivery

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def test_an_empty_environment_gives_the_defaults() -> None:
    """A blank variable counts as absent, and others are nobody's business."""
    assert Settings.from_environment({}) == Settings()
    assert (
        Settings.from_environment({"RETRY_BASE": " ", "GATEWAY_URL": "", "HOME": "/", "retry_base": "9"}) == Settings()
    )


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("RESOURCE_PREFIX", "msg-prod", "resource_prefix", "msg-prod"),
        ("AWS_LAMBDA_FUNCTION_NAME", "msg-prod-sender", "function_name", "msg-prod-sender"),
        ("GATEWAY_URL", " https://gateway.example/base ", "gateway_url", "https://gateway.example/base"),
        ("GATEWAY_TOKEN", "secret\n", "gateway_token", "secret"),
        ("GATEWAY_TOKEN_SECRET", "prod/gateway-token", "gateway_token_secret", "prod/gateway-token"),
        ("GATEWAY_HOSTS", "Gateway.example, 10.0.0.1", "gateway_hosts", "gateway.example,10.0.0.1"),
        ("GATEWAY_LOCAL", "true", "gateway_local", True),
        ("API_ADDRESS_PREFIX", "/_aws/execute-api", "api_address_prefix", "/_aws/execute-api"),
        ("GATEWAY_CONNECT_TIMEOUT", "0.5", "gateway_connect_timeout", 0.5),
        ("GATEWAY_READ_TIMEOUT", "3", "gateway_read_timeout", 3.0),
        ("GATEWAY_CONCURRENCY", "7", "gateway_concurrency", 7),
        ("MAX_ATTEMPTS", "1", "max_attempts", 1),
        ("RETRY_BASE", "0.1", "retry_base", 0.1),
        ("RETRY_CAP", "9.5", "retry_cap", 9.5),
        ("CLAIM_LEASE", "20", "claim_lease", 20.0),
        ("QUEUE_HIGH_WATER", "10", "queue_high_water", 10),
        ("STALL_AFTER", "5", "stall_after", 5.0),
        ("CIRCUIT_THRESHOLD", "3", "circuit_threshold", 3),
        ("RETAIN_DAYS", "0", "retain_days", 0),
        ("REPORT_FROM", "reports@example.com", "report_from", "reports@example.com"),
        ("REPORT_HOUR", "0", "report_hour", 0),
        ("REPORT_TIMEZONE", "Europe/Moscow", "report_timezone", "Europe/Moscow"),
        ("DEFAULT_COUNTRY", "DE", "default_country", "DE"),
        ("MAIL_URL", "smtp://127.0.0.1:1025", "mail_url", "smtp://127.0.0.1:1025"),
    ],
)
def test_each_variable_sets_one_field(variable: str, text: str, name: str, value: object) -> None:
    """And nothing else."""
    settings = Settings.from_environment({variable: text})
    changed = {
        field.name: getattr(settings, field.name)
        for field in fields(Settings)
        if getattr(settings, field.name) != getattr(Settings(), field.name)
    }
    assert changed == {name: value}


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MAX_ATTEMPTS", "many"),
        ("MAX_ATTEMPTS", "3.5"),
        ("MAX_ATTEMPTS", "0"),
        ("GATEWAY_CONCURRENCY", "-1"),
        ("GATEWAY_HOSTS", "https://gateway.example"),
        ("GATEWAY_HOSTS", "a.example,,b.example"),
        ("GATEWAY_LOCAL", "yes"),
        ("GATEWAY_READ_TIMEOUT", "5s"),
        ("GATEWAY_READ_TIMEOUT", "nan"),
        ("GATEWAY_CONNECT_TIMEOUT", "inf"),
        ("RETRY_BASE", "-2"),
        ("CIRCUIT_THRESHOLD", "0"),
        ("REPORT_TO", "ops@example.com, nobody"),
        ("REPORT_FROM", "a@b c@d"),
        ("REPORT_HOUR", "24"),
        ("REPORT_HOUR", "-1"),
        ("DEFAULT_COUNTRY", "Germany"),
        ("REPORT_TIMEZONE", "Moon/Sea"),
        ("REPORT_TIMEZONE", "America"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(variable: str, text: str) -> None:
    """At the start, rather than when the first message is sent."""
    with pytest.raises(ValueError, match=f"^{variable}: .*'{text}'"):
        Settings.from_environment({variable: text})


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({"GATEWAY_READ_TIMEOUT": "60"}, "GATEWAY_READ_TIMEOUT: 60 .*: at most 18$"),
        ({"GATEWAY_READ_TIMEOUT": "18.5"}, "GATEWAY_READ_TIMEOUT: .*: at most 18$"),
        ({"GATEWAY_READ_TIMEOUT": "60", "GATEWAY_CONNECT_TIMEOUT": "5"}, "GATEWAY_READ_TIMEOUT: .*: at most 15$"),
        ({"GATEWAY_CONNECT_TIMEOUT": "25"}, "GATEWAY_CONNECT_TIMEOUT: .*: at most 12$"),
        ({"GATEWAY_CONNECT_TIMEOUT": "25", "GATEWAY_READ_TIMEOUT": "25"}, "GATEWAY_CONNECT_TIMEOUT: .*at most 20$"),
        ({"CLAIM_LEASE": "19"}, "CLAIM_LEASE: 19 is too short .*: at least 20$"),
        ({"CLAIM_LEASE": "1e9"}, "CLAIM_LEASE: must be at most 3600: 1e[+]09$"),
        ({"MAX_ATTEMPTS": "101"}, "MAX_ATTEMPTS: must be at most 100: 101$"),
        ({"GATEWAY_CONCURRENCY": "100000"}, "GATEWAY_CONCURRENCY: must be at most 1000: "),
        ({"QUEUE_HIGH_WATER": "1000000"}, "QUEUE_HIGH_WATER: must be at most 10000: "),
        ({"STALL_AFTER": "3601"}, "STALL_AFTER: must be at most 3600: "),
        ({"CIRCUIT_THRESHOLD": "10001"}, "CIRCUIT_THRESHOLD: must be at most 10000: "),
        ({"RETRY_CAP": "86401"}, "RETRY_CAP: must be at most 86400: "),
        ({"RETRY_BASE": "61"}, "RETRY_BASE: 61 is more than RETRY_CAP, 60: "),
        ({"RESOURCE_PREFIX": "my service"}, "RESOURCE_PREFIX: only letters, .*'my service'$"),
    ],
)
def test_values_that_cannot_work_are_refused_with_one_that_can(environ: dict[str, str], error: str) -> None:
    """With GATEWAY_READ_TIMEOUT=60 the service started, and never sent anything."""
    with pytest.raises(ValueError, match=f"^{error}"):
        Settings.from_environment(environ)


@pytest.mark.parametrize(
    ("environ", "name", "value"),
    [
        ({"GATEWAY_READ_TIMEOUT": "18"}, "gateway_read_timeout", 18.0),
        ({"CLAIM_LEASE": "20"}, "claim_lease", 20.0),
        ({"CLAIM_LEASE": "15", "GATEWAY_READ_TIMEOUT": "3"}, "claim_lease", 15.0),
        ({"MAX_ATTEMPTS": "100"}, "max_attempts", 100),
    ],
)
def test_the_value_that_a_refusal_names_works(environ: dict[str, str], name: str, value: float) -> None:
    """It is the largest, or the smallest, there can be."""
    assert getattr(Settings.from_environment(environ), name) == value


def test_what_a_sender_needs_beside_the_call_is_what_it_takes() -> None:
    """The times that the checks count with are those that senders keep."""
    assert timedelta(seconds=setting_checks.RECORDING) == delivery._RECORDING_TIME
    assert timedelta(seconds=setting_checks.BOOKED_AHEAD) == gateway_control.HORIZON
    assert tuple(POSTS) == setting_checks.MAIL_SCHEMES


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:",
        "https:///v1",
        "http://:8080",
        "http://gateway.example:0",
        "http://gateway.example:99999",
        "http://gateway.example:http",
        "http://gateway.example:",
        "http://gate way.example",
        "http://[::1",
        "ftp://gateway.example",
        "gateway.example",
        "//gateway.example",
        "https://user:pw@gateway.example",  # pragma: allowlist secret
        "https://gateway.example/?key=1",
        "https://gateway.example/#top",
    ],
)
def test_a_gateway_that_cannot_be_called_is_refused(url: str) -> None:
    """GATEWAY_URL=http:// was accepted, and every message failed."""
    with pytest.raises(ValueError, match=r"^GATEWAY_URL: "):
        Settings.from_environment({"GATEWAY_URL": url})


def test_the_sandbox_needs_no_address() -> None:
    """It was once chosen by GATEWAY_URL=sandbox:, which says now what to set instead."""
    assert Settings.from_environment({"GATEWAY": "sandbox", "GATEWAY_URL": "anything"}).sends_nothing
    with pytest.raises(ValueError, match=r"^GATEWAY_URL: .*GATEWAY=sandbox"):
        Settings.from_environment({"GATEWAY_URL": "sandbox:"})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9100", "https://gateway.example/base/", "http://[::1]:80", "HTTPS://a.b"]
)
def test_a_gateway_that_can_be_called_is_taken(url: str) -> None:
    """As it was written."""
    assert Settings.from_environment({"GATEWAY_URL": url}).gateway_url == url


@pytest.mark.parametrize("url", ["smtp:", "smtp://:25", "smtp://h:x", "mailto:a@b.c", "file:", "file://reports", "ops"])
def test_a_way_that_no_mail_can_leave_is_refused(url: str) -> None:
    """At the start, rather than when the first report is due."""
    with pytest.raises(ValueError, match=r"^MAIL_URL: "):
        Settings.from_environment({"MAIL_URL": url})


def test_a_report_has_recipients_and_a_sender() -> None:
    """Several, with commas between them; without a sender nothing could be sent."""
    settings = Settings.from_environment({"REPORT_TO": " a@x.org , b@y.org", "REPORT_FROM": "r@x.org"})
    assert settings.report_recipients == ("a@x.org", "b@y.org")
    assert Settings().report_recipients == ()
    with pytest.raises(ValueError, match=r"^REPORT_FROM: "):
        Settings.from_environment({"REPORT_TO": "a@x.org"})


def test_a_token_that_no_header_can_hold_is_refused_and_not_shown() -> None:
    """The error goes to the log."""
    for token in ("тайна", "se\ncret"):
        with pytest.raises(ValueError, match=r"^GATEWAY_TOKEN: ") as caught:
            Settings.from_environment({"GATEWAY_TOKEN": token})
        assert token not in str(caught.value)


def test_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no other is given."""
    monkeypatch.setenv("MAX_ATTEMPTS", "5")
    assert Settings.from_environment().max_attempts == 5


def test_every_table_and_queue_begins_with_the_prefix() -> None:
    """Two stages in one account have nothing in common; no two names are the same."""
    settings = Settings(resource_prefix="p")
    names = [
        settings.clients_table,
        settings.mailings_table,
        settings.ledger_table,
        settings.users_table,
        settings.settings_table,
        settings.dispatch_queue,
        settings.send_queue,
        settings.send_dead_letter_queue,
        settings.dispatch_dead_letter_queue,
    ]
    assert names == [
        "p-clients",
        "p-mailings",
        "p-ledger",
        "p-users",
        "p-settings",
        "p-dispatch",
        "p-send",
        "p-send-dead",
        "p-dispatch-dead",
    ]


def test_a_function_knows_which_of_its_stacks_it_is() -> None:
    """Expects the last part of the name that Lambda knows it by, and nothing anywhere else."""
    on_lambda = {"RESOURCE_PREFIX": "message-service-prod", "AWS_LAMBDA_FUNCTION_NAME": "message-service-prod-sender"}
    assert Settings.from_environment(on_lambda).function == "sender"
    assert Settings().function == ""


def test_the_table_of_settings_names_every_variable_with_its_default() -> None:
    """What people read is what they get; some have other defaults where `make run` gives them."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    on_aws = ("GATEWAY_TOKEN_SECRET", "GATEWAY_HOSTS", "GATEWAY_LOCAL", "API_ADDRESS_PREFIX")
    local = (
        *on_aws,
        "GATEWAY_URL",
        "GATEWAY_TOKEN",
        "GATEWAYS",
        "GATEWAY_DECLARATION",
        "GATEWAY_ACCOUNT",
        "GATEWAY_SENDER",
        "GATEWAY_CONFIGURATION_SET",
        "GATEWAY_MAX_PRICE",
        "REPORT_TO",
        "REPORT_FROM",
        "DEFAULT_COUNTRY",
        "MAIL_URL",
        "PUBLIC_URL",
        "RECEIPT_URL",
        "AWS_LAMBDA_FUNCTION_NAME",
    )
    written = {name: default for name, default in rows if name not in local}
    for _, variable, _ in _VARIABLES:
        if variable in written:
            assert Settings.from_environment({variable: written[variable]}) == Settings(), variable
        else:
            assert variable in local
