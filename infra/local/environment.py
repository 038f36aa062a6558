"""What the environment says about a local run, and the environment that the run gives to the service."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from chalicelib.config import KNOWS_ITS_ADDRESS
from chalicelib.setting_checks import check_address
from infra.local.emulator_access import Access

REGION = "us-east-1"
DURABILITIES = ("process", "power")
# An embedded emulator keeps its data by the caller's region, and takes its own credentials only: whatever the owner has
# configured for AWS must neither hide the data nor be sent anywhere.
_ISOLATED = {
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_REMOVED = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")


_MOST_BY_ITSELF = 4  # processes that answer HTTP, or send: each takes 100 MB, and more are faster than their emulator
_CALLS = 200  # of the gateway at the same time, if nobody says otherwise


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """How `make run` is to run; an empty text means that nothing was said."""

    port: int = 8000
    api_processes: int = 2
    sender_processes: int = 2
    data_dir: str = ".local"
    endpoint_url: str = ""
    gateway: str = ""
    gateway_url: str = ""
    gateways: str = ""
    admin_username: str = "admin"
    admin_password: str = ""

    def gateway_address(self, url: str) -> str:
        """The gateway's address for other commands; an invalid host name for a real gateway without a URL."""
        if self.gateways:
            return "//several"
        return url.strip() or (f"//{self.gateway}" if self.gateway in KNOWS_ITS_ADDRESS else "")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> LocalSettings:
        """Read the settings. Raises ValueError with the variable that cannot be used."""
        port = environ.get("PORT", "").strip() or "8000"
        if not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"PORT: not a port: {port!r}")
        endpoint = environ.get("AWS_ENDPOINT_URL", "").strip()
        if endpoint:
            if not endpoint.startswith(("http://", "https://")):
                raise ValueError(f"AWS_ENDPOINT_URL: must begin with http: or https: {endpoint!r}")
            check_address("AWS_ENDPOINT_URL", endpoint)
        latency = environ.get("SANDBOX_LATENCY_MS", "").strip()
        if (wanted := durability(environ)) not in DURABILITIES:
            raise ValueError(f"DURABILITY: must be {' or '.join(DURABILITIES)}: {wanted!r}")
        if latency and not re.fullmatch(r"\d{1,6}(\.\d*)?", latency):
            raise ValueError(f"SANDBOX_LATENCY_MS: not a number of milliseconds below a million: {latency!r}")
        return cls(
            port=int(port),
            api_processes=_processes(environ, "API_PROCESSES"),
            sender_processes=_sender_processes(environ),
            data_dir=environ.get("DATA_DIR", "").strip() or ".local",
            endpoint_url=endpoint,
            gateway=environ.get("GATEWAY", "").strip(),
            gateway_url=environ.get("GATEWAY_URL", "").strip(),
            gateways=environ.get("GATEWAYS", "").strip(),
            admin_username=environ.get("ADMIN_USERNAME", "").strip() or "admin",
            admin_password=environ.get("ADMIN_PASSWORD", ""),
        )


def _processes(environ: Mapping[str, str], name: str) -> int:
    """How many processes a setting asks for, one for each core by default. Raises ValueError for any other text."""
    text = environ.get(name, "").strip() or str(min(_cores(), _MOST_BY_ITSELF))
    if not re.fullmatch(r"[1-9]\d?", text):
        raise ValueError(f"{name}: not a number from 1 to 99: {text!r}")
    return int(text)


def _sender_processes(environ: Mapping[str, str]) -> int:
    """How many processes send: no more than calls that the gateway may get at the same time."""
    calls = environ.get("GATEWAY_CONCURRENCY", "").strip()
    processes = _processes(environ, "SENDER_PROCESSES")
    return min(processes, int(calls)) if re.fullmatch(r"[1-9]\d{0,3}", calls) else processes


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def durability(environ: Mapping[str, str] = os.environ) -> str:
    """What the embedded emulator's data must survive: `process`, the end of any process, or `power`, a power cut."""
    return environ.get("DURABILITY", "").strip() or DURABILITIES[0]


def use_embedded(environ: MutableMapping[str, str], endpoint: str, access: Access) -> None:
    """Let the process and its children use the embedded emulator instead of AWS."""
    for name in [name for name in environ if name in _REMOVED or name.startswith("AWS_ENDPOINT_URL")]:
        del environ[name]
    environ.update(_ISOLATED, AWS_ENDPOINT_URL=endpoint)
    access.put_into(environ)


def use_given(environ: MutableMapping[str, str]) -> None:
    """Keep the owner's emulator, credentials and region, with defaults that any emulator accepts."""
    if not any(environ.get(name) for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID")):
        environ.update(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local")  # noqa: S106 - no secret
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or REGION
    environ.update(AWS_REGION=region, AWS_DEFAULT_REGION=region)


def report_into_files(environ: MutableMapping[str, str], directory: Path) -> None:
    """Write daily reports into files, unless the owner has set recipients and a way to send."""
    defaults = {"MAIL_URL": directory.resolve().as_uri(), "REPORT_FROM": "message-service@localhost"}
    defaults["REPORT_TO"] = "operator@localhost"
    for name, value in defaults.items():
        environ[name] = environ.get(name, "").strip() or value


def call_for_all_senders(environ: MutableMapping[str, str]) -> None:
    """All senders of this machine share what on AWS each of them has for itself."""
    environ["GATEWAY_CONCURRENCY"] = environ.get("GATEWAY_CONCURRENCY", "").strip() or str(_CALLS)


def keep_loopback_direct(environ: MutableMapping[str, str]) -> None:
    """Do not use the owner's proxy for addresses of this machine."""
    for name in ("NO_PROXY", "no_proxy"):
        present = [one for one in environ.get(name, "").split(",") if one]
        environ[name] = ",".join(dict.fromkeys([*present, "127.0.0.1", "localhost"]))
