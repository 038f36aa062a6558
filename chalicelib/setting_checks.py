"""Checks of settings, alone and together: values that cannot work are refused at the start, in one line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .config import Settings

# Seconds that a sender needs besides the call itself.
CLAIMING = 3.0  # to read and claim its batch
BOOKED_AHEAD = 4.0  # for a call to wait for its turn, if there is a rate
RECORDING = 3.0  # to write the outcomes

_GATEWAY_SCHEMES = ("http", "https")
MAIL_SCHEMES = ("ses", "smtp", "file")
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}")  # so that queue names, which begin with it, are valid
_LARGEST: dict[str, float] = {
    "gateway_concurrency": 1000,  # threads
    "max_attempts": 100,
    "retry_base": 86_400,
    "retry_cap": 86_400,
    "claim_lease": 3600,
    "queue_high_water": 10_000,  # SQS allows 120,000 in flight
    "stall_after": 3600,
    "retain_days": 36_500,
    "circuit_threshold": 10_000,
}


def check_together(settings: Settings) -> None:
    """Raises ValueError, with the variable and what would work, if messages could not be sent with these settings."""
    for name, largest in _LARGEST.items():
        if getattr(settings, name) > largest:
            raise ValueError(f"{name.upper()}: must be at most {largest:g}: {getattr(settings, name):g}")
    if settings.retry_base > settings.retry_cap:
        raise ValueError(
            f"RETRY_BASE: {settings.retry_base:g} is more than RETRY_CAP, {settings.retry_cap:g}: raise that, too"
        )
    _check_call_time(settings)
    if not _PREFIX.fullmatch(settings.resource_prefix):
        raise ValueError(f"RESOURCE_PREFIX: only letters, digits, _ and -, at most 64: {settings.resource_prefix!r}")
    if settings.gateway_url and not settings.sends_nothing:
        check_gateway_url(settings.gateway_url)
    check_mail_url(settings.mail_url)


def _check_call_time(settings: Settings) -> None:
    """Raises ValueError if a call cannot fit between a batch's claims and their end, or the sender's end."""
    connect, read = settings.gateway_connect_timeout, settings.gateway_read_timeout
    around = CLAIMING + BOOKED_AHEAD + RECORDING
    if settings.claim_lease < connect + read + around <= settings.sender_timeout:
        raise ValueError(
            f"CLAIM_LEASE: {settings.claim_lease:g} is too short for a call of {connect + read:g} s "
            f"(GATEWAY_CONNECT_TIMEOUT and GATEWAY_READ_TIMEOUT): at least {connect + read + around:g}"
        )
    left = settings.sender_timeout - around
    if connect + read <= left:
        return
    name, value, other = "GATEWAY_READ_TIMEOUT", read, connect
    if connect >= left:
        name, value, other = "GATEWAY_CONNECT_TIMEOUT", connect, read if read < left else 0.0
    raise ValueError(
        f"{name}: {value:g} is too long, no call would end within a sender's {settings.sender_timeout} s: "
        f"at most {left - other:g}"
    )


def check_gateway_url(url: str) -> None:
    """Raises ValueError if no gateway can be at this address."""
    scheme = url.partition(":")[0].lower()
    if scheme == "sandbox":
        raise ValueError("GATEWAY_URL: must be an address; set GATEWAY=sandbox to send nothing")
    if scheme not in _GATEWAY_SCHEMES:
        raise ValueError(f"GATEWAY_URL: must begin with one of {_listed(_GATEWAY_SCHEMES)}: {url!r}")
    check_address("GATEWAY_URL", url)


def check_mail_url(url: str) -> None:
    """Raises ValueError if no e-mail can leave this way."""
    scheme = url.partition(":")[0].lower()
    if scheme not in MAIL_SCHEMES:
        raise ValueError(f"MAIL_URL: must begin with one of {_listed(MAIL_SCHEMES)}: {url!r}")
    if scheme == "smtp":
        check_address("MAIL_URL", url)
    if scheme == "file" and (urlsplit(url).netloc not in ("", "localhost") or not urlsplit(url).path.strip("/")):
        raise ValueError(f"MAIL_URL: must be file:///directory, with three slashes: {url!r}")


def check_address(variable: str, url: str) -> None:
    """Raises ValueError if a URL has no valid host or port, or has parts that calls would ignore."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"{variable}: must be an address, with a port from 1 to 65535 if any: {url!r}") from None
    if not host or not re.fullmatch(r"[A-Za-z0-9._:%-]+", host) or url != "".join(url.split()):
        raise ValueError(f"{variable}: must have a host: {url!r}")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError(f"{variable}: must have a port from 1 to 65535: {url!r}")
    if parts.username is not None:
        raise ValueError(f"{variable}: must not have a username or password, which would not be used")
    if parts.query or parts.fragment:
        raise ValueError(f"{variable}: must not have a query (?) or fragment (#): {url!r}")


def _listed(schemes: tuple[str, ...]) -> str:
    return ", ".join(f"{scheme}:" for scheme in schemes)
