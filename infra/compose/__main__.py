"""The deploy container of docker-compose.yml: deploys into the emulator, and configures proxy, Prometheus and demo.

`python -m infra.compose DIRECTORY` writes what they read into the directory, which all have mounted.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

from chalicelib.bootstrap import build
from chalicelib.config import Settings
from chalicelib.domain.errors import Conflict
from chalicelib.domain.users import Role
from chalicelib.services.users import UserService
from infra.account import Account
from infra.deploy import EXPECTED, DeployError, Options, await_health, deploy, refused, say
from infra.local.data_directory import DataDirectory
from infra.local.gateway_responses import CONTENT_TYPE, GATEWAY_RESPONSES
from infra.package import ROOT
from infra.parameters import Parameters

STAGE = "local"
HERE = Path(__file__).parent
_SCRAPER = "prometheus"
_SANDBOX = "http://gateway:9100"
_ERRORS = {
    400: "BAD_REQUEST_PARAMETERS",
    413: "REQUEST_TOO_LARGE",
    502: "INTEGRATION_FAILURE",
    504: "INTEGRATION_TIMEOUT",
}


def proxy_configuration(url: str) -> str:
    """nginx's configuration for the API at `url`."""
    parts = urlsplit(url)
    template = (HERE / "nginx.conf").read_text(encoding="utf-8")
    filled = template.replace("@EMULATOR@", parts.netloc).replace("@API@", parts.path.rstrip("/"))
    return filled.replace("@ERRORS@", "\n        ".join(_error_page(*one) for one in _ERRORS.items()))


def _error_page(status: int, name: str) -> str:
    """An error of nginx itself, in the service's format instead of HTML."""
    body = GATEWAY_RESPONSES[name].body.decode()
    answer = f"default_type {CONTENT_TYPE}; return {status} '{body}';"
    return f"error_page {status} @{name};\n        location @{name} {{ {answer} }}"


def scrape_token(users: UserService) -> str:
    """A token for Prometheus, of a user whose password nobody knows. Earlier tokens become invalid."""
    password = secrets.token_urlsafe(32)
    try:
        users.create(_SCRAPER, password, Role.OPERATOR)
    except Conflict:
        users.change(_SCRAPER, password=password)
    return users.issue_token(_SCRAPER, password, "docker compose", "Prometheus").secret


def write_settings(directory: Path, url: str, token: str, gateway_url: str) -> None:
    """Write the files for the containers; everybody may read them, because containers run as different users.

    The demo gets the gateway's address if it is not the sandbox, and then sends nothing.
    """
    service = {"url": "http://proxy:8000"} | ({} if gateway_url == _SANDBOX else {"gateway": gateway_url})
    DataDirectory(directory).service_file.write_text(json.dumps(service), encoding="utf-8")
    (directory / "nginx.conf").write_text(proxy_configuration(url), encoding="utf-8")
    (directory / "token").write_text(token, encoding="utf-8")
    shutil.copy(HERE / "targets.yml", directory)
    shutil.copy(ROOT / "infra" / "prometheus" / "prometheus.yml", directory)


def main() -> int:
    """Deploy, and print all addresses. Returns 1, with the reason printed, if that failed."""
    directory = Path(sys.argv[1])
    try:
        options = Options(
            stage=STAGE,
            package_dir=Path("dist"),
            packaged=False,
            environ=os.environ,
            parameters=Parameters.read(os.environ, STAGE),
        )
        if not options.given("AWS_ENDPOINT_URL"):
            raise DeployError("set AWS_ENDPOINT_URL: this command deploys only into emulators")
        url = deploy(options, Account.from_environment(os.environ))
        await_health(url)
        settings = Settings(resource_prefix=options.stack, gateway="sandbox")
        token = scrape_token(build(settings).users)
        write_settings(directory, url, token, options.given("GATEWAY_URL"))
    except EXPECTED as error:
        return refused(f"Not deployed: {error}")
    say("Ready: http://127.0.0.1:8000/ (Prometheus on port 9090, Grafana on 3000)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
