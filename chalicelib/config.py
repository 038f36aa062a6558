"""Every setting of the service, read from the environment once; nothing else reads the environment."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from .setting_checks import check_together

_MAY_BE_ZERO = {"retain_days"}  # then messages are kept for ever
KNOWS_ITS_ADDRESS = ("declared", "eum")  # kinds of gateways that need no GATEWAY_URL
DEFAULT_PREFIX = "message-service-local"
_ADDRESS = re.compile(r"[^\s@,<>\"]+@[A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator of the service can set. Durations are seconds unless the name says otherwise."""

    resource_prefix: str = DEFAULT_PREFIX
    function_name: str = ""
    log_level: str = "INFO"
    log_accepted: bool = False
    gateway: str = "http"
    gateways: str = ""
    gateway_name: str = ""
    gateway_url: str = "http://127.0.0.1:9100"
    gateway_declaration: str = ""
    gateway_account: str = ""
    gateway_sender: str = ""
    gateway_message_type: str = "TRANSACTIONAL"
    gateway_configuration_set: str = ""
    gateway_max_price: str = ""
    gateway_token: str = ""
    gateway_token_secret: str = ""
    gateway_hosts: str = ""
    gateway_local: bool = False
    gateway_receipts: bool = False
    public_url: str = ""
    receipt_url: str = ""
    api_address_prefix: str = ""
    gateway_recognises_ids: bool = False
    gateway_connect_timeout: float = 2.0
    gateway_read_timeout: float = 8.0
    gateway_concurrency: int = 50
    max_attempts: int = 8
    retry_base: float = 2.0
    retry_cap: float = 60.0
    sender_timeout: int = 30
    claim_lease: float = 45.0
    dispatcher_timeout: int = 120
    queue_high_water: int = 1000
    stall_after: float = 60.0
    retain_days: int = 180
    circuit_threshold: int = 6
    report_to: str = ""
    report_from: str = ""
    report_hour: int = 9
    report_timezone: str = "UTC"
    default_country: str = ""
    mail_url: str = "ses:"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings.

        Raises ValueError with the variable that cannot be read, or cannot work with the others.
        """
        source = os.environ if environ is None else environ
        values: dict[str, object] = {}
        for name, variable, kind in _VARIABLES:
            text = source.get(variable, "").strip()
            if not text:
                continue
            try:
                values[name] = kind(text)
            except ValueError as error:
                raise ValueError(f"{variable}: not a {kind.__name__.strip('_').replace('_', ' ')}: {text!r}") from error
            if kind in (int, float) and not 0 < float(text) < math.inf and not (name in _MAY_BE_ZERO and text == "0"):
                raise ValueError(f"{variable}: must be above zero: {text!r}")
        several = bool(values.get("gateways"))  # then the token is JSON, with a token for each gateway
        if not several and not all("!" <= one <= "~" for one in str(values.get("gateway_token", ""))):
            raise ValueError("GATEWAY_TOKEN: has characters that an HTTP header cannot hold")
        if values.get("report_to") and not values.get("report_from"):
            raise ValueError("REPORT_FROM: is required if REPORT_TO is set")
        if values.get("gateway") in KNOWS_ITS_ADDRESS:
            values.setdefault("gateway_url", "")
        settings = cls(**values)  # type: ignore[arg-type]
        check_together(settings)
        return settings

    @property
    def function(self) -> str:
        """Which of the stack's functions this is, such as "sender"; "" outside of Lambda."""
        return self.function_name.removeprefix(f"{self.resource_prefix}-")

    @property
    def gateway_may_be_local(self) -> bool:
        """Whether the gateway may have any address, even on this machine and without TLS; never on AWS."""
        return not self.function_name or self.gateway_local

    @property
    def sends_nothing(self) -> bool:
        """Whether the gateway is the sandbox, which takes every message and has no address."""
        return self.gateway == "sandbox"

    @property
    def allowed_gateway_hosts(self) -> frozenset[str]:
        """The hosts that the gateway may be at, outside local stages."""
        return frozenset(self.gateway_hosts.split(",")) - {""}

    @property
    def report_recipients(self) -> tuple[str, ...]:
        """Who gets the daily report; nobody if it is off."""
        return tuple(self.report_to.split(",")) if self.report_to else ()

    @property
    def clients_table(self) -> str:
        return f"{self.resource_prefix}-clients"

    @property
    def mailings_table(self) -> str:
        return f"{self.resource_prefix}-mailings"

    @property
    def ledger_table(self) -> str:
        return f"{self.resource_prefix}-ledger"

    @property
    def users_table(self) -> str:
        return f"{self.resource_prefix}-users"

    @property
    def settings_table(self) -> str:
        return f"{self.resource_prefix}-settings"

    @property
    def dispatch_queue(self) -> str:
        return f"{self.resource_prefix}-dispatch"

    @property
    def send_queue(self) -> str:
        return f"{self.resource_prefix}-send"

    @property
    def send_dead_letter_queue(self) -> str:
        return f"{self.resource_prefix}-send-dead"

    @property
    def dispatch_dead_letter_queue(self) -> str:
        return f"{self.resource_prefix}-dispatch-dead"

    @property
    def receipt_queue(self) -> str:
        return f"{self.resource_prefix}-receipts"

    @property
    def receipt_dead_letter_queue(self) -> str:
        return f"{self.resource_prefix}-receipts-dead"

    @property
    def queues(self) -> tuple[str, ...]:
        """The names of all queues."""
        return (
            self.dispatch_queue,
            self.dispatch_dead_letter_queue,
            self.send_queue,
            self.send_dead_letter_queue,
            self.receipt_queue,
            self.receipt_dead_letter_queue,
        )


def _whole_hour(text: str) -> int:
    if not re.fullmatch(r"[0-9]|1[0-9]|2[0-3]", text):
        raise ValueError(text)
    return int(text)


def _country(text: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}", text):
        raise ValueError(f"not a country code of two letters, such as DE: {text!r}")
    return text


def _time_zone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (KeyError, OSError) as error:  # OSError for a directory of zones
        raise ValueError(text) from error


def _mail_address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(text)
    return text


def _list_of_hosts(text: str) -> str:
    hosts = [one.strip().lower().rstrip(".") for one in text.split(",")]
    if not all(re.fullmatch(r"[a-z0-9.:-]+", one) for one in hosts):
        raise ValueError(text)
    return ",".join(hosts)


def _json_or_file(text: str) -> str:
    if text.startswith("{"):
        return text
    try:
        return Path(text).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"neither JSON nor a file that can be read: {text[:80]!r}") from error


def _address(text: str) -> str:
    if not re.fullmatch(r"https?://[!-~]{1,300}", text):
        raise ValueError(text)
    return text


def _plain_text(text: str) -> str:
    if not re.fullmatch(r"[ -~]{1,200}", text):
        raise ValueError(text)
    return text


def _message_type(text: str) -> str:
    if text.upper() not in ("TRANSACTIONAL", "PROMOTIONAL"):
        raise ValueError(text)
    return text.upper()


def _price(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,2}\.[0-9]{1,5}", text):  # MaxPrice of SendTextMessage
        raise ValueError(text)
    return text


def _true_or_false(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _log_level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError(text)
    return text.upper()


def _list_of_addresses(text: str) -> str:
    return ",".join(_mail_address(one.strip()) for one in text.split(","))


_VARIABLES: tuple[tuple[str, str, Callable[[str], object]], ...] = (
    ("resource_prefix", "RESOURCE_PREFIX", str),
    ("function_name", "AWS_LAMBDA_FUNCTION_NAME", str),  # Lambda sets it
    ("log_level", "LOG_LEVEL", _log_level),  # the logger reads it, too
    ("log_accepted", "LOG_ACCEPTED", _true_or_false),
    ("gateway", "GATEWAY", str),
    ("gateways", "GATEWAYS", _json_or_file),
    ("gateway_url", "GATEWAY_URL", str),
    ("gateway_declaration", "GATEWAY_DECLARATION", str),
    ("gateway_account", "GATEWAY_ACCOUNT", _plain_text),
    ("gateway_sender", "GATEWAY_SENDER", _plain_text),
    ("gateway_message_type", "GATEWAY_MESSAGE_TYPE", _message_type),
    ("gateway_configuration_set", "GATEWAY_CONFIGURATION_SET", _plain_text),
    ("gateway_max_price", "GATEWAY_MAX_PRICE", _price),
    ("gateway_token", "GATEWAY_TOKEN", str),
    ("gateway_token_secret", "GATEWAY_TOKEN_SECRET", str),
    ("gateway_hosts", "GATEWAY_HOSTS", _list_of_hosts),
    ("gateway_local", "GATEWAY_LOCAL", _true_or_false),
    ("gateway_receipts", "GATEWAY_RECEIPTS", _true_or_false),
    ("public_url", "PUBLIC_URL", _address),
    ("receipt_url", "RECEIPT_URL", _address),
    ("api_address_prefix", "API_ADDRESS_PREFIX", str),
    ("gateway_recognises_ids", "GATEWAY_RECOGNISES_IDS", _true_or_false),
    ("gateway_connect_timeout", "GATEWAY_CONNECT_TIMEOUT", float),
    ("gateway_read_timeout", "GATEWAY_READ_TIMEOUT", float),
    ("gateway_concurrency", "GATEWAY_CONCURRENCY", int),
    ("max_attempts", "MAX_ATTEMPTS", int),
    ("retry_base", "RETRY_BASE", float),
    ("retry_cap", "RETRY_CAP", float),
    ("claim_lease", "CLAIM_LEASE", float),
    ("queue_high_water", "QUEUE_HIGH_WATER", int),
    ("stall_after", "STALL_AFTER", float),
    ("retain_days", "RETAIN_DAYS", int),
    ("circuit_threshold", "CIRCUIT_THRESHOLD", int),
    ("report_to", "REPORT_TO", _list_of_addresses),
    ("report_from", "REPORT_FROM", _mail_address),
    ("report_hour", "REPORT_HOUR", _whole_hour),
    ("report_timezone", "REPORT_TIMEZONE", _time_zone),
    ("default_country", "DEFAULT_COUNTRY", _country),
    ("mail_url", "MAIL_URL", str),
)
