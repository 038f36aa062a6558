"""Every setting of the service, read from the environment once; nothing else reads the environment."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_PREFIX = "message-service-local"


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator of the service can set. Durations are seconds unless the name says otherwise."""

    resource_prefix: str = DEFAULT_PREFIX
    gateway_url: str = "http://127.0.0.1:9100"
    gateway_token: str = ""
    gateway_connect_timeout: float = 2.0
    gateway_read_timeout: float = 8.0
    gateway_concurrency: int = 50
    max_attempts: int = 8
    retry_base: float = 2.0
    retry_cap: float = 60.0
    sender_timeout: int = 30
    claim_lease: float = 45.0
    dispatcher_timeout: int = 120
    queue_high_water: int = 2000
    stall_after: float = 60.0
    circuit_threshold: int = 6

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings; ValueError names the variable that cannot be read."""
        source = os.environ if environ is None else environ
        values: dict[str, object] = {}
        for name, variable, kind in _VARIABLES:
            text = source.get(variable, "").strip()
            if not text:
                continue
            try:
                value = values[name] = kind(text)
            except ValueError as error:
                raise ValueError(f"{variable}: not a {kind.__name__}: {text!r}") from error
            if not isinstance(value, str) and not 0 < value < math.inf:
                raise ValueError(f"{variable}: must be above zero: {text!r}")
        if not all("!" <= character <= "~" for character in str(values.get("gateway_token", ""))):
            raise ValueError("GATEWAY_TOKEN: holds characters that no HTTP header can carry")
        return cls(**values)  # type: ignore[arg-type]

    @property
    def clients_table(self) -> str:
        return f"{self.resource_prefix}-clients"

    @property
    def mailings_table(self) -> str:
        return f"{self.resource_prefix}-mailings"

    @property
    def messages_table(self) -> str:
        return f"{self.resource_prefix}-messages"

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


_VARIABLES: tuple[tuple[str, str, type], ...] = (
    ("resource_prefix", "RESOURCE_PREFIX", str),
    ("gateway_url", "GATEWAY_URL", str),
    ("gateway_token", "GATEWAY_TOKEN", str),
    ("gateway_connect_timeout", "GATEWAY_CONNECT_TIMEOUT", float),
    ("gateway_read_timeout", "GATEWAY_READ_TIMEOUT", float),
    ("gateway_concurrency", "GATEWAY_CONCURRENCY", int),
    ("max_attempts", "MAX_ATTEMPTS", int),
    ("retry_base", "RETRY_BASE", float),
    ("retry_cap", "RETRY_CAP", float),
    ("claim_lease", "CLAIM_LEASE", float),
    ("queue_high_water", "QUEUE_HIGH_WATER", int),
    ("stall_after", "STALL_AFTER", float),
    ("circuit_threshold", "CIRCUIT_THRESHOLD", int),
)
